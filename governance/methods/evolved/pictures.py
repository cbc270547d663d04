"""Pictures: evolved regions on the images they were found in."""

import numpy as np
from numpy.typing import NDArray

from governance.methods import figures
from governance.methods.evolved.explanation import FOUND, Explanation
from governance.methods.evolved.selection import Choice
from governance.records.evidence import Figure
from governance.records.numbers import number, percent
from governance.subject.subject import Subject

__all__ = ["pictures"]

SHOWN = 24  # pictures in both galleries
FIRST = 6  # pictures in the one of a single row


def pictures(
    subject: Subject, choices: list[Choice], found: list[Explanation], pixels: NDArray[np.float32]
) -> tuple[Figure, ...]:
    """A row of regions for the reader, and the others."""
    shown = list(zip(choices, found, pixels, strict=True))[:SHOWN]
    drawn = [_gallery(subject, "regions", shown[:FIRST])]
    if shown[FIRST:]:
        drawn.append(_gallery(subject, "more_regions", shown[FIRST:]))
    return tuple(drawn)


def _gallery(
    subject: Subject, name: str, shown: list[tuple[Choice, Explanation, NDArray[np.float32]]]
) -> Figure:
    names, labels = subject.validation.class_names, subject.validation.labels
    cells = [
        (
            (
                f"true {names[labels[choice.image]]} ({choice.rule})\n"
                f"answer {names[item.label]} ({number(item.p_full, 2)})\n{_brief(item)}"
            ),
            figures.overlay(image, outline=item.mask if item.status in FOUND else None),
        )
        for choice, item, image in shown
    ]
    return Figure(
        name=name,
        caption=f"The regions that alone carry the decision, {len(shown)} images: true class, the "
        "rule that chose the image, answer with its probability, status and share of the pixels. "
        "The rest is faded; an image shown plain has no region that means anything.",
        seen=f"{sum(item.status == 'sufficient' for _, item, _ in shown)} regions are sufficient, "
        f"{sum(item.status == 'fragile' for _, item, _ in shown)} fragile; "
        f"{sum(item.status not in FOUND for _, item, _ in shown)} images have none.",
        image=figures.gallery(cells),
    )


def _brief(item: Explanation) -> str:
    # Under a small picture there is room for about 20 letters.
    if item.status in FOUND:
        return f"{item.status}, {percent(item.area)}"
    return "undefined" if item.status == "undefined_baseline" else "not found"

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

SHOWN = 24  # pictures in the gallery


def pictures(
    subject: Subject, choices: list[Choice], found: list[Explanation], pixels: NDArray[np.float32]
) -> tuple[Figure, ...]:
    """The gallery of regions."""
    names = subject.validation.class_names
    shown = list(zip(choices, found, pixels, strict=True))[:SHOWN]
    cells = [
        (
            f"{names[item.label]} {number(item.p_full, 2)}, {choice.rule}\n{_brief(item)}",
            figures.overlay(image, outline=item.mask if item.status in FOUND else None),
        )
        for choice, item, image in shown
    ]
    return (
        Figure(
            name="regions",
            caption=f"The regions that alone carry the decision, {len(shown)} images: predicted "
            "class with its probability, the rule that chose the image, status and share of the "
            "pixels. The rest is faded; an image shown plain has no region that means anything.",
            image=figures.gallery(cells),
        ),
    )


def _brief(item: Explanation) -> str:
    # Under a small picture there is room for about 20 letters.
    if item.status in FOUND:
        return f"{item.status}, {percent(item.area)}"
    return "undefined" if item.status == "undefined_baseline" else "not found"

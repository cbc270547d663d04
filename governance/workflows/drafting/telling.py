"""Telling: what was tried and found while a policy was drafted, in sentences."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from governance.methods.class_order import Reordering
from governance.methods.preprocessing_search import SURE, Tried
from governance.methods.statistics.intervals import wilson
from governance.methods.statistics.proportions import Paired, chance
from governance.records.numbers import count, number, signed
from governance.workflows.drafting.opening import DraftSubject
from governance.workflows.drafting.searching import Choice, distinct

__all__ = ["seen", "why_scale", "why_size"]

#: Images of each class that its place among the outputs is looked for on, at least.
SEEN = 3
SHOWN = 4


def why_scale(opened: DraftSubject, choice: Choice) -> Iterator[str]:
    """Reasons for mean, std and channel order."""
    best, labels = choice.confirmed, opened.validation.labels
    right = best.right(labels)
    interval = wilson(int(right.sum()), len(right))
    span = f" [{number(interval.low)}, {number(interval.high)}]" if interval else ""
    yield (
        f"{best.candidate.name}: accuracy {number(float(right.mean()))}{span} on "
        f"{count(len(right))} images that did not choose it; chance is "
        f"{number(chance(labels[best.images]))}."
    )
    for rival in choice.rivals:
        if rival.candidate.name != best.candidate.name:
            yield _beside(rival, choice, labels, rival.candidate.name)


def why_size(opened: DraftSubject, choice: Choice) -> Iterator[str]:
    """Reasons for the treatment of sizes."""
    best, labels = choice.confirmed, opened.validation.labels
    if not choice.resizing:
        yield "All images that were looked at have the size that the model takes."
        return
    yield f"Of the ways to the model's size, {best.candidate.geometry} did best."
    for rival in choice.rivals:
        if rival.candidate.name == best.candidate.name:
            yield _beside(rival, choice, labels, rival.candidate.geometry)


def _beside(rival: Tried, choice: Choice, labels: NDArray[np.int64], what: str) -> str:
    """How another preprocessing did beside the chosen one on the same images."""
    best = choice.confirmed.right(labels)[: len(rival.images)]
    pair = Paired.of(rival.right(labels), best)
    p = pair.p_value()
    shown = "a difference that is shown" if p < SURE else "not shown to differ"
    return (
        f"On {count(pair.n)} of them {what} has {signed(pair.difference, 3)} "
        f"({shown}, p = {number(p, 3)})."
    )


def seen(opened: DraftSubject, choice: Choice, order: Reordering) -> Iterator[str]:
    """Everything that was tried and found."""
    labels, validation = opened.validation.labels, opened.validation
    tried = distinct(choice.tried)
    top = "; ".join(
        f"{item.candidate.name}, {item.candidate.geometry}: {number(item.accuracy(labels), 3)} on "
        f"{count(len(item.images))}"
        for item in tried[:SHOWN]
    )
    yield f"{count(len(tried))} preprocessings were tried. The best of them, by accuracy: {top}."
    yield from why_scale(opened, choice)
    yield from why_size(opened, choice)
    fewest = min(np.bincount(labels[choice.chosen.images], minlength=len(validation.class_names)))
    if fewest < SEEN:
        yield (
            f"The order of the classes is not tested: {count(int(fewest))} images of the rarest "
            f"class chose it, and {SEEN} are needed."
        )
    else:
        yield (
            "The outputs stand in the order of the classes: accuracy "
            f"{number(order.given)} in it, {number(order.fitted)} in the order that fits the "
            f"{count(len(choice.chosen.images))} images that chose best."
        )
    for key, value in opened.described.told.items():
        yield f"The model's metadata say {key} = {value}, which was not used."

"""Searching: the preprocessing that a model was trained with, chosen on some images of a draft.

The others confirm it, and with it the order of the classes.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.methods.class_order import Reordering, half_of_each, reordered
from governance.methods.preprocessing_search import (
    SURE,
    Candidate,
    Tried,
    above_chance,
    answered,
    geometries,
    halved,
    preferred,
    scales,
)
from governance.methods.statistics.proportions import chance
from governance.records.numbers import count, number
from governance.records.wording import first_few
from governance.subject.images.validation_set import evenly
from governance.subject.precision import full_precision
from governance.workflows.drafting.opening import DraftSubject

__all__ = ["TIMED", "Choice", "choose", "order_of_classes", "seconds_of_one"]

#: Images that choose a preprocessing and the order of the classes, of at most half.
CHOOSING = 512
#: Images that confirm it, at most: an accuracy is then known to 0.01.
CONFIRMING = 5000
#: Images that the runners-up are held against the best on.
COMPARED = 256
#: Images of the timing trial.
TIMED = 64
USUAL_SIDES = (224, 192, 256, 299)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The preprocessing that was chosen, and how it did on images that did not choose it.

    Attributes:
        tried: All candidates, the best first, with the images that each was given.
        chosen: The best on images that choose.
        confirmed: The best on the others.
        rivals: The next ones on the first of these images.
        resizing: Whether images of another size than the model's were seen.
    """

    tried: tuple[Tried, ...]
    chosen: Tried
    confirmed: Tried
    rivals: tuple[Tried, ...]
    resizing: bool

    @property
    def passes(self) -> int:
        """Forward passes of one image."""
        everything = (*self.tried, self.confirmed, *self.rivals)
        return sum(len(item.images) for item in everything)


@full_precision()
def choose(opened: DraftSubject, seed: int) -> Choice:
    """Search on some images, and confirm on the others."""
    validation, model = opened.validation, opened.classifier
    rng = np.random.default_rng(seed)
    order = evenly(validation.labels, rng)[: CHOOSING + CONFIRMING]
    choosing = order[half_of_each(validation.labels[order], rng)][:CHOOSING]
    others = order[~np.isin(order, choosing)]
    candidates = _candidates(opened)
    scaled = halved(candidates, model, validation, choosing)
    best = preferred(scaled, candidates, validation)
    tried, resizing = scaled, _resizing(opened, order)
    if resizing:
        ways = geometries(best.candidate, _sizes(opened))
        sized = halved(ways, model, validation, choosing)
        best, tried = preferred(sized, ways, validation), (*sized, *scaled)
    else:
        # Nothing was cut; the policy then refuses images of another size.
        plain = replace(best.candidate.preprocessing, resize="none")
        best = replace(best, candidate=replace(best.candidate, preprocessing=plain))
    rivals = _rivals(best.candidate, tried)
    first, *next_ones = answered([best.candidate, *rivals], model, validation, others[:COMPARED])
    (rest,) = answered([best.candidate], model, validation, others[COMPARED:])
    (more,) = answered([best.candidate], model, validation, np.setdiff1d(choosing, best.images))
    return Choice(
        tried=tried,
        chosen=best.joined(more),
        confirmed=first.joined(rest),
        rivals=tuple(next_ones),
        resizing=resizing,
    )


def _rivals(best: Candidate, tried: Sequence[Tried]) -> list[Candidate]:
    """The two next scales at the same size, and the other ways to that size."""
    listed = [item.candidate for item in distinct(tried)]
    scaled = [item for item in listed if item.name != best.name]
    sized = [item for item in listed if item.name == best.name and item.geometry != best.geometry]
    start = [
        replace(
            item,
            preprocessing=replace(
                item.preprocessing,
                size=best.preprocessing.size,
                resize=best.preprocessing.resize,
            ),
        )
        for item in scaled[:2]
    ]
    cut = best.preprocessing.resize != "none"
    return [*start, *(sized if cut else [])]


def distinct(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Each candidate once, where it did best."""
    found: dict[Candidate, Tried] = {}
    for item in tried:
        found.setdefault(item.candidate, item)
    return tuple(found.values())


def _candidates(opened: DraftSubject) -> tuple[Candidate, ...]:
    """Scale and channel order to try: what the author wrote first, then the usual ones."""
    start, said = opened.classifier.preprocessing, opened.described.scale
    usual = scales(start)
    if said is None or len(said[0]) not in {1, start.depth} or len(said[1]) not in {1, start.depth}:
        return usual
    mean, std = said
    own = Candidate(
        name="the model's metadata",
        preprocessing=replace(start, mean=mean, std=std),
    )
    return (own, *(item for item in usual if item.preprocessing != own.preprocessing))


def _resizing(opened: DraftSubject, order: NDArray[np.int64]) -> bool:
    """Whether images come in another size than the model takes."""
    size, images = opened.classifier.preprocessing.size, opened.validation.images
    return opened.unsized or any(images[int(index)].shape[:2] != size for index in order)


def _sizes(opened: DraftSubject) -> Sequence[tuple[int, int]]:
    start = opened.classifier.preprocessing.size
    if not opened.unsized:
        return (start,)
    return tuple(dict.fromkeys([start, *((side, side) for side in USUAL_SIDES)]))


def order_of_classes(opened: DraftSubject, choice: Choice) -> Reordering:
    """Refuse a model whose classes stand in another order, or that no preprocessing helps."""
    validation, best = opened.validation, choice.confirmed
    named = np.concatenate([choice.chosen.named, best.named])
    labels = validation.labels[np.concatenate([choice.chosen.images, best.images])]
    chosen = np.arange(len(named)) < len(choice.chosen.named)
    order = reordered(named, labels, chosen, validation.class_names)
    where = f"model {opened.version.uri}"
    if order.shown:
        names = validation.class_names
        raise SubjectError(
            f"{where}: its outputs stand in another order than the classes of the images: "
            f"{order.moves(names, 12)}. Accuracy {number(order.given)} as the images name them and "
            f"{number(order.found)} in that order, on {count(order.images)} images that did not "
            "choose it. No policy is written; --class-names FILE is accepted, a text with these "
            f"lines: {first_few(order.names(names), 12)}"
        )
    right, asked = best.right(validation.labels), validation.labels[best.images]
    if above_chance(right, asked) >= SURE:
        raise SubjectError(
            f"{where}: no preprocessing helps it. Of the {count(len(distinct(choice.tried)))} "
            f"tried, {best.candidate.name} ({best.candidate.geometry}) did best, with an accuracy "
            f"of {number(best.accuracy(validation.labels))} on {count(len(asked))} images that did "
            f"not choose it, which is not shown to be above chance ({number(chance(asked))}). "
            f"In the order of outputs that fits best it has {number(order.fitted)}. No "
            "policy is written; images of the classes that it was trained on are accepted"
        )
    return order


def seconds_of_one(opened: DraftSubject, choice: Choice) -> float:
    """Time of one image, from its file to its probabilities, in seconds; of two tries."""
    images, times = choice.confirmed.images[:TIMED], []
    for _ in range(2):
        begun = time.perf_counter()
        answered([choice.confirmed.candidate], opened.classifier, opened.validation, images)
        times.append((time.perf_counter() - begun) / len(images))
    return min(times)

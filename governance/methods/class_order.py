"""Class order: do a model's outputs stand in the order of the classes that they are held against?

A model whose outputs stand in another order than the class folders answers below chance, and raises
no error. Names that are numbers are a common cause: sorted as text, 10 comes before 2. Here that
order and the one that fits best are held against the given one, on images that did not choose it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from governance.methods.one_answer import one_answer
from governance.methods.statistics.confusion import confusion
from governance.methods.statistics.proportions import Paired
from governance.records.numbers import number
from governance.records.policy import Expectation
from governance.records.wording import first_few, missing

__all__ = [
    "IN_ORDER", "Reordering", "best_order", "exchanged", "half_of_each", "natural_order",
    "reordered",
]  # fmt: skip

#: Largest p-value at which another order counts as shown; it decides whether a policy is written.
SURE = 0.01
MOST = 0.5
#: Confused classes among which the best order is looked for; it takes seconds.
MOST_CONFUSED = 2000
#: What is expected of every model.
IN_ORDER = Expectation(
    metric="performance.classes_exchanged",
    at_most=0.0,
    severity="review",
    rationale=(
        "Where outputs stand for other classes than the images say, every other number may "
        "describe a wrong list of names and not the model."
    ),
)
NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reordering:
    """Another order of a model's outputs, held against the one that is given.

    Attributes:
        order: Output that stands for each class: (K,), as a tuple. Only classes of which another
            output is shown stand elsewhere.
        given: Accuracy in the given order, on the images of the test.
        found: Accuracy in the order found.
        fitted: Accuracy in the order that fits best, shown or not.
        images: Number of images of the test.
        natural: Whether the order is the natural one of the names.
        testable: Whether so many images of the test could have shown another order.
    """

    order: tuple[int, ...]
    given: float
    found: float
    fitted: float
    images: int
    natural: bool = False
    testable: bool = True

    @property
    def moved(self) -> tuple[int, ...]:
        """Classes whose output is shown to stand elsewhere."""
        return tuple(place for place, output in enumerate(self.order) if place != output)

    @property
    def shown(self) -> bool:
        """Whether outputs are shown to stand in another order."""
        return bool(self.moved)

    def moves(self, class_names: Sequence[str], most: int = 6) -> str:
        """Which output answers which class, in words, of at most so many classes."""
        moves = [f"output {self.order[k]} answers {class_names[k]}" for k in self.moved]
        return first_few(moves, most)

    def names(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """The class names in the order found."""
        named = dict(zip(self.order, class_names, strict=True))
        return tuple(named[output] for output in range(len(class_names)))


def natural_order(class_names: Sequence[str]) -> tuple[int, ...]:
    """Output of each class if the outputs stood in the natural order, in which 2 precedes 10."""
    natural = sorted(range(len(class_names)), key=lambda place: _pieces(class_names[place]))
    output = {place: index for index, place in enumerate(natural)}
    return tuple(output[place] for place in range(len(class_names)))


def _pieces(name: str) -> list[tuple[bool, int, str]]:
    # Digits compare as numbers, before letters; isdecimal also knows digits of other scripts.
    pieces = [piece for piece in NUMBER.split(name) if piece]
    return [(not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in pieces]


def best_order(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The one-to-one assignment of outputs to classes with most right answers: (K,).

    Among more than `MOST_CONFUSED` classes that are taken for others, it is the given one.

    Args:
        counts: (K, K) images by true class (row) and output (column).
    """
    order = np.arange(len(counts))
    wrong = counts - np.diag(np.diag(counts))
    # A class that is never confused keeps its output in every best assignment.
    confused = np.flatnonzero(wrong.any(axis=0) | wrong.any(axis=1))
    if len(confused) <= MOST_CONFUSED:
        part = counts[np.ix_(confused, confused)]
        # Half an image for the given order, which then wins where nothing speaks against it.
        favoured = part + 0.5 * np.eye(len(part))
        order[confused] = confused[linear_sum_assignment(favoured, maximize=True)[1]]
    return np.asarray(order, dtype=np.int64)


def reordered(
    named: NDArray[np.int64],
    labels: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    class_names: Sequence[str],
) -> Reordering:
    """Another order of the outputs: the natural one if it is shown, else the best on some images.

    Args:
        named: (n,) answered class of each image.
        labels: (n,) its label.
        chosen: (n,) which images find the best order; the others test it. No image finds the
            natural order, so that all of them test it.
        class_names: K names in the given order.
    """
    natural = _tested(natural_order(class_names), named, labels, natural=True)
    if natural.shown:
        return natural
    order = best_order(confusion(labels[chosen], named[chosen], len(class_names)))
    return _tested([int(output) for output in order], named[~chosen], labels[~chosen])


def half_of_each(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Every other image of each class, drawn at random: (n,)."""
    mixed = rng.permutation(len(labels))
    chosen = np.zeros(len(labels), dtype=np.bool_)
    chosen[mixed[np.argsort(labels[mixed], kind="stable")][1::2]] = True
    return chosen


def exchanged(
    named: NDArray[np.int64], labels: NDArray[np.int64], class_names: Sequence[str], seed: int
) -> tuple[float | None, tuple[str, ...]]:
    """How many classes have another output than the order says; None where nothing could show it.

    Args:
        named: (n,) answered class of each image.
        labels: (n,) its label.
        class_names: K names in the given order.
        seed: Of the images that choose an order.

    Returns:
        The number, and a note that names the classes or the reason why it is missing.
    """
    chosen = half_of_each(labels, np.random.default_rng(seed))
    order = reordered(named, labels, chosen, class_names)
    if not order.shown:
        why = one_answer(named, class_names)
        if len(np.unique(labels)) == 1:
            why = "all images are of one class"
        elif not order.testable:
            why = f"{order.images} images are too few to show another order of the outputs"
        return (0.0, ()) if why is None else (None, (missing(["classes_exchanged"], why),))
    natural = "That is the natural order of the names. " if order.natural else ""
    note = (
        f"The outputs stand in another order than the classes: {order.moves(class_names)}. "
        f"{natural}In it the accuracy is {number(order.found, 3)} in place of "
        f"{number(order.given, 3)}, on {order.images} images that did not choose it. class_names "
        "in [model] of the policy states the order."
    )
    return float(len(order.moved)), (note,)


def _tested(
    order: Sequence[int],
    named: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    natural: bool = False,
) -> Reordering:
    """What is shown of an order by images that did not choose it.

    Classes that exchange outputs in a ring are tested together, since they can move only together.
    Few images choose an order that is right of some classes and drawn of others.
    """
    kept = np.arange(len(order))
    moving = list(_rings(order))
    present = np.bincount(labels, minlength=len(order)) > 0
    elsewhere = sum(int(present[ring].sum()) for ring in moving)
    for ring in moving:
        # Images of one class that are taken for another without images are a mistake, not an order,
        # unless most classes move.
        whole = present[ring].all() or elsewhere > MOST * present.sum()
        if whole and _ring_shown(ring, order, named, labels, len(moving)):
            kept[ring] = np.array(order)[ring]
    fitted = np.array(order)
    return Reordering(
        order=tuple(int(output) for output in kept),
        given=_accuracy(np.arange(len(order)), named, labels),
        found=_accuracy(kept, named, labels),
        fitted=_accuracy(fitted, named, labels),
        images=len(labels),
        natural=natural,
        testable=Paired(both=0, first=len(labels), second=0, neither=0).p_value() < SURE,
    )


def _ring_shown(
    ring: NDArray[np.int64],
    order: Sequence[int],
    named: NDArray[np.int64],
    labels: NDArray[np.int64],
    rings: int,
) -> bool:
    """Whether most images of some classes are right in another order, and more than in the given.

    An untrained network too answers classes of its own choice more often than others, so that most
    images of the classes in question must be right in the order found.
    """
    members = np.isin(labels, ring)
    if not members.any():
        return False
    asked, answer = labels[members], named[members]
    right = answer == np.array(order)[asked]
    pair = Paired.of(right, answer == asked)
    better = bool(right.mean() > MOST) and pair.first > pair.second
    return better and min(1.0, pair.p_value() * rings) < SURE


def _rings(order: Sequence[int]) -> Iterator[NDArray[np.int64]]:
    """Groups of classes that exchange outputs among themselves, each as its places."""
    seen: set[int] = set()
    for start in range(len(order)):
        ring, place = [], start
        while place not in seen:
            seen.add(place)
            ring.append(place)
            place = order[place]
        if len(ring) > 1:
            yield np.array(ring)


def _accuracy(
    order: NDArray[np.int64], named: NDArray[np.int64], labels: NDArray[np.int64]
) -> float:
    return float((named == order[labels]).mean()) if len(labels) else 0.0

"""Preprocessing trials: is another preprocessing better than the declared one, for few passes?

The answers under the declared preprocessing are known before. An alternative can only gain on the
images that those get wrong, so it is asked about a few images at first and then about all of these.
It is given up as soon as no answer to the rest could make it significantly better, which takes
nothing from the power of the test. What is left is halved after each round, down to a few, which
are asked about every image.

The order within the images that are answered rightly, and within the others, is random. The gain of
an alternative that was given up is therefore estimated from the share in each of the two groups.

Source:
    Exact McNemar test; Karnin, Koren, Somekh 2013, "Almost optimal exploration in multi-armed
    bandits" (sequential halving); Zou, Donner 2008, "Construction of confidence limits about effect
    measures" (intervals of weighted differences from those of their parts).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.methods.statistics.intervals import LEVEL, wilson
from governance.methods.statistics.proportions import Paired, largest
from governance.records.evidence import Interval

__all__ = ["FIRST", "Trial", "largest_gain", "most_passes", "trials"]

#: Images that every alternative is asked about, and the factor between the rounds.
FIRST, FACTOR = 24, 1.5
#: Images among the first that the declared preprocessing gets wrong, at least, where there are any.
WRONG_AT_FIRST = 4
#: Alternatives that may stay until the last image.
FINALISTS = 2

#: Right answers, (images, alternatives), to the images at some places by some alternatives.
Ask = Callable[[NDArray[np.int64], Sequence[int]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How an alternative did beside the declared preprocessing, as far as it was asked.

    Attributes:
        right: Images that are answered rightly as declared.
        wrong: Images that are not.
        right_tried: Those of the first that the alternative was asked about.
        wrong_tried: Those of the others.
        lost: Images answered rightly as declared alone.
        gained: Images answered rightly by the alternative alone.
    """

    right: int
    wrong: int
    right_tried: int
    wrong_tried: int
    lost: int
    gained: int

    @property
    def complete(self) -> bool:
        """Whether the alternative was asked about every image."""
        return self.tried == self.right + self.wrong

    @property
    def tried(self) -> int:
        """Number of images that the alternative was asked about."""
        return self.right_tried + self.wrong_tried

    @property
    def pair(self) -> Paired:
        """The answers to the images that it was asked about."""
        return Paired(
            both=self.right_tried - self.lost,
            first=self.gained,
            second=self.lost,
            neither=self.wrong_tried - self.gained,
        )

    @property
    def gain(self) -> float:
        """Accuracy of the alternative on the sample minus the declared one's, as estimated."""
        n = self.right + self.wrong
        gained = self.gained / self.wrong_tried if self.wrong_tried else 0.0
        lost = self.lost / self.right_tried if self.right_tried else 0.0
        return (self.wrong * gained - self.right * lost) / n

    def interval(self, level: float = LEVEL) -> Interval | None:
        """Interval of the gain: Newcombe's for all images, else from the intervals of both groups.

        Returns:
            None without images.
        """
        if self.complete:
            return self.pair.interval(level)
        n = self.right + self.wrong
        won = wilson(self.gained, self.wrong_tried, level)
        lost = wilson(self.lost, self.right_tried, level)
        below = above = 0.0
        if won is not None:
            share = self.gained / self.wrong_tried
            below += (self.wrong / n * (share - won.low)) ** 2
            above += (self.wrong / n * (won.high - share)) ** 2
        if lost is not None:
            share = self.lost / self.right_tried
            below += (self.right / n * (lost.high - share)) ** 2
            above += (self.right / n * (share - lost.low)) ** 2
        return Interval(
            low=max(-1.0, self.gain - math.sqrt(below)),
            high=min(1.0, self.gain + math.sqrt(above)),
            n=self.tried,
            level=level,
            method="Wilson in two groups, square and add",
        )

    def adjusted(self, tests: int) -> float:
        """p-value that the alternative is no better or worse, times the number of tests."""
        return min(1.0, self.pair.p_value() * tests)

    def better(self, tests: int) -> bool:
        """Whether the alternative is shown to be better, on every image."""
        return self.complete and self.gained > self.lost and self.adjusted(tests) < 1 - LEVEL

    def hopeless(self, tests: int) -> bool:
        """Whether no answer to the other images could show that the alternative is better."""
        most = self.gained + self.wrong - self.wrong_tried
        best = Paired(both=0, first=most, second=self.lost, neither=0)
        return most <= self.lost or min(1.0, best.p_value() * tests) >= 1 - LEVEL


def trials(declared: NDArray[np.bool_], alternatives: int, ask: Ask) -> tuple[Trial, ...]:
    """Each alternative beside the declared preprocessing, on as few images as settle it.

    Args:
        declared: (n,) which images are answered rightly as declared, in random order.
        alternatives: Number of them, the commonest first, which stays where nothing tells two
            apart.
        ask: Asks some of them about the images at some places.
    """
    order, first = _order(declared)
    right = np.zeros((len(declared), alternatives), dtype=np.bool_)
    asked = np.zeros_like(right)
    alive = list(range(alternatives))
    found = [_counted(declared, right[:, i], asked[:, i]) for i in alive]
    start = 0
    for stop in _stops(first, len(order)):
        part = order[start:stop]
        start = stop
        cells = np.ix_(part, np.array(alive))
        right[cells] = ask(part, alive)
        asked[cells] = True
        for i in alive:
            found[i] = _counted(declared, right[:, i], asked[:, i])
        hopeful = [i for i in alive if not found[i].hopeless(alternatives)]
        # Stable, so that the commoner of two equals stays.
        ranked = sorted(hopeful, key=lambda i: found[i].gain, reverse=True)
        alive = sorted(ranked[: max(FINALISTS, -(-len(ranked) // 2))])
        if not alive:
            break
    return tuple(found)


def largest_gain(found: Sequence[Trial]) -> tuple[float, Interval] | None:
    """The largest gain of several alternatives, with an interval for the largest of the true ones.

    Lower ends hold for all of them together (Bonferroni), upper ends for one.

    Returns:
        None without alternatives or images.
    """
    if all(item.complete for item in found):
        return largest([item.pair for item in found])
    top = max(found, key=lambda item: (item.gain, item.tried))
    joint = 1 - (1 - LEVEL) / len(found)
    low = max(end.low for item in found if (end := item.interval(joint)))
    high = max(end.high for item in found if (end := item.interval()))
    method = f"Wilson in two groups, square and add, largest of {len(found)}"
    return top.gain, Interval(low=min(low, high), high=high, n=top.tried, method=method)


def most_passes(images: int, alternatives: int) -> int:
    """Forward passes that the trials take at most, beside those of the declared preprocessing."""
    passes, start, alive = 0, 0, alternatives
    for stop in _stops(min(FIRST + WRONG_AT_FIRST, images), images):
        passes += alive * (stop - start)
        start, alive = stop, min(alive, max(FINALISTS, -(-alive // 2)))
    return passes


def _order(declared: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Places in the order in which they are asked about, and how many of them come first."""
    places = np.arange(len(declared))
    wrong = places[~declared]
    first = places[:FIRST]
    missing = max(0, min(WRONG_AT_FIRST, len(wrong)) - int((~declared[first]).sum()))
    first = np.concatenate([first, wrong[wrong >= FIRST][:missing]])
    rest = np.setdiff1d(places, first)
    order = np.concatenate([first, rest[~declared[rest]], rest[declared[rest]]])
    return order, len(first)


def _stops(first: int, total: int) -> list[int]:
    stops = [first]
    while stops[-1] < total:
        stops.append(min(total, math.ceil(stops[-1] * FACTOR)))
    return stops


def _counted(
    declared: NDArray[np.bool_], right: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> Trial:
    return Trial(
        right=int(declared.sum()),
        wrong=int((~declared).sum()),
        right_tried=int((asked & declared).sum()),
        wrong_tried=int((asked & ~declared).sum()),
        lost=int((asked & declared & ~right).sum()),
        gained=int((asked & ~declared & right).sum()),
    )

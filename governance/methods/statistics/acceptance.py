"""Acceptance: how often a model of a known quality meets a bound on a share of images.

A bound on a noisy number rejects some good models and approves some bad ones. How many depends on
the bound, the number of images and, where the number is the lowest of several, on the number of
classes. Shares of one class and the lowest of several are exact binomial sums. The mean of several
intervals and the largest of several paired differences are simulated with a fixed seed.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from governance.methods.statistics.intervals import clopper_pearson_ends, wilson_ends
from governance.methods.statistics.proportions import Paired
from governance.methods.statistics.shortfall import critical_hits

__all__ = [
    "On",
    "gain_passes",
    "images_needed",
    "mean_passes",
    "none_short",
    "not_better",
    "share_passes",
    "worst_passes",
]

#: What is held against the bound: the estimate, or the end of its interval nearer to failing.
On = Literal["estimate", "interval"]
Ends = Callable[[ArrayLike, ArrayLike], tuple[NDArray[np.float64], NDArray[np.float64]]]

RUNS = 2000
#: Numbers of images that are told, in two digits: 10, 11, ..., 99, 100, 110, ..., 1,000,000.
SIZES = (*(digits * 10**power for power in range(5) for digits in range(10, 100)), 10**6)


def share_passes(n: int, share: float, bound: float, on: On = "estimate") -> float:
    """Chance that a share measured on `n` images is at least `bound`.

    Args:
        n: Number of images, at least 1.
        share: True share.
        bound: Smallest accepted value.
        on: What is held against it; the interval is Wilson's.
    """
    return float(stats.binom.sf(_least_hits(n, bound, on, wilson_ends) - 1, n, share))


def worst_passes(
    counts: Sequence[int], shares: Sequence[float], bound: float, on: On = "estimate"
) -> float:
    """Chance that the lowest share of several classes is at least `bound`.

    Args:
        counts: (K,) images of each class, at least 1.
        shares: (K,) true share of each class.
        bound: Smallest accepted value.
        on: What is held against it; the interval is that of `proportions.lowest`.
    """
    return math.prod(
        float(stats.binom.sf(_least_hits(n, bound, on, clopper_pearson_ends) - 1, n, share))
        ** times
        for (n, share), times in Counter(zip(counts, shares, strict=True)).items()
    )


def none_short(counts: Sequence[int], shares: Sequence[float], asked: float) -> float:
    """Chance that no class is shown to have a recall below `asked`.

    Args:
        counts: (K,) images of each class.
        shares: (K,) true recall of each class.
        asked: Recall that each class is meant to have.
    """
    critical = critical_hits(counts, asked, len(counts))
    return float(np.prod(stats.binom.sf(critical, np.asarray(counts), np.asarray(shares))))


def mean_passes(
    counts: Sequence[int],
    shares: Sequence[float],
    bound: float,
    on: On = "estimate",
    *,
    seed: int = 0,
) -> float:
    """Chance that the plain mean of several classes' shares is at least `bound`, by simulation.

    Args:
        counts: (K,) images of each class, at least 1.
        shares: (K,) true share of each class.
        bound: Smallest accepted value.
        on: What is held against it; the interval is that of `proportions.mean_of`.
        seed: Of the simulation.
    """
    n = np.asarray(counts)
    hits = np.random.default_rng(seed).binomial(n, shares, (RUNS, len(n)))
    means = (hits / n).mean(1)
    if on == "interval":
        below = hits / n - wilson_ends(hits, n)[0]
        means = np.maximum(0.0, means - np.sqrt((below**2).sum(1)) / len(n))
    return _simulated(means >= bound)


def gain_passes(
    n: int, pairs: int, bound: float, on: On = "estimate", *, discordant: float, seed: int = 0
) -> float:
    """Chance that the largest of several paired differences without a true one is at most `bound`.

    Args:
        n: Number of images.
        pairs: Number of readings that are each held against the same one.
        bound: Largest accepted value.
        on: What is held against it; the interval is that of `proportions.largest`.
        discordant: Share of images on which two readings differ in being right.
        seed: Of the simulation.
    """
    rng = np.random.default_rng(seed)
    differing = rng.binomial(n, discordant, (RUNS, pairs))
    first = rng.binomial(differing, 0.5)

    @cache
    def high(first: int, differing: int) -> float:
        # Nine in ten of the others are right in both readings.
        both = round(0.9 * (n - differing))
        pair = Paired(
            both=both, first=first, second=differing - first, neither=n - differing - both
        )
        interval = pair.interval()
        return 1.0 if interval is None else interval.high

    if on == "estimate":
        largest = ((2 * first - differing) / n).max(1)
    else:
        largest = np.vectorize(high, otypes=[float])(first, differing).max(1)
    return _simulated(largest <= bound)


def not_better(n: int, pairs: int, level: float, *, discordant: float) -> float:
    """Chance that no reading is significantly better than one that is as good.

    Args:
        n: Number of images.
        pairs: Number of readings that are each held against the same one.
        level: Confidence of the exact McNemar test, which is corrected for `pairs` (Bonferroni).
        discordant: Share of images on which two readings differ in being right.
    """
    differing = np.arange(n + 1)
    # Two-sided: half of the error lies on the side of the gains.
    tail = (1 - level) / pairs / 2
    least = stats.binom.isf(tail, differing, 0.5) + 1
    alarm = stats.binom.sf(least - 1, differing, 0.5)
    return float(1 - (stats.binom.pmf(differing, n, discordant) * alarm).sum()) ** pairs


def images_needed(chance: Callable[[int], float], wanted: float = 0.9) -> int | None:
    """Fewest images, in two digits, for which a chance is `wanted`; None beyond a million.

    Args:
        chance: Chance by number of images; it must rise but for the steps of whole images.
        wanted: Chance that is wanted.
    """
    place = bisect_left(SIZES, True, key=lambda size: chance(size) >= wanted)  # noqa: FBT003 - what is looked for
    return SIZES[place] if place < len(SIZES) else None


def _least_hits(n: int, bound: float, on: On, ends: Ends) -> int:
    """Fewest hits among `n` that meet a bound; n + 1 where none do."""

    def meets(hits: int) -> bool:
        judged = hits / n if on == "estimate" else float(ends(hits, n)[0])
        return judged >= bound

    return bisect_left(range(n + 1), True, key=meets)  # noqa: FBT003 - what is looked for


def _simulated(passed: NDArray[np.bool_]) -> float:
    # Never 0 or 1, which no number of runs can show.
    return (int(passed.sum()) + 1) / (len(passed) + 2)

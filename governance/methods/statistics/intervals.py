"""Confidence intervals: how far a measured proportion or mean may be from the truth.

All intervals are two-sided at `LEVEL` unless a level is given. Proportions take the Wilson score
interval, or Clopper-Pearson's where a guarantee is claimed. Means take Student's t. Any other
statistic takes the percentile bootstrap. Every interval holds its estimate and stays in the range
of the quantity.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from governance.errors import AnalysisError
from governance.records.evidence import Interval

__all__ = [
    "LEVEL",
    "bootstrap",
    "clopper_pearson",
    "clopper_pearson_ends",
    "mean",
    "wilson",
    "wilson_ends",
]

Array = NDArray[np.float64]

LEVEL = 0.95


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval | None:
    """The Wilson score interval of a proportion of `successes` among `n`.

    Returns:
        None where `n` is 0: nothing was observed.

    Source:
        Wilson 1927; Brown, Cai, DasGupta 2001.
    """
    return _proportion(successes, n, level, "wilson", "Wilson")


def clopper_pearson(successes: int, n: int, level: float = LEVEL) -> Interval | None:
    """The exact binomial interval of a proportion of `successes` among `n`; None where `n` is 0.

    Source:
        Clopper, Pearson 1934.
    """
    return _proportion(successes, n, level, "exact", "Clopper-Pearson")


def _proportion(
    successes: int, n: int, level: float, method: Literal["wilson", "exact"], name: str
) -> Interval | None:
    if n == 0:
        return None
    if not 0 <= successes <= n:
        raise AnalysisError(f"{successes} successes among {n}; 0 to {n} are accepted")
    found = stats.binomtest(successes, n).proportion_ci(level, method=method)
    # The exact ends of a proportion of 0 or 1 are 0 and 1; rounding must not move them.
    low = 0.0 if successes == 0 else float(found.low)
    high = 1.0 if successes == n else float(found.high)
    return Interval(low=low, high=high, n=n, level=level, method=name)


def wilson_ends(successes: ArrayLike, n: ArrayLike, level: float = LEVEL) -> tuple[Array, Array]:
    """Lower and upper ends of many Wilson intervals at once; NaN where `n` is 0.

    For thousands of classes or filters: `wilson` asks scipy for each and takes a hundred times as
    long.
    """
    hits, count = np.broadcast_arrays(np.asarray(successes, float), np.asarray(n, float))
    square = float(stats.norm.ppf(0.5 + level / 2)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / count
        centre = (share + square / (2 * count)) / (1 + square / count)
        spread = share * (1 - share) / count + square / (4 * count * count)
        half = np.sqrt(square * spread) / (1 + square / count)
    low, high = np.where(hits == 0, 0.0, centre - half), np.where(hits == count, 1.0, centre + half)
    return np.where(count > 0, low, np.nan), np.where(count > 0, high, np.nan)


def clopper_pearson_ends(
    successes: ArrayLike, n: ArrayLike, level: float = LEVEL
) -> tuple[Array, Array]:
    """Lower and upper ends of many Clopper-Pearson intervals at once; NaN where `n` is 0.

    Quantiles of beta distributions give what `clopper_pearson` finds by search, and sooner.
    """
    hits, count = np.broadcast_arrays(np.asarray(successes, float), np.asarray(n, float))
    tail = (1 - level) / 2
    low = np.where(hits == 0, 0.0, stats.beta.ppf(tail, hits, count - hits + 1))
    high = np.where(hits == count, 1.0, stats.beta.ppf(1 - tail, hits + 1, count - hits))
    return np.where(count > 0, low, np.nan), np.where(count > 0, high, np.nan)


def mean(
    values: ArrayLike,
    level: float = LEVEL,
    *,
    lowest: float = -math.inf,
    highest: float = math.inf,
) -> Interval | None:
    """Student's t interval of a mean, cut to the range of the values.

    A mean of values of a range lies in that range, so that the cut costs no coverage.

    Args:
        values: (n,) observations.
        level: Coverage aimed at.
        lowest: Smallest value that can occur, such as -1 for correlations.
        highest: Largest value that can occur.

    Returns:
        None where no two values differ: no spread is seen.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size < 2 or np.ptp(data) == 0:  # noqa: PLR2004 - one value has no spread
        return None
    quantile = float(stats.t.ppf(0.5 + level / 2, data.size - 1))
    half = quantile * float(data.std(ddof=1)) / float(np.sqrt(data.size))
    centre = float(data.mean())
    low, high = max(lowest, centre - half), min(highest, centre + half)
    cut = low > centre - half or high < centre + half
    method = "Student t, cut to the range" if cut else "Student t"
    return Interval(low=low, high=high, n=data.size, level=level, method=method)


def bootstrap(
    statistic: Callable[[NDArray[np.float64]], float],
    values: ArrayLike,
    seed: int,
    *,
    resamples: int = 2000,
    level: float = LEVEL,
) -> Interval | None:
    """The percentile bootstrap interval of `statistic` over rows of `values`.

    Args:
        statistic: Takes a resample of `values` (same shape) and returns one number.
        values: One row per observation, (n,) or (n, k).
        seed: Of the resampling; the interval is the same for the same seed.
        resamples: How often rows are drawn with replacement.
        level: Coverage aimed at.

    Returns:
        None where fewer than two rows differ (an interval without width would claim certainty), or
        where a resample has no finite statistic. The interval is widened to the statistic of
        `values` where the resamples lie to one side of it, and stays in the range of what
        `statistic` can return.
    """
    data = np.asarray(values, dtype=np.float64)
    n = data.shape[0] if data.ndim else 0
    if n < 2 or (np.ptp(data, axis=0) == 0).all():  # noqa: PLR2004 - one row has no spread
        return None
    rng = np.random.default_rng(seed)
    draws = np.array([statistic(data[rng.integers(0, n, n)]) for _ in range(resamples)])
    if not np.isfinite(draws).all():
        return None
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    estimate = float(statistic(data))
    if not math.isfinite(estimate):
        return None
    return Interval(
        low=min(float(low), estimate), high=max(float(high), estimate), n=n, level=level,
        method="bootstrap",
    )  # fmt: skip

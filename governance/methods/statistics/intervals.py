"""Confidence intervals: how far a measured share or mean may be from the truth.

All are two-sided at `LEVEL` unless told otherwise. Shares take the Wilson score interval, or
Clopper-Pearson's where a guarantee is claimed; means take Student's t; anything else the
percentile bootstrap.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from governance.records.evidence import Interval

__all__ = ["LEVEL", "bootstrap", "clopper_pearson", "mean", "wilson"]

LEVEL = 0.95


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval | None:
    """The Wilson score interval of a share of `successes` among `n`.

    Returns:
        None where `n` is 0: nothing was observed.

    Source:
        Wilson 1927; Brown, Cai, DasGupta 2001.
    """
    if n == 0:
        return None
    z = float(stats.norm.ppf(0.5 + level / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # The exact ends are 0 and 1; rounding must not move them.
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == n else float(centre + half)
    return Interval(low=low, high=high, n=n, level=level, method="Wilson")


def clopper_pearson(successes: int, n: int, level: float = LEVEL) -> Interval | None:
    """The exact binomial interval of a share of `successes` among `n`; None where `n` is 0.

    Source:
        Clopper, Pearson 1934.
    """
    if n == 0:
        return None
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(stats.beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(stats.beta.ppf(1 - tail, successes + 1, n - successes))
    return Interval(low=low, high=high, n=n, level=level, method="Clopper-Pearson")


def mean(values: ArrayLike, level: float = LEVEL) -> Interval | None:
    """Student's t interval of a mean; None where no two values differ: no spread is seen."""
    data = np.asarray(values, dtype=np.float64)
    if data.size < 2 or np.ptp(data) == 0:  # noqa: PLR2004 - one value has no spread
        return None
    quantile = float(stats.t.ppf(0.5 + level / 2, data.size - 1))
    half = quantile * float(data.std(ddof=1)) / float(np.sqrt(data.size))
    centre = float(data.mean())
    return Interval(
        low=centre - half, high=centre + half, n=data.size, level=level, method="Student t"
    )


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
        where a resample has no finite statistic.
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
    return Interval(low=float(low), high=float(high), n=n, level=level, method="bootstrap")

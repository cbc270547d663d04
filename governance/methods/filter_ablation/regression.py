"""Regression estimates: a mean measured on few images, helped by a covariate known on all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from governance.methods.statistics.intervals import LEVEL

__all__ = ["Estimate", "estimated"]

Array = NDArray[np.float64]

MIXED = 3  # images needed for a line and what is left over


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """Mean effects of S sets of filters, with 95 % intervals.

    Attributes:
        mean: Estimates, (S,).
        low: Lower ends of Student's t intervals, (S,).
        high: Upper ends, (S,).
        p_value: Two-sided p of no effect, (S,); 1 where every image shows exactly none.
        error: Standard errors, (S,).
        freedom: Degrees of freedom of Student's t.
        slope: Weight of the control variate, (S,); 0 for a plain mean.
    """

    mean: Array
    low: Array
    high: Array
    p_value: Array
    error: Array
    freedom: int
    slope: Array


def estimated(
    exact: Array,
    near: Array,
    everywhere: Array,
    *,
    slope: Array | None = None,
    chance: Array | None = None,
) -> Estimate:
    """Mean of a quantity measured on few images, helped by a covariate known on many.

    The regression estimator (control variate): mean(exact) + slope * (mean(everywhere) -
    mean(near)). Whatever the covariate is worth, the estimate stays right; the better it predicts,
    the narrower the interval. Standard errors are HC3, plus that of the covariate's own mean, so
    that intervals speak of images like these and not of these images only.

    Args:
        exact: (n, S), measured.
        near: (n, S), the covariate on the same images.
        everywhere: (N, S), the covariate on all images, those n among them.
        slope: (S,) to use in place of the least-squares one, for subgroups too small for their own.
        chance: (n,) with which each measured image was drawn; None where all were as likely. Each
            image then counts for as many as its chance says, in slope, mean and error.

    Source:
        Cochran 1977 (regression estimators); MacKinnon, White 1985 (HC3); Saerndal, Swensson,
        Wretman 1992, for unequal chances.
    """
    n, total = len(exact), len(everywhere)
    if chance is not None and n < total and n >= MIXED:
        return _weighted(exact, near, everywhere, 1 / chance[:, None], slope)
    if n == total or (slope is None and n < MIXED):
        return _plain(exact)
    gap = everywhere.mean(0) - near.mean(0)
    away = near - near.mean(0)
    spread = (away**2).sum(0)
    usable = spread > 0
    safe = np.where(usable, spread, 1.0)
    own = slope is None
    weight = np.where(usable, (away * exact).sum(0) / safe, 0.0) if slope is None else slope
    left = exact - exact.mean(0) - weight * away
    if own:
        leverage = np.minimum(1 / n + away**2 / safe, 1 - 1e-9)
        share = 1 / n + away * gap / safe
        variance = (share**2 * left**2 / (1 - leverage) ** 2).sum(0)
    else:
        variance = left.var(0, ddof=1) / n
    variance = variance + weight**2 * everywhere.var(0, ddof=1) / total
    return _with_interval(
        mean=exact.mean(0) + weight * gap,
        error=np.sqrt(variance),
        freedom=n - 2 if own else n - 1,
        slope=weight,
    )


def _weighted(
    exact: Array, near: Array, everywhere: Array, weight: Array, slope: Array | None
) -> Estimate:
    # An image of weight 1 was certain: what it shows adds no error of sampling.
    n, total, size = len(exact), len(everywhere), weight.sum()
    centre, middle = (weight * exact).sum(0) / size, (weight * near).sum(0) / size
    away = near - middle
    spread = (weight * away**2).sum(0)
    usable = spread > 0
    safe = np.where(usable, spread, 1.0)
    gap = everywhere.mean(0) - middle
    own = slope is None
    fitted = (weight * away * exact).sum(0) / safe
    tilt = np.where(usable, fitted, 0.0) if slope is None else slope
    left = exact - centre - tilt * away
    share = weight / size + (weight * away * gap / safe if own else 0.0)
    leverage = np.minimum(weight / size + (weight * away**2 / safe if own else 0.0), 0.9)
    sampling = ((1 - 1 / weight) * (share * left / (1 - leverage)) ** 2).sum(0)
    varied = (weight * (exact - centre) ** 2).sum(0) / size
    return _with_interval(
        mean=centre + tilt * gap,
        error=np.sqrt(sampling + varied / total),
        freedom=n - 2 if own else n - 1,
        slope=tilt,
    )


def _plain(exact: Array) -> Estimate:
    n = len(exact)
    error = exact.std(0, ddof=1) / np.sqrt(n) if n > 1 else np.full(exact.shape[1], np.inf)
    return _with_interval(
        mean=exact.mean(0), error=error, freedom=max(1, n - 1), slope=np.zeros(exact.shape[1])
    )


def _with_interval(mean: Array, error: Array, freedom: int, slope: Array) -> Estimate:
    half = stats.t.ppf(0.5 + LEVEL / 2, freedom) * error
    nothing = (mean == 0) & (error == 0)
    ratio = np.abs(mean) / np.where(error > 0, error, 1e-300)
    return Estimate(
        mean=mean,
        low=mean - half,
        high=mean + half,
        p_value=np.where(nothing, 1.0, 2 * stats.t.sf(ratio, freedom)),
        error=error,
        freedom=freedom,
        slope=slope,
    )

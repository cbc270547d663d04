"""Calibration: whether a model that is 80 % sure is right 80 % of the time.

The calibration error of a finite sample is never zero, not even for a perfectly calibrated model,
because the share of right answers in a bin scatters. So the error comes with the error that
perfect calibration would show on as many images with the same confidences.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from governance.methods.statistics.intervals import LEVEL, bootstrap
from governance.methods.statistics.proportions import ClassShare, ends
from governance.records.evidence import Interval, Table

__all__ = ["Calibration", "calibration", "calibration_table"]

RESAMPLES = 1000
# Bins with fewer images would measure scatter.
CROWD = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Confidence against the share of right answers.

    Attributes:
        error: Expected calibration error: mean over images of the bin's |confidence - share right|.
        interval: Of the true error in these bins, from 0 where perfect calibration is not excluded;
            None for fewer than two images.
        null_mean: Mean error of a perfectly calibrated model with the same confidences and bins.
        null_high: Its 97.5 % quantile: above it, miscalibration is more than scatter.
        counts: (B,) images per bin, in order of confidence.
        hits: (B,) right answers per bin.
        confidence: (B,) mean confidence per bin.
    """

    error: float
    interval: Interval | None
    null_mean: float
    null_high: float
    counts: NDArray[np.int64]
    hits: NDArray[np.int64]
    confidence: NDArray[np.float64]


def calibration(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], *, bins: int = 15, seed: int = 0
) -> Calibration:
    """The calibration error of the named class in bins of equally many images.

    Bins are cut at quantiles of the confidence; equal confidences share a bin, so that the order
    of the images does not matter, and there may be fewer bins than asked for.

    Args:
        confidence: (N,) probability the model gives to the class it names.
        correct: (N,) whether that class is right.
        bins: At most so many; fewer where that leaves less than 30 images for each.
        seed: Of resampling and simulation.

    Source:
        Guo et al. 2017 (the error); Nixon et al. 2019 (bins of equal mass); Broecker and Smith
        2007 and Vaicenavicius et al. 2019 (what perfect calibration shows).
    """
    n = len(confidence)
    bins = max(1, min(bins, n // CROWD))
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1]))
    raw = np.searchsorted(edges, confidence, side="left")
    _, member = np.unique(raw, return_inverse=True)
    counts = np.bincount(member)

    def error_of(right: NDArray[np.float64]) -> float:
        gaps = np.bincount(member, weights=confidence - right)
        return float(np.abs(gaps).sum() / n)

    error = error_of(correct.astype(np.float64))
    rng = np.random.default_rng(seed)
    null = [error_of((rng.random(n) < confidence).astype(np.float64)) for _ in range(RESAMPLES)]
    null_high = float(np.quantile(null, (1 + LEVEL) / 2))
    interval = _interval(error, member, confidence - correct, seed)
    if interval is not None and error <= null_high:
        interval = replace(interval, low=0.0)
    return Calibration(
        error=error,
        interval=interval,
        null_mean=float(np.mean(null)),
        null_high=null_high,
        counts=counts,
        hits=np.bincount(member, weights=correct).astype(np.int64),
        confidence=np.bincount(member, weights=confidence) / counts,
    )


def _interval(
    error: float, member: NDArray[np.intp], gap: NDArray[np.float64], seed: int
) -> Interval | None:
    """The basic bootstrap interval, reflected about the estimate.

    A resample scatters about the sample as the sample does about the truth, and absolute values
    push both upwards; reflection takes that push out where the percentile interval would double it.
    What is left of it matters near 0 alone, where the caller lets the simulation decide.
    """
    rows = np.column_stack([member, gap])

    def statistic(part: NDArray[np.float64]) -> float:
        sums = np.bincount(part[:, 0].astype(np.intp), weights=part[:, 1])
        return float(np.abs(sums).sum() / len(part))

    drawn = bootstrap(statistic, rows, seed, resamples=RESAMPLES)
    if drawn is None:
        return None
    return Interval(
        low=max(0.0, 2 * error - max(error, drawn.high)),
        high=max(error, min(1.0, 2 * error - drawn.low)),
        n=drawn.n,
        level=drawn.level,
        method="basic bootstrap",
    )


def calibration_table(scale: Calibration) -> Table:
    """Confidence and share of right answers of every bin."""
    bins = [
        ClassShare(hits=int(hits), n=int(n))
        for hits, n in zip(scale.hits, scale.counts, strict=True)
    ]
    return Table(
        name="calibration",
        caption=(
            "Each row is a bin of images with like confidence. It gives the mean confidence, the "
            "number of images n, and the share of right answers with its 95 % Wilson interval."
        ),
        columns=("confidence", "n", "right", "low", "high"),
        rows=tuple(
            (float(confidence), item.n, item.share, *ends(item.interval))
            for confidence, item in zip(scale.confidence, bins, strict=True)
        ),
    )

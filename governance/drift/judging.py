"""Judging: compare a version with the reference runs and the tolerance, and state a verdict.

The same function judges the new version and, to count false alarms, every reference run in turn as
if it were the new version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from governance.drift.answers import Change, SelfTest, Verdict
from governance.drift.distances import LEAST, MEANINGS, Distances, kind_of
from governance.drift.ranks import combined, holm, reach, share_reached, studentised
from governance.methods.statistics.intervals import clopper_pearson
from governance.records.drift_terms import DriftTerms
from governance.records.numbers import number

__all__ = ["FEWEST", "OLD", "Judged", "bounds", "false_alarms", "judge"]

OLD = 0  # the old version's place among all versions
FEWEST = 4  # references below which no p-value is given
RESAMPLES = 2000
SIDE = 0.95  # of each one-sided bound; both ends together are a 90 % interval
MAPPED = {"rank", "top"}  # statistics that a declared tolerance is about
HARMLESS = 0.95  # share of the references' drifts inside the tolerance taken from them

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """The judgement of one version by its distances.

    Attributes:
        changes: Change in every statistic.
        null: Combined score of every reference run.
        observed: Combined score of the version; None with fewer than two reference runs.
        p: P-value of the rank test; None without a reference run.
        estimate: Mean heat map distance to the old version and the reference runs.
        lower: One-sided lower 95 % bound of `estimate`.
        upper: One-sided upper 95 % bound of `estimate`.
        tolerance: Declared tolerance, or that of the reference runs; None with neither.
        verdict: Verdict on the version.
    """

    changes: tuple[Change, ...]
    null: tuple[float, ...]
    observed: float | None
    p: float | None
    estimate: float
    lower: float
    upper: float
    tolerance: float | None
    verdict: Verdict


def judge(
    between: Distances, candidate: int, references: Sequence[int], terms: DriftTerms, seed: int
) -> Judged:
    """Judge one version against the old one and the reference runs.

    The verdict is DRIFT if the rank test rejects and a statistic that drives it is large enough to
    matter, or if the lower bound of the heat map distance exceeds a declared tolerance. Otherwise
    it is EQUIVALENT if the upper bound is within the tolerance. Otherwise it is INCONCLUSIVE.

    Args:
        between: All distances; place `OLD` is the old version.
        candidate: Place of the version to judge.
        references: Places of the reference runs.
        terms: Terms with tolerance and alpha.
        seed: Seed of the bootstrap.
    """
    members, m = (candidate, *references), len(references)
    totals = {name: reach(matrix, members, (OLD,)) for name, matrix in between.between.items()}
    counted = _counted(totals, terms.tolerance)
    scores = combined(counted)
    drifts = totals["rank"]
    tolerance = terms.tolerance
    if tolerance is None and m >= FEWEST:
        # Without the new version, which would widen its own tolerance.
        harmless = reach(between.between["rank"], references, (OLD,))
        tolerance = float(np.quantile(harmless, HARMLESS))
    low, high = bounds(between.by_image[candidate][[OLD, *references]], seed)
    judged = Judged(
        changes=_changes(totals, counted, terms),
        null=tuple(float(score) for score in scores[1:]),
        observed=float(scores[0]) if m > 1 else None,
        p=share_reached(scores, 0) if m else None,
        estimate=float(drifts[0]), lower=low, upper=high, tolerance=tolerance,
        verdict="INCONCLUSIVE",
    )  # fmt: skip
    return replace(judged, verdict=_verdict(judged, terms, m))


def bounds(distances: Array, seed: int) -> tuple[float, float]:
    """One-sided 95 % bounds of a mean distance, by a bootstrap over runs and images at once.

    Args:
        distances: Distances, (runs, images).
        seed: Seed of the resampling.

    Source:
        The two-way ("pigeonhole") bootstrap, Owen 2007.
    """
    runs, images = distances.shape
    rng = np.random.default_rng(seed)
    of_runs = rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES) / runs
    # Counts of draws with replacement; drawing a multinomial takes ten times as long.
    drawn = rng.integers(images, size=(RESAMPLES, images)) + images * np.arange(RESAMPLES)[:, None]
    of_images = np.bincount(drawn.ravel(), minlength=RESAMPLES * images) / images
    of_images = of_images.reshape(RESAMPLES, images)
    draws = ((of_runs @ distances) * of_images).sum(1)
    low, high = np.quantile(draws, [1 - SIDE, SIDE])
    # Rounding must not put the estimate outside where nothing varies.
    centre = float(distances.mean())
    return min(float(low), centre), max(float(high), centre)


def false_alarms(
    between: Distances, references: Sequence[int], terms: DriftTerms, seed: int
) -> SelfTest:
    """How often a reference run would be called drifted, each judged against the others.

    All trials rank the same runs, so by rank alone no more of them than promised can stand out. The
    test counts how many of these also moved far enough to matter or beyond a declared tolerance.
    """
    m = len(references)
    if m <= FEWEST:
        words = f"False alarms: unknown, since {m} reference runs are too few to judge one by the "
        words += "others."
        return SelfTest(
            name="leave_one_out", trials=0, alarms=0, nominal=terms.alpha, interval=None,
            passed=None, words=words,
        )  # fmt: skip
    # One reference fewer has a coarser p: the nominal rate is the nearest one it can keep.
    nominal = max(terms.alpha, 1 / m)
    kept = replace(terms, alpha=nominal)
    verdicts = [
        judge(between, one, [other for other in references if other != one], kept, seed).verdict
        for one in references
    ]
    alarms, equal = verdicts.count("DRIFT"), verdicts.count("EQUIVALENT")
    interval = clopper_pearson(alarms, m)
    span = f"{number(interval.low, 2)} to {number(interval.high, 2)}" if interval else "unknown"
    return SelfTest(
        name="leave_one_out",
        trials=m,
        alarms=alarms,
        nominal=nominal,
        interval=interval,
        passed=interval is not None and interval.low <= nominal,
        words=(
            f"False alarms: {alarms} of {m} reference runs would be called drifted, each judged by "
            f"the others, and {equal} would be called equivalent. The 95 % interval of the rate is "
            f"{span}, as if the trials were independent, which they are not. At most "
            f"{number(nominal, 2)} is promised."
        ),
    )


def rejectable(references: int, alpha: float) -> bool:
    """Whether a rank test over so many reference runs can give a p-value of at most alpha."""
    return references >= FEWEST and 1 / (references + 1) <= alpha


def _counted(totals: Mapping[str, Array], tolerance: float | None) -> dict[str, Array]:
    """Distances of every member, with 0 in place of those too small to matter.

    All members are treated alike, so ranks stay exchangeable. A statistic in which no member moved
    far then adds no noise to the others. A declared tolerance limits heat map distances, so for a
    member within it neither `rank` nor `top` counts.
    """
    outside = totals["rank"] > (tolerance or 0.0)
    return {
        name: np.where(outside if name in MAPPED else values > LEAST[kind_of(name)], values, 0.0)
        for name, values in totals.items()
    }


def _changes(
    totals: Mapping[str, Array], counted: Mapping[str, Array], terms: DriftTerms
) -> tuple[Change, ...]:
    names = list(totals)
    m = len(totals["rank"]) - 1
    enough, able = m >= FEWEST, rejectable(m, terms.alpha)
    alone = [share_reached(counted[name], 0) for name in names]
    together = holm(alone)
    changes = []
    for name, p, adjusted in zip(names, alone, together, strict=True):
        values, kind = totals[name], kind_of(name)
        value, benign = float(values[0]), tuple(float(item) for item in values[1:])
        score = float(studentised(values)[0])
        changes.append(
            Change(
                name=name,
                meaning=MEANINGS[kind],
                value=value,
                benign=benign,
                score=score if len(benign) > 1 and np.isfinite(score) else None,
                p=p if enough else None,
                p_holm=adjusted if enough else None,
                least=terms.tolerance or 0.0 if name == "rank" else LEAST[kind],
                drives=bool(p <= terms.alpha and counted[name][0] > 0) if able else None,
            )
        )
    return tuple(changes)


def _verdict(judged: Judged, terms: DriftTerms, m: int) -> Verdict:
    alarmed = m >= FEWEST and judged.p is not None and judged.p <= terms.alpha
    if alarmed and any(change.drives for change in judged.changes):
        return "DRIFT"
    if terms.tolerance is not None and judged.lower > terms.tolerance:
        return "DRIFT"
    if judged.tolerance is not None and judged.upper <= judged.tolerance:
        return "EQUIVALENT"
    return "INCONCLUSIVE"

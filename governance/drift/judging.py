"""Judging: a candidate against the references it should be exchangeable with, and the tolerance.

The same judgement is passed on the new version and, to see how often it errs, on every reference
in turn as if it were the new one.
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
    """What the distances say of one candidate.

    Attributes:
        changes: Every statistic.
        null: Combined score of every reference.
        observed: Combined score of the candidate; None with fewer than two references.
        p: Of the rank test; None where no reference was given.
        estimate: Mean map distance to the old version and the references.
        lower: One-sided 95 % bound of it.
        upper: The other one.
        tolerance: Declared, or what the references show; None with neither.
        verdict: Of all this.
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
    found: Distances, candidate: int, references: Sequence[int], terms: DriftTerms, seed: int
) -> Judged:
    """Judge one version against the old one and the references.

    DRIFT where the rank test rejects and a statistic that drives it is large enough to matter, or
    where the map distance is beyond a declared tolerance with confidence; else EQUIVALENT where
    its upper bound is inside the tolerance; else INCONCLUSIVE.

    Args:
        found: All distances; place `OLD` is the old version.
        candidate: Its place.
        references: Theirs.
        terms: Tolerance and alpha.
        seed: Of the bootstrap.
    """
    members, m = (candidate, *references), len(references)
    totals = {name: reach(matrix, members, (OLD,)) for name, matrix in found.between.items()}
    counted = _counted(totals, terms.tolerance)
    scores = combined(counted)
    drifts = totals["rank"]
    tolerance = terms.tolerance
    if tolerance is None and m >= FEWEST:
        # Among themselves: were the new version among them, it would widen its own tolerance.
        harmless = reach(found.between["rank"], references, (OLD,))
        tolerance = float(np.quantile(harmless, HARMLESS))
    low, high = bounds(found.by_image[candidate][[OLD, *references]], seed)
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
        distances: (runs, images).
        seed: Of the resampling.

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
    found: Distances, references: Sequence[int], terms: DriftTerms, seed: int
) -> SelfTest:
    """How often a reference would be called drifted, each in turn against the others.

    All trials rank the same runs, so that not more of them than promised can stand out but by the
    declared tolerance; what is seen is how many of these also went far enough to matter.
    """
    m = len(references)
    if m <= FEWEST:
        words = f"False alarms: not known; {m} references leave too few to judge one by the others."
        return SelfTest(
            name="leave_one_out", trials=0, alarms=0, nominal=terms.alpha, interval=None,
            passed=None, words=words,
        )  # fmt: skip
    # One reference fewer has a coarser p: the nominal rate is the nearest one it can keep.
    nominal = max(terms.alpha, 1 / m)
    kept = replace(terms, alpha=nominal)
    verdicts = [
        judge(found, one, [other for other in references if other != one], kept, seed).verdict
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
            f"False alarms: {alarms} of {m} references would be called drifted, each judged by the "
            f"others (95 % interval {span}, as if the trials were independent, which they are not; "
            f"{number(nominal, 2)} promised, and by rank alone no more can be); {equal} would be "
            "called equivalent."
        ),
    )


def rejectable(references: int, alpha: float) -> bool:
    """Whether a rank test over so many references can give a p-value of at most alpha."""
    return references >= FEWEST and 1 / (references + 1) <= alpha


def _counted(totals: Mapping[str, Array], tolerance: float | None) -> dict[str, Array]:
    """Every member's distances with those too small to matter as none.

    It is done to all members alike, so that ranks stay exchangeable; a statistic in which nobody
    went far then adds no noise to the others. A declared tolerance is one on maps: for a member
    inside it neither ranks nor tops count.
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

"""Questions: the answers of a comparison, each in words that can be read alone."""

from collections.abc import Sequence

import numpy as np

from governance.drift.answers import DriftAnswer, Outcome
from governance.drift.judging import FEWEST, SIDE, Judged, bounds
from governance.drift.moved import Moved
from governance.drift.version import Version
from governance.methods.coarse_maps import rank_distance, ranked
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Interval
from governance.records.numbers import number

__all__ = ["equivalence", "exchangeability", "notes", "reasons", "to_first"]


def exchangeability(judged: Judged, versions: Sequence[Version], terms: DriftTerms) -> DriftAnswer:
    """Could the new version be one more harmless run?

    Args:
        judged: Judgement of the new version.
        versions: Old version, new version and reference runs.
        terms: Terms with alpha and the kind of reference runs.
    """
    m = len(versions) - 2
    floor = 1 / (m + 1)
    score = (
        judged.observed if judged.observed is not None and np.isfinite(judged.observed) else None
    )
    outcome: Outcome = "open"
    words = "no reference runs were given, so there is nothing to compare with."
    if 0 < m < FEWEST:
        outcome = "advisory"
        spread = "without a spread" if score is None else f"combined score {number(score, 2)}"
        words = f"advisory, since {m} reference runs are too few for a p-value ({spread})."
    elif m >= FEWEST and judged.p is not None:
        rejected = judged.p <= terms.alpha
        far = "beyond any scale" if score is None else f"{number(score, 2)}"
        words = (
            f"the new version is {'unlike' if rejected else 'like one of'} the {m} reference runs "
            f"(rank test over {len(judged.changes)} statistics, combined score {far}, p = "
            f"{number(judged.p, 3)}; the smallest possible is {number(floor, 3)})."
        )
        outcome = "no" if rejected else "yes"
        if floor > terms.alpha:
            outcome = "open"
            words += f" So few reference runs can never reach alpha = {terms.alpha:g}."
    if terms.references == "checkpoint" and m:
        words += " The reference runs are checkpoints of one run and differ too little from each "
        words += "other, so the test alarms too often."
    return DriftAnswer(
        question="exchangeability",
        outcome=outcome,
        statistic=score,
        p=judged.p if m >= FEWEST else None,
        p_floor=floor if m >= FEWEST else None,
        n=len(versions[0].labels),
        m=m,
        words=f"Exchangeability with harmless runs: {words}",
    )


def equivalence(judged: Judged, versions: Sequence[Version], terms: DriftTerms) -> DriftAnswer:
    """Is the drift inside the tolerance?

    Args:
        judged: Judgement of the new version.
        versions: Old version, new version and reference runs.
        terms: Terms with the declared tolerance, if any.
    """
    outcome: Outcome = "open"
    n, m = len(versions[0].labels), len(versions) - 2
    measured = (
        f"mean heat map distance {number(judged.estimate)}, one-sided 95 % bounds "
        f"{number(judged.lower)} and {number(judged.upper)}, n = {n} images, {m} reference runs"
    )
    if judged.tolerance is None:
        words = f"no tolerance was declared and too few reference runs show one ({measured})."
    else:
        inside = judged.upper <= judged.tolerance
        outcome = "yes" if inside else "no"
        source = (
            "declared" if terms.tolerance is not None
            else f"95 % point of the drifts of {m} reference runs among themselves, interpolated"
        )  # fmt: skip
        words = (
            f"the upper bound is {'inside' if inside else 'not inside'} the tolerance of "
            f"{number(judged.tolerance)} ({source}); {measured}."
        )
    return DriftAnswer(
        question="equivalence",
        outcome=outcome,
        statistic=judged.estimate,
        interval=_two_way(judged.lower, judged.upper, n),
        n=n,
        m=m,
        words=f"Equivalence: {words}",
    )


def _two_way(low: float, high: float, n: int) -> Interval:
    # Both one-sided bounds together.
    return Interval(low=low, high=high, n=n, level=2 * SIDE - 1, method="two-way bootstrap")


def to_first(first: Version, new: Version, terms: DriftTerms, seed: int) -> DriftAnswer:
    """Is the drift over the whole version history within its budget?

    Args:
        first: The version approved first.
        new: The version in question.
        terms: Terms with the budget.
        seed: Seed of the bootstrap.
    """
    distance = rank_distance(ranked(first.maps), ranked(new.maps))
    low, high = bounds(distance[None], seed)
    estimate, n = float(distance.mean()), len(distance)
    outcome: Outcome = "open"
    held = "no budget was declared"
    if terms.budget is not None:
        outcome = "yes" if high <= terms.budget else "no"
        held = f"the upper bound is {'inside' if outcome == 'yes' else 'not inside'} the budget of "
        held += f"{number(terms.budget)}"
    return DriftAnswer(
        question="equivalence",
        outcome=outcome,
        statistic=estimate,
        interval=_two_way(low, high, n),
        n=n,
        m=0,
        words=(
            f"To the version approved first ({first.identity.uri}): {held} (mean heat map distance "
            f"{number(estimate)}, one-sided 95 % bounds {number(low)} and {number(high)}, n = {n} "
            "images)."
        ),
    )


def reasons(judged: Judged, terms: DriftTerms, m: int) -> tuple[str, ...]:
    """Reasons for the verdict.

    Args:
        judged: Judgement of the new version.
        terms: Terms with alpha and tolerance.
        m: Number of reference runs.
    """
    drivers = [change.name for change in judged.changes if change.drives]
    if judged.verdict == "DRIFT":
        why = []
        if judged.p is not None and m >= FEWEST and judged.p <= terms.alpha and drivers:
            why.append(
                f"The version lies beyond the reference runs in {', '.join(drivers)} "
                f"(p = {number(judged.p, 3)})."
            )
        if terms.tolerance is not None and judged.lower > terms.tolerance:
            why.append(
                f"The lower bound of the heat map distance exceeds {number(terms.tolerance)}."
            )
        return tuple(why)
    if judged.verdict == "EQUIVALENT":
        return ("The upper bound of the heat map distance is inside the tolerance.",)
    if judged.tolerance is None:
        return (
            (
                f"There are {m} reference runs and no declared tolerance, so it is unknown how "
                "much change is harmless."
            ),
        )
    return (
        (
            "The heat map distance is neither shown to be inside the tolerance nor unlike the "
            "reference runs."
        ),
    )


def notes(moved: Moved, terms: DriftTerms, m: int) -> tuple[str, ...]:
    """Notes that a reader needs beside the answers.

    Args:
        moved: Images whose heat maps moved.
        terms: Terms with the kind of reference runs.
        m: Number of reference runs.
    """
    share = moved.share
    both = int(moved.both.sum())
    sentences = [
        "Same answer, different reason: "
        + (
            "no image is answered rightly by both versions."
            if share is None
            else f"{number(share, 3)} of the {both} images answered rightly by both versions moved "
            f"beyond a heat map distance of {number(moved.band)}, which 5 % of harmless distances "
            f"exceed (from {moved.rests_on})."
        )
    ]
    if m == 0:
        sentences.append(
            "Without reference runs no harmless change is known. The explainer's own noise is far "
            "smaller than the change from retraining."
        )
    elif terms.references == "checkpoint":
        sentences.append(
            "The reference runs are checkpoints of one run. Their spread is too small, so drift is "
            "found too often (anticonservative)."
        )
    return tuple(sentences)

"""Questions: the answers of a comparison, worded so that each can be read by itself."""

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
        judged: The new version.
        versions: Old, new, references.
        terms: With alpha and the kind of references.
    """
    m = len(versions) - 2
    floor = 1 / (m + 1)
    score = (
        judged.observed if judged.observed is not None and np.isfinite(judged.observed) else None
    )
    outcome: Outcome = "open"
    words = "no references were given; there is nothing to compare with."
    if 0 < m < FEWEST:
        outcome = "advisory"
        spread = "without a spread" if score is None else f"combined score {number(score, 2)}"
        words = f"advisory, {m} references are too few for a p-value ({spread})."
    elif m >= FEWEST and judged.p is not None:
        rejected = judged.p <= terms.alpha
        far = "beyond any scale" if score is None else f"{number(score, 2)}"
        words = (
            f"the new version is {'unlike' if rejected else 'like one of'} the {m} references "
            f"(rank test over {len(judged.changes)} statistics, combined score {far}, p = "
            f"{number(judged.p, 3)}; the smallest possible is {number(floor, 3)})."
        )
        outcome = "no" if rejected else "yes"
        if floor > terms.alpha:
            outcome = "open"
            words += f" So few references can never reach alpha = {terms.alpha:g}."
    if terms.references == "checkpoint" and m:
        words += " The references are checkpoints of one run and differ too little among each "
        words += "other: the test alarms too often."
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
        judged: The new version.
        versions: Old, new, references.
        terms: Whose tolerance, if any, was declared.
    """
    outcome: Outcome = "open"
    n, m = len(versions[0].labels), len(versions) - 2
    found = (
        f"mean map distance {number(judged.estimate)}, one-sided 95 % bounds "
        f"{number(judged.lower)} and {number(judged.upper)}, n = {n} images, {m} references"
    )
    if judged.tolerance is None:
        words = f"no tolerance was declared and too few references show one ({found})."
    else:
        inside = judged.upper <= judged.tolerance
        outcome = "yes" if inside else "no"
        source = (
            "declared" if terms.tolerance is not None
            else f"95 % point of the drifts of {m} references among themselves, interpolated"
        )  # fmt: skip
        words = (
            f"the upper bound is {'inside' if inside else 'not inside'} the tolerance of "
            f"{number(judged.tolerance)} ({source}); {found}."
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
    """Is the drift over the whole lineage inside its budget?

    Args:
        first: The version approved first.
        new: The version in question.
        terms: With the budget.
        seed: Of the bootstrap.
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
            f"To the version approved first ({first.identity.uri}): {held}; mean map distance "
            f"{number(estimate)}, one-sided 95 % bounds {number(low)} and {number(high)}, n = {n} "
            "images."
        ),
    )


def reasons(judged: Judged, terms: DriftTerms, m: int) -> tuple[str, ...]:
    """Why the verdict is what it is.

    Args:
        judged: The new version.
        terms: Alpha and tolerance.
        m: References.
    """
    drivers = [change.name for change in judged.changes if change.drives]
    if judged.verdict == "DRIFT":
        found = []
        if judged.p is not None and m >= FEWEST and judged.p <= terms.alpha and drivers:
            found.append(
                f"Beyond the references in {', '.join(drivers)} (p = {number(judged.p, 3)})."
            )
        if terms.tolerance is not None and judged.lower > terms.tolerance:
            found.append(f"The lower bound of the map distance is above {number(terms.tolerance)}.")
        return tuple(found)
    if judged.verdict == "EQUIVALENT":
        return ("The upper bound of the map distance is inside the tolerance.",)
    if judged.tolerance is None:
        return (f"{m} references and no declared tolerance: nothing says how much is harmless.",)
    return (
        "The map distance is neither shown to be inside the tolerance nor unlike the references.",
    )


def notes(moved: Moved, terms: DriftTerms, m: int) -> tuple[str, ...]:
    """What a reader must know besides the answers.

    Args:
        moved: Images whose maps moved.
        terms: With the kind of references.
        m: References.
    """
    share = moved.share
    both = int(moved.both.sum())
    found = [
        "Same answer, different reason: "
        + (
            "no image is answered rightly by both versions."
            if share is None
            else f"{number(share, 3)} of the {both} images answered rightly by both versions moved "
            "beyond "
            f"a map distance of {number(moved.band)}, which 5 % of harmless distances exceed (from "
            f"{moved.rests_on})."
        )
    ]
    if m == 0:
        found.append("Without references no harmless change is known; the explainer's own noise is "
                     "far less than that of training anew.")  # fmt: skip
    elif terms.references == "checkpoint":
        found.append("References are checkpoints of one run: their spread is too small, and drift "
                     "is found too often (anticonservative).")  # fmt: skip
    return tuple(found)

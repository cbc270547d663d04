"""Terms: what a policy may say about drift, and expect of it."""

import inspect
from collections.abc import Sequence

from governance.drift import comparison, measurement
from governance.drift.distances import MEANINGS
from governance.drift.version import MAPS
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Failure, Metric
from governance.records.lineage import Lineage
from governance.records.policy import DRIFT, INAPPLICABLE, Expectation, Policy, Written

__all__ = ["METRICS", "about", "problems", "standing", "unanswerable"]

#: What a policy may expect as `drift.<name>`: of the comparison, and of the envelope around it.
METRICS = {
    **measurement.METRICS,
    "outside_envelope": Metric(
        meaning="sides of the policy's change envelope (layers, data, drift) that were overstepped",
        better="lower",
        highest=3.0,
    ),
}


def about() -> str:
    """The description of the comparison, for the report."""
    return inspect.cleandoc(comparison.__doc__ or "")


def problems(policy: Policy, written: Sequence[Written]) -> list[str]:
    """What is wrong with what a policy says about drift.

    Args:
        policy: As read.
        written: Its expectations.
    """
    terms, found = policy.drift, []
    if terms is None:
        return [
            f"{item.place}.metric: {item.metric!r} is expected and drift is not looked for; a "
            "table [drift] is needed"
            for item in written
            if item.metric.partition(".")[0] == DRIFT
        ]
    if MAPS not in policy.analyses:
        found.append(f"[drift]: compares what {MAPS} records; a table [analyses.{MAPS}] is needed")
    accepted = [name for name in MEANINGS if name != "region"]
    accepted += [f"region:{name}" for name in terms.regions]
    found += [
        f"drift.statistics: no such statistic {name!r}; accepted are {', '.join(accepted)}"
        for name in terms.statistics
        if name not in accepted
    ]
    return found


def standing(terms: DriftTerms) -> tuple[Expectation, ...]:
    """What is expected under a policy with these terms, unless it states its own.

    Drift rejects; where neither drift nor equivalence is shown, a person is asked. A budget and an
    envelope were written down by someone, and reject.
    """
    found = [
        Expectation(
            metric=f"{DRIFT}.drifted",
            at_most=0.0,
            rationale="The version does not decide for other reasons than harmless training gives.",
        ),
        Expectation(
            metric=f"{DRIFT}.excess",
            at_most=1.0,
            severity="review",
            rationale="The explanations are shown to have moved no further than is tolerated.",
        ),
    ]
    if terms.budget is not None:
        found.append(
            Expectation(
                metric=f"{DRIFT}.to_first_upper",
                at_most=terms.budget,
                rationale="Many small drifts are one large one: the budget of the whole lineage.",
            )
        )
    if terms.envelope is not None:
        found.append(
            Expectation(
                metric=f"{DRIFT}.outside_envelope",
                at_most=0.0,
                rationale="A version changes only where, by what and as far as was agreed.",
            )
        )
    return tuple(found)


def unanswerable(lineage: Lineage | None) -> Failure | None:
    """Why there is nothing to compare a version with; None where there is.

    For a version that no approved one went before what is expected of its drift does not apply;
    where that is not known, it could not be measured.
    """
    if lineage is not None and lineage.previous is not None:
        return None
    if lineage is None or lineage.unknown is not None:
        why = "the versions before were not looked up" if lineage is None else lineage.unknown
        return Failure(kind="not run", message=f"no comparison: {why}")
    return Failure(
        kind=INAPPLICABLE,
        message="no approved version went before this one, so there is nothing to compare it with",
    )

"""Expectations that a policy may state about drift, and those that are built in."""

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

#: Metrics that a policy may name as `drift.<name>`: of the comparison and of the allowed changes.
METRICS = {
    **measurement.METRICS,
    "outside_envelope": Metric(
        meaning="Number of kinds of change (layers, data, drift) that the policy does not allow.",
        better="lower",
        highest=3.0,
    ),
}


def about() -> str:
    """The description of the comparison, for the report."""
    return inspect.cleandoc(comparison.__doc__ or "")


def problems(policy: Policy, written: Sequence[Written]) -> list[str]:
    """Problems in what a policy states about drift.

    Args:
        policy: Policy as read.
        written: Expectations as the policy writes them.
    """
    terms, messages = policy.drift, []
    if terms is None:
        return [
            f"{item.place}.metric: {item.metric!r} is expected and drift is not looked for; a "
            "table [drift] is needed"
            for item in written
            if item.metric.partition(".")[0] == DRIFT
        ]
    if MAPS not in policy.analyses:
        messages.append(
            f"[drift]: compares what {MAPS} records; a table [analyses.{MAPS}] is needed"
        )
    accepted = [name for name in MEANINGS if name != "region"]
    accepted += [f"region:{name}" for name in terms.regions]
    messages += [
        f"drift.statistics: no such statistic {name!r}; accepted are {', '.join(accepted)}"
        for name in terms.statistics
        if name not in accepted
    ]
    return messages


def standing(terms: DriftTerms) -> tuple[Expectation, ...]:
    """Built-in expectations of drift, which hold unless the policy states its own.

    Drift rejects a version. If neither drift nor equivalence is shown, a person must decide. A
    budget and an envelope are declared in the policy, so a miss rejects.
    """
    expected = [
        Expectation(
            metric=f"{DRIFT}.drifted",
            at_most=0.0,
            rationale="The version decides for no other reasons than harmless training gives.",
        ),
        Expectation(
            metric=f"{DRIFT}.excess",
            at_most=1.0,
            severity="review",
            rationale="The heat maps are shown to have moved no further than is tolerated.",
        ),
    ]
    if terms.budget is not None:
        expected.append(
            Expectation(
                metric=f"{DRIFT}.to_first_upper",
                at_most=terms.budget,
                rationale="Many small drifts add up to a large one; the budget limits their sum.",
            )
        )
    if terms.envelope is not None:
        expected.append(
            Expectation(
                metric=f"{DRIFT}.outside_envelope",
                at_most=0.0,
                rationale="A version changes only as far as the policy allows.",
            )
        )
    return tuple(expected)


def unanswerable(lineage: Lineage | None) -> Failure | None:
    """The failure of a comparison without a previous version; None if there is one.

    Expectations of drift do not apply to a version without an approved predecessor. If it is
    unknown whether there is one, drift could not be measured.
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

"""Consistency: whether an assessment follows from itself, whatever its digests say.

Digests can be made to fit anything. A verdict cannot be made to follow from evidence that does not
give it, nor a policy to be the one whose text stands beside it.
"""

import dataclasses
from collections.abc import Iterator

from governance.errors import PolicyError
from governance.records.assessment import Assessment
from governance.records.decision import Decision, judge
from governance.records.policy import Policy

__all__ = ["contradictions"]


def contradictions(assessment: Assessment) -> Iterator[str]:
    """Where an assessment contradicts itself, a sentence each; none if it follows from itself.

    The evidence is judged again and the text of the policy read again.
    """
    recorded = assessment.decision
    again = judge(assessment.policy, assessment.evidence, assessment.waivers)
    if _essence(recorded) != _essence(again):
        yield (
            f"the record says {recorded.verdict} and its evidence, judged again, "
            f"gives {again.verdict}"
            + ("" if recorded.verdict != again.verdict else ", by other findings")
        )
    made = assessment.moment.timestamp()
    for waiver in assessment.waivers:
        if not waiver.held(made):
            yield (
                f"the record of {assessment.created} rests on a waiver of {waiver.metric} that "
                "did not hold then"
            )
    policy = assessment.policy
    try:
        written = Policy.loads(policy.text, where="policy.toml")
    except PolicyError as error:
        yield from error.problems
        return
    # Built-in expectations come after those written; paths were completed on reading.
    stated = policy.expectations[: len(written.expectations)]
    names = written.model.class_names
    placed = policy.at(written.validation, names if isinstance(names, str) else None)
    if dataclasses.replace(placed, expectations=stated) != written:
        yield "the record was not judged by the policy whose text it holds"


def _essence(decision: Decision) -> object:
    """A decision without its sentences, whose wording may change between versions of this code."""
    findings = [dataclasses.replace(item, reason="") for item in decision.findings]
    return decision.verdict, findings

"""Gaps: what an assessment says nothing about, named before anything else is believed."""

from dataclasses import dataclass

from governance.records.assessment import Assessment
from governance.records.evidence import Failure
from governance.records.policy import INAPPLICABLE
from governance.records.topics import TOPICS

__all__ = ["Gap", "inapplicable", "uncovered", "unmeasured", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A subject that an assessment says nothing about, and the reason.

    Attributes:
        subject: Analysis or topic.
        reason: Why nothing is known.
        consequence: What may go wrong unseen.
        decides: Role of the person who decides on it.
    """

    subject: str
    reason: str
    consequence: str = "What the analysis is for is not known."
    decides: str = "assessor"


def unmeasured(assessment: Assessment) -> tuple[Gap, ...]:
    """Analyses that failed or left a question open, and those asked for that were not run."""
    present = {item.analysis for item in assessment.evidence}
    metrics = (item.metric.partition(".")[0] for item in assessment.policy.expectations)
    asked = dict.fromkeys([*assessment.policy.analyses, *metrics])
    failed = [
        Gap(item.analysis, _why(item.failure))
        for item in assessment.evidence
        if item.failure is not None
    ]
    left_open = [
        Gap(item.analysis, sentence, "The analysis leaves this question open.")
        for item in assessment.evidence
        if item.measurement is not None
        for sentence in item.measurement.unanswered
    ]
    absent = [
        Gap(name, "the policy asks for it; it was not run") for name in asked if name not in present
    ]
    return (*failed, *left_open, *absent)


def withdrawn(assessment: Assessment) -> tuple[Gap, ...]:
    """Analyses whose evidence must not be relied on, each with its reasons."""
    return tuple(
        Gap(item.analysis, "; ".join(item.measurement.withdrawn))
        for item in assessment.evidence
        if item.measurement is not None and item.measurement.withdrawn
    )


def inapplicable(assessment: Assessment) -> tuple[str, ...]:
    """Analyses that cannot be put to this kind of model; not drift, which lacks a predecessor."""
    return tuple(
        item.analysis
        for item in assessment.evidence
        if item.failure is not None
        and item.failure.kind == INAPPLICABLE
        and item.analysis != "drift"
    )


def _why(failure: Failure) -> str:
    if failure.kind == INAPPLICABLE:
        return f"not applicable: {failure.message}"
    return f"the analysis failed ({failure.kind}): {failure.message}"


def uncovered(assessment: Assessment) -> tuple[Gap, ...]:
    """Topics on which nothing was measured that may be relied on, whatever the policy asks."""
    covered = {
        topic
        for item in assessment.evidence
        if item.measurement is not None and not item.measurement.withdrawn
        for topic in item.covers
    }
    return tuple(
        Gap(topic.title, topic.gap, topic.consequence, topic.decides)
        for key, topic in TOPICS.items()
        if key not in covered
    )

"""Gaps: what an assessment says nothing about, named before anything else is believed."""

from dataclasses import dataclass

from governance.records.assessment import Assessment
from governance.records.evidence import Failure
from governance.records.policy import INAPPLICABLE

__all__ = ["Gap", "uncovered", "unmeasured", "withdrawn"]

# Subjects which no report of this kind answers, each with the analyses that would.
SUBJECTS: tuple[tuple[str, str, frozenset[str]], ...] = (
    (
        "Intended purpose and use",
        "whether the task, the users and the setting suit such a model is for people to decide",
        frozenset(),
    ),
    (
        "Fairness across groups",
        "the validation images carry classes, not attributes of people or groups",
        frozenset(),
    ),
    (
        "Adversarial and corrupted inputs",
        "no search for, and no bound on, inputs made to mislead the model",
        frozenset({"verified_perturbation"}),
    ),
    (
        "Operation",
        "drift, monitoring and behaviour on inputs unlike the validation images",
        frozenset(),
    ),
    (
        "Training data",
        "origin, consent, annotation and overlap with the validation images",
        frozenset(),
    ),
    (
        "Security of the supply chain",
        "the origin of the model's files and of the software that runs them",
        frozenset(),
    ),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that this assessment says nothing about, and why."""

    subject: str
    reason: str


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
        Gap(item.analysis, sentence)
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


def _why(failure: Failure) -> str:
    if failure.kind == INAPPLICABLE:
        return f"not applicable: {failure.message}"
    return f"the analysis failed ({failure.kind}): {failure.message}"


def uncovered(assessment: Assessment) -> tuple[Gap, ...]:
    """Subjects on which nothing was measured that may be relied on, whatever the policy asks."""
    measured = {
        item.analysis
        for item in assessment.evidence
        if item.measurement is not None and not item.measurement.withdrawn
    }
    return tuple(
        Gap(subject, reason) for subject, reason, cover in SUBJECTS if not cover & measured
    )

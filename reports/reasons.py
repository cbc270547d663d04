"""Reasons: how the model comes to its answers, an analysis each, for part E of the report.

A sign of risk is seen where a requirement on the analysis is not met, and not seen where all are
met. Where one was not measured, or the policy has none, the report cannot tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from governance.records.assessment import Assessment
from governance.records.evidence import Evidence, Figure
from governance.records.policy import INAPPLICABLE
from reports.answers import Answer, answer_of
from reports.class_names import noun_of
from reports.findings import FindingText
from reports.prose import describe

__all__ = ["ELSEWHERE", "Reason", "Sign", "reasons"]

Sign = Literal["seen", "not seen", "cannot tell", "not applicable"]

#: Analyses that are told in part D.
ELSEWHERE = frozenset({"performance", "data_quality"})
ORDER: tuple[Sign, ...] = ("seen", "cannot tell", "not seen", "not applicable")
RISKS = "Signs of risk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """An analysis in part E.

    Attributes:
        analysis: Its name.
        title: Its name for a reader.
        question: What it asks.
        answer: What it found.
        figure: The figure of the evidence that is printed; None where a chart is, or nothing.
        sign: Whether a sign of risk is seen.
        why: Whom or what it is seen on, or why it cannot be told.
        meaning: What a sign means here, or what would be one.
        findings: The requirements on it.
        struck: Whether the numbers must not be relied on.
    """

    analysis: str
    title: str
    question: str
    answer: Answer
    figure: Figure | None
    sign: Sign
    why: str
    meaning: str
    findings: tuple[FindingText, ...]
    struck: bool


def reasons(assessment: Assessment, told: Sequence[FindingText]) -> tuple[Reason, ...]:
    """Part E of the report: seen signs first, then those that cannot be told.

    Args:
        assessment: The assessment as recorded.
        told: Its findings in words.
    """
    noun = noun_of(assessment)
    found = [
        _reason(assessment, item, told, noun)
        for item in assessment.evidence
        if item.analysis not in ELSEWHERE
    ]
    return tuple(sorted(found, key=lambda item: ORDER.index(item.sign)))


def _reason(
    assessment: Assessment, evidence: Evidence, told: Sequence[FindingText], noun: str
) -> Reason:
    mine = tuple(item for item in told if item.metric.startswith(f"{evidence.analysis}."))
    about = describe(evidence.analysis, evidence.about)
    answer = _answer(assessment, evidence, noun)
    sign, why = _sign(evidence, mine)
    figures = () if evidence.measurement is None else evidence.measurement.figures
    figure = next((item for item in figures if item.name == answer.figure), None)
    consequences = dict.fromkeys(
        item.consequence for item in mine if item.outcome == "unmet" and item.consequence
    )
    risks = next((part.blocks for part in about.parts if part.heading == RISKS), ())
    would_be = f"A sign of risk would be: {_first(risks[0].text)}" if risks else ""
    return Reason(
        analysis=evidence.analysis,
        title=about.title,
        question=answer.question or about.question,
        answer=answer,
        figure=figure,
        sign=sign,
        why=why,
        meaning=" ".join(consequences) or would_be,
        findings=mine,
        struck=bool(evidence.measurement and evidence.measurement.withdrawn),
    )


def _first(text: str) -> str:
    """The first sentence up to its colon, set after a colon."""
    sentence = text.partition(". ")[0].partition(": ")[0].rstrip(".")
    return f"{sentence[:1].lower()}{sentence[1:]}."


def _answer(assessment: Assessment, evidence: Evidence, noun: str) -> Answer:
    failure, measurement = evidence.failure, evidence.measurement
    if failure is not None and failure.kind == INAPPLICABLE:
        return Answer(text=f"Not applicable: {failure.message.rstrip('.')}.")
    if failure is not None:
        return Answer(
            text="This analysis failed; nothing was measured "
            f"({failure.kind}: {failure.message.rstrip('.')}).",
            reliable="No requirement on it counts as met.",
        )
    if measurement is not None and measurement.withdrawn:
        return Answer(
            text=f"This evidence is withdrawn: {'; '.join(measurement.withdrawn)}.",
            reliable="It failed its own self-test. Its numbers stand in the annex, struck out, and "
            "no requirement on it counts as met.",
        )
    return answer_of(assessment, evidence, noun)


def _sign(evidence: Evidence, mine: Sequence[FindingText]) -> tuple[Sign, str]:
    if evidence.measurement is None or evidence.measurement.withdrawn:
        failed = evidence.failure
        if failed is not None and failed.kind == INAPPLICABLE:
            return "not applicable", ""
        return "cannot tell", "nothing here can be relied on"
    unmet = [item for item in mine if item.outcome in {"unmet", "waived"}]
    if unmet:
        names = dict.fromkeys(item.class_name for item in unmet if item.class_name)
        return "seen", ", ".join(names)
    applying = [item for item in mine if item.outcome == "met"]
    if any(item.outcome == "missing" for item in mine) or not applying:
        missing = len(applying) < len(mine)
        return "cannot tell", (
            "a requirement was not measured" if missing else "the policy sets no bound here"
        )
    crossing = sum(item.crosses for item in applying)
    if crossing:
        return "not seen", f"{crossing} of {len(applying)} intervals cross their bound"
    one = len(applying) == 1
    return "not seen", "its requirement is met" if one else f"{len(applying)} requirements are met"

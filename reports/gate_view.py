"""Gate view: an answer of the gate as the files for pipelines show it.

Every form (JUnit, SARIF, Code Quality, annotations, Markdown) is written from this one view, so
that no two of them can disagree. A form is red exactly where the gate does not let a version pass.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from governance.records.assessment import Assessment
from governance.records.decision import Finding
from governance.records.policy_lines import expectation_lines
from governance.records.severities import Severity, Verdict
from reports.findings import FindingText, findings
from reports.verdicts import verdict as in_words
from reports.view import MEANINGS

__all__ = ["POLICY_PATH", "GateView", "Level", "Requirement", "gate_view"]

Level = Literal["error", "warning", "note"]
Unanswered = Literal["mismatch", "error"]

#: What a pipeline makes of a miss, by the severity of the expectation.
LEVELS: Mapping[Severity, Level] = MappingProxyType(
    {"block": "error", "review": "warning", "warn": "note"}
)

#: Answers that are no verdict, in words.
UNANSWERED: Mapping[Unanswered, str] = MappingProxyType(
    {
        "mismatch": "The evidence does not match its digests, its signature or the model: "
        "it supports no verdict.",
        "error": "The gate could not be asked.",
    }
)

#: Place of the policy file where nobody says another one.
POLICY_PATH = "policy.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """An expectation of the policy and what came of it.

    Attributes:
        text: The finding in words.
        key: Its name, which stays the same while bounds and values change.
        line: Its line in the policy file; None where it has none.
        level: What a pipeline makes of it; None where there is nothing to act on.
        fingerprint: Digest of its name and the model's, the same for every version.
    """

    text: FindingText
    key: str
    line: int | None
    level: Level | None
    fingerprint: str

    @property
    def analysis(self) -> str:
        """Name of the analysis that measures it."""
        return self.text.metric.partition(".")[0]

    @property
    def decides(self) -> bool:
        """Whether a miss changes the verdict."""
        return self.text.record.expectation.decides

    @property
    def required(self) -> str:
        """What is required, on one line."""
        return f"{self.text.name}: {self.text.requirement}"

    @property
    def message(self) -> str:
        """What came of it and what to do, for a line of its own."""
        return f"{self.text.sentence} {self.text.remedy}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    """An answer of the gate, arranged for pipelines.

    Attributes:
        model: Name of the registered model; its address where it has none.
        uri: Address of the version as the gate understood it.
        verdict: Verdict of the gate, `mismatch` or `error`.
        meaning: What the verdict says.
        problems: Why the version does not pass, besides the findings.
        requirements: All expectations with their findings, the gravest first.
        assessment: Record of the version; None where there is none to rely on.
        policy_path: Place of the policy file in the repository of the pipeline.
        run_id: MLflow run that holds the record; empty where there is none.
        report: Address of the report; empty where it has none that a browser opens.
    """

    model: str
    uri: str
    verdict: Verdict | Unanswered
    meaning: str
    problems: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    assessment: Assessment | None
    policy_path: str
    run_id: str
    report: str

    @property
    def open(self) -> tuple[Requirement, ...]:
        """Requirements that are not met or not measured, the gravest first."""
        return tuple(item for item in self.requirements if item.level is not None)

    @property
    def settled(self) -> tuple[Requirement, ...]:
        """Requirements that are waived, not applicable or met."""
        return tuple(item for item in self.requirements if item.level is None)

    @property
    def unexplained(self) -> tuple[str, ...]:
        """Problems; the meaning of the verdict where neither they nor findings say why."""
        if self.problems or self.verdict == "approved" or any(
            item.decides for item in self.open
        ):  # fmt: skip
            return self.problems
        return (self.meaning,)

    def digest_of(self, key: str) -> str:
        """Digest of a name and the model's, by which a pipeline recognises a problem."""
        return _digest(self.model, key)


def gate_view(
    uri: str,
    assessment: Assessment | None = None,
    *,
    verdict: Verdict | Unanswered | None = None,
    problems: Sequence[str] = (),
    policy_path: str = POLICY_PATH,
    run_id: str = "",
    report: str = "",
) -> GateView:
    """Arrange an answer of the gate.

    Args:
        uri: Address of the version.
        assessment: Its record, if there is one to rely on.
        verdict: Verdict of the gate, `mismatch` or `error`; that of the record if not given.
        problems: Why the version does not pass, besides the findings.
        policy_path: Place of the policy file in the repository of the pipeline.
        run_id: MLflow run that holds the record.
        report: Address of the report.
    """
    given = verdict or (assessment.decision.verdict if assessment else "error")
    model = uri if assessment is None else assessment.identity.name or assessment.identity.uri
    return GateView(
        model=model,
        uri=uri,
        verdict=given,
        meaning=_meaning(given, assessment),
        problems=tuple(problems),
        requirements=() if assessment is None else _requirements(assessment, model),
        assessment=assessment,
        policy_path=policy_path,
        run_id=run_id,
        report=report,
    )


def _meaning(verdict: Verdict | Unanswered, assessment: Assessment | None) -> str:
    if assessment is not None and assessment.decision.verdict == verdict:
        told = in_words(assessment, findings(assessment))
        return f"{told.says} {told.rest}"
    if verdict == "mismatch" or verdict == "error":  # noqa: PLR1714 - which narrows the type
        return UNANSWERED[verdict]
    return MEANINGS[verdict]


def _requirements(assessment: Assessment, model: str) -> tuple[Requirement, ...]:
    judged = assessment.decision.findings
    lines = expectation_lines(assessment.policy.text, len(judged))
    named = {
        id(finding): (key, line)
        for finding, key, line in zip(judged, _keys(judged), lines, strict=True)
    }
    return tuple(
        Requirement(
            text=text,
            key=named[id(text.record)][0],
            line=named[id(text.record)][1],
            level=LEVELS[text.severity] if text.open else None,
            fingerprint=_digest(model, named[id(text.record)][0]),
        )
        for text in findings(assessment)
    )


def _keys(findings: Sequence[Finding]) -> list[str]:
    """The metric of each finding; where two share one, the later says its severity, too."""
    keys: list[str] = []
    times: Counter[str] = Counter()
    for finding in findings:
        key = finding.expectation.metric
        if key in keys:
            key = f"{key} ({finding.expectation.severity})"
        times[key] += 1
        keys.append(key if times[key] == 1 else f"{key} #{times[key]}")
    return keys


def _digest(model: str, key: str) -> str:
    return hashlib.sha256(f"{model}\n{key}".encode("utf-8", "backslashreplace")).hexdigest()

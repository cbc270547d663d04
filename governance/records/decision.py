"""Decision: evidence held against a policy.

`judge` is pure and needs records alone, so that a new policy can be tried on old evidence.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from governance.records.evidence import Evidence, Interval
from governance.records.numbers import number
from governance.records.policy import DRIFT, INAPPLICABLE, Expectation, Policy
from governance.records.severities import GRAVEST_FIRST, SEVERITIES, Verdict
from governance.records.waiver import Waiver
from governance.records.wording import why_missing

__all__ = ["EXIT_CODES", "OUTCOMES", "Decision", "Finding", "Outcome", "Verdict", "judge"]

Outcome = Literal["met", "unmet", "missing", "waived", "inapplicable"]

#: What a reader calls an outcome.
OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        "met": "met",
        "unmet": "not met",
        "missing": "not measured",
        "waived": "waived",
        "inapplicable": "not applicable",
    }
)

#: Exit code of the command line for a verdict; scripts depend on it.
EXIT_CODES: Mapping[Verdict, int] = MappingProxyType(
    {"approved": 0, "rejected": 10, "review": 20, "undetermined": 30}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An expectation held against what was observed.

    Attributes:
        expectation: The expectation.
        observed: Value of the metric; None if it is missing.
        interval: Interval of the observed value; None if it has none.
        outcome: `met`, `unmet`, `missing` (never counts as met), `waived` or, of what is expected
            of the drift of a version that no approved one went before, `inapplicable`.
        reason: One sentence for the reader.
    """

    expectation: Expectation
    observed: float | None
    interval: Interval | None
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict and the findings it follows from."""

    verdict: Verdict
    findings: tuple[Finding, ...]


def judge(policy: Policy, evidence: Sequence[Evidence], waivers: Sequence[Waiver] = ()) -> Decision:
    """Hold evidence against a policy.

    An absent, withdrawn, NaN or infinite metric is `missing`, never met. The verdict is `rejected`
    where a blocking expectation was measured and not met; else `undetermined` where one could not
    be measured; else `review` where an expectation of that severity is not met or missing; else
    `approved`, for which at least one expectation of severity `block` or `review` must stand and
    apply: what is expected of drift does not, to a version that no approved one went before.

    An unmet expectation is `waived` where a waiver names its metric and the value judged is no
    worse than the waiver's bound. Whether a waiver counts (its signature, version and expiry) is
    for the caller to know; a missing metric is never waived.
    """
    findings = tuple(_waived(_finding(item, evidence), waivers) for item in policy.expectations)
    deciding = [
        item for item in findings if item.expectation.decides and item.outcome != "inapplicable"
    ]
    verdicts = {_verdict(item) for item in deciding} or {"undetermined"}
    gravest = next(verdict for verdict in GRAVEST_FIRST if verdict in verdicts)
    return Decision(verdict=gravest, findings=findings)


def _verdict(finding: Finding) -> Verdict:
    """The verdict that would follow from one finding alone."""
    consequence = SEVERITIES[finding.expectation.severity]
    verdict: Verdict | None = None
    if finding.outcome == "unmet":
        verdict = consequence.unmet
    elif finding.outcome == "missing":
        verdict = consequence.missing
    return verdict or "approved"


def _finding(expectation: Expectation, evidence: Sequence[Evidence]) -> Finding:
    analysis, _, name = expectation.metric.partition(".")
    matching = next((item for item in evidence if item.analysis == analysis), None)
    if matching is None or matching.measurement is None or matching.measurement.withdrawn:
        return _unanswered(expectation, analysis, matching)
    value = matching.measurement.metrics.get(name)
    if value is None or not math.isfinite(value):
        why = why_missing(matching.measurement.notes, name)
        since = "" if why is None else f": {why}"
        return _missing(expectation, f"{analysis} ran but gave no finite {name}{since}")
    interval = matching.measurement.intervals.get(name)
    judged = _judged(expectation, value, interval)
    if judged is None:
        return _missing(expectation, f"{expectation.metric} has no interval to be judged on")
    met = math.isfinite(judged) and expectation.met_by(judged)
    what = "estimate" if expectation.on == "estimate" else "end of the interval"
    text = number(judged, apart=(expectation.at_least, expectation.at_most))
    verb = "is" if met else "is not"
    return Finding(
        expectation=expectation,
        observed=value,
        interval=interval,
        outcome="met" if met else "unmet",
        reason=f"{what} {text} {verb} {expectation.bound}",
    )


def _judged(expectation: Expectation, value: float, interval: Interval | None) -> float | None:
    """What is held against the bound: the estimate, or the interval's end nearer to failing."""
    if expectation.on == "estimate":
        return value
    if interval is None:
        return None
    return interval.low if expectation.at_least is not None else interval.high


def _waived(finding: Finding, waivers: Sequence[Waiver]) -> Finding:
    if finding.outcome != "unmet" or finding.observed is None:
        return finding
    judged = _judged(finding.expectation, finding.observed, finding.interval)
    for waiver in waivers:
        if waiver.metric != finding.expectation.metric or judged is None:
            continue
        if _no_worse(judged, waiver.bound, finding.expectation):
            reason = (
                f"{finding.reason}; waived by {waiver.approver} up to {waiver.bound:.15g} until "
                f"{waiver.until}: {waiver.reason}"
            )
            return dataclasses.replace(finding, outcome="waived", reason=reason)
    return finding


def _no_worse(value: float, bound: float, expectation: Expectation) -> bool:
    """Whether a value lies on the good side of a waiver's bound; NaN and infinities never do."""
    if not math.isfinite(value):
        return False
    return value >= bound if expectation.at_least is not None else value <= bound


def _unanswered(expectation: Expectation, analysis: str, evidence: Evidence | None) -> Finding:
    """The finding where no evidence can be relied on."""
    if evidence is None:
        return _missing(expectation, f"{analysis} was not run")
    if evidence.measurement is not None:
        reasons = "; ".join(evidence.measurement.withdrawn)
        return _missing(expectation, f"{analysis} was withdrawn: {reasons}")
    failure = evidence.failure
    if failure is not None and (analysis, failure.kind) == (DRIFT, INAPPLICABLE):
        missing = _missing(expectation, failure.message)
        return dataclasses.replace(missing, outcome="inapplicable")
    if failure is not None and failure.kind == INAPPLICABLE:
        # Missing all the same: a model must not get past a bound by hiding its layers.
        return _missing(expectation, f"not applicable: {failure.message}")
    return _missing(expectation, f"{analysis} failed: {failure.message if failure else '?'}")


def _missing(expectation: Expectation, reason: str) -> Finding:
    return Finding(
        expectation=expectation, observed=None, interval=None, outcome="missing", reason=reason
    )

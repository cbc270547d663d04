"""JUnit XML: the findings as test cases, for pipelines that draw such files.

A suite stands for an analysis and a case for an expectation. The file is red exactly where the
verdict is not `approved`: unmet is a failure (of type `block` or `review`), missing is an error,
and what never changes a verdict (severity `warn`, waived, not applicable) is `skipped` with its
reason, as a pass would hide it.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from governance.records import numbers
from governance.records.assessment import Assessment
from governance.records.decision import Finding
from governance.records.evidence import Evidence
from reports.prose import printable
from reports.view import MEANINGS

__all__ = ["to_junit"]

VERDICT = "verdict"
#: What stands in a case for an outcome; nothing for one that is met.
KINDS = {"unmet": "failure", "missing": "error", "waived": "skipped", "inapplicable": "skipped"}


def to_junit(assessment: Assessment) -> str:
    """The findings of an assessment as a JUnit document."""
    root = ET.Element("testsuites", name="governance")
    findings = assessment.decision.findings
    evidence = {item.analysis: item for item in assessment.evidence}
    expected = (item.expectation.metric.partition(".")[0] for item in findings)
    for analysis in dict.fromkeys([*evidence, *expected]):
        concerned = [
            item for item in findings if item.expectation.metric.startswith(f"{analysis}.")
        ]
        root.append(_suite(analysis, evidence.get(analysis), concerned, assessment))
    if not findings:
        root.append(_empty(assessment))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(
    analysis: str, evidence: Evidence | None, findings: Iterable[Finding], assessment: Assessment
) -> ET.Element:
    suite = ET.Element("testsuite", name=printable(analysis), timestamp=assessment.created)
    suite.set("time", f"{evidence.seconds:.3f}" if evidence else "0")
    suite.extend(_case(item) for item in findings)
    trouble = _trouble(evidence)
    if trouble and len(suite) == 0:
        case = ET.SubElement(suite, "testcase", classname=printable(analysis), name="runs")
        text = f"{trouble}; nothing is expected of it"
        ET.SubElement(case, "skipped", message=printable(text))
    return _counted(suite)


def _trouble(evidence: Evidence | None) -> str:
    """Why there is nothing to rely on where something was run; empty where there is."""
    if evidence is not None and evidence.failure is not None:
        return f"{evidence.failure.kind}: {evidence.failure.message}"
    if evidence is not None and evidence.measurement is not None:
        return "; ".join(f"withdrawn: {reason}" for reason in evidence.measurement.withdrawn)
    return ""


def _case(finding: Finding) -> ET.Element:
    expectation = finding.expectation
    analysis, _, metric = expectation.metric.partition(".")
    case = ET.Element(
        "testcase",
        classname=printable(analysis),
        name=printable(f"{metric} {expectation.bound}"),
    )
    kind = KINDS.get(finding.outcome)
    if kind is None:
        return case
    if not expectation.decides:
        kind = "skipped"
    outcome = ET.SubElement(case, kind, message=printable(_message(finding)))
    if kind != "skipped":
        outcome.set("type", expectation.severity)
        outcome.text = printable(expectation.rationale)
    return case


def _message(finding: Finding) -> str:
    reason = f"{finding.expectation.severity}, {finding.outcome}: {finding.reason}"
    if finding.interval is None:
        return reason
    return f"{reason}; interval {numbers.interval(finding.interval)}"


def _empty(assessment: Assessment) -> ET.Element:
    # No case would read as green, and an assessment without expectations is no approval.
    suite = ET.Element("testsuite", name=VERDICT, timestamp=assessment.created, time="0")
    case = ET.SubElement(suite, "testcase", classname=VERDICT, name=assessment.decision.verdict)
    ET.SubElement(case, "error", type="block", message=MEANINGS[assessment.decision.verdict])
    return _counted(suite)


def _counted(suite: ET.Element) -> ET.Element:
    suite.set("tests", str(len(suite)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f"testcase/{tag}"))))
    return suite

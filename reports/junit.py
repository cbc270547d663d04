"""JUnit XML: the findings as test cases, for pipelines that draw such files.

A suite stands for an analysis and a case for an expectation. Model and metric name the case, and
the bound stands in its text, so that a pipeline follows one case from version to version. The file
is red exactly where the gate does not let the version pass: unmet is a failure (of type `block` or
`review`), missing is an error, and what never changes a verdict (severity `warn`, waived, not
applicable) is `skipped` with its reason, as a pass would hide it.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from governance.records.decision import Outcome
from governance.records.evidence import Evidence
from reports.gate_view import GateView, Requirement
from reports.prose import printable

__all__ = ["render"]

#: Suite of what is wrong besides the findings, such as a missing signature.
GATE = "gate"
#: What stands in a case for an outcome; nothing for one that is met.
KINDS: Mapping[Outcome, str] = MappingProxyType(
    {"unmet": "failure", "missing": "error", "waived": "skipped", "inapplicable": "skipped"}
)


def render(view: GateView) -> str:
    """An answer of the gate as a JUnit document."""
    root = ET.Element("testsuites", name="governance")
    root.extend(_suites(view))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suites(view: GateView) -> Iterator[ET.Element]:
    if view.unexplained:
        yield _gate(view)
    evidence = {item.analysis: item for item in view.assessment.evidence} if view.assessment else {}
    expected = (item.analysis for item in view.requirements)
    for analysis in dict.fromkeys([*evidence, *expected]):
        concerned = [item for item in view.requirements if item.analysis == analysis]
        yield _suite(view, analysis, evidence.get(analysis), concerned)


def _suite(
    view: GateView, analysis: str, evidence: Evidence | None, concerned: Sequence[Requirement]
) -> ET.Element:
    suite = _opened(view, analysis)
    suite.set("time", f"{evidence.seconds:.3f}" if evidence else "0")
    suite.extend(_case(view, item) for item in concerned)
    trouble = _trouble(evidence)
    if trouble and not concerned:
        text = f"{trouble}; nothing is expected of it"
        ET.SubElement(_named(suite, view, analysis, "runs"), "skipped", message=printable(text))
    return _counted(suite)


def _gate(view: GateView) -> ET.Element:
    # Green findings would read as a pass where it is the signature that is missing.
    suite = _opened(view, GATE)
    suite.set("time", "0")
    case = _named(suite, view, GATE, "verdict")
    for problem in view.unexplained:
        error = ET.SubElement(case, "error", type="block", message=printable(problem))
        error.text = printable(view.meaning)
    return _counted(suite)


def _opened(view: GateView, name: str) -> ET.Element:
    suite = ET.Element("testsuite", name=printable(name))
    if view.assessment is not None:
        suite.set("timestamp", view.assessment.created)
    if view.report:
        properties = ET.SubElement(suite, "properties")
        ET.SubElement(properties, "property", name="report", value=printable(view.report))
    return suite


def _named(suite: ET.Element, view: GateView, analysis: str, name: str) -> ET.Element:
    classname = printable(f"{view.model}.{analysis}")
    return ET.SubElement(suite, "testcase", classname=classname, name=printable(name))


def _trouble(evidence: Evidence | None) -> str:
    """Why there is nothing to rely on where something was run; empty where there is."""
    if evidence is not None and evidence.failure is not None:
        return f"{evidence.failure.kind}: {evidence.failure.message}"
    if evidence is not None and evidence.measurement is not None:
        return "; ".join(f"withdrawn: {reason}" for reason in evidence.measurement.withdrawn)
    return ""


def _case(view: GateView, item: Requirement) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=printable(f"{view.model}.{item.analysis}"),
        name=printable(item.key.partition(".")[2]),
        file=printable(view.policy_path),
    )
    if item.line is not None:
        case.set("line", str(item.line))
    kind = KINDS.get(item.text.outcome)
    if kind is None:
        ET.SubElement(case, "system-out").text = printable(f"{item.required}. {item.text.sentence}")
        return case
    if not item.decides:
        kind = "skipped"
    message = f"{item.text.severity}, {item.text.word}: {item.text.sentence}"
    outcome = ET.SubElement(case, kind, message=printable(message))
    if kind != "skipped":
        outcome.set("type", item.text.severity)
        told = (item.required, item.text.rationale, item.text.remedy, view.report)
        outcome.text = printable("\n".join(filter(None, told)))
    return case


def _counted(suite: ET.Element) -> ET.Element:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    return suite

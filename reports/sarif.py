"""SARIF: the findings as results of a static analysis, for code scanning.

A rule stands for an expectation and points at its line of the policy file. A result stands for one
that is not met, not measured or waived; what is met has a rule alone, since some readers of SARIF
draw every result as a fault. The fingerprint is made of metric and model and not of the version,
so that a problem that stays from one version to the next stays one alert.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, Errata 01.
"""

import json
from typing import Any
from urllib.parse import quote

from reports.gate_view import LEVELS, GateView, Requirement
from reports.prose import printable

__all__ = ["render"]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
#: Rule of what is wrong besides the findings, such as a missing signature.
GATE = "gate"


def render(view: GateView) -> str:
    """An answer of the gate as a SARIF log of one run."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(view)]}
    return f"{json.dumps(log, indent=2, ensure_ascii=True)}\n"


def _run(view: GateView) -> dict[str, Any]:
    rules = [_rule(item) for item in view.requirements]
    results = [
        _result(view, place, item)
        for place, item in enumerate(view.requirements)
        if item.level is not None or item.text.outcome == "waived"
    ]
    if view.unexplained:
        rules.append(
            {"id": GATE, "shortDescription": {"text": "The gate can rely on the evidence"}}
        )
        results += [
            _problem(view, len(rules) - 1, number) for number in range(len(view.unexplained))
        ]
    properties = {"verdict": view.verdict, "model": printable(view.uri)}
    if view.run_id:
        properties["mlflowRun"] = view.run_id
    return {
        "tool": {"driver": {"name": "mlflow-governance", "rules": rules}},
        "automationDetails": {"id": f"governance/{quote(printable(view.model), safe='')}/"},
        "invocations": [{"executionSuccessful": view.assessment is not None}],
        "originalUriBaseIds": {
            "%SRCROOT%": {"description": {"text": "Root of the repository that holds the policy"}}
        },
        "results": results,
        "properties": properties,
    }


def _rule(item: Requirement) -> dict[str, Any]:
    severity, rationale = item.text.severity, item.text.rationale
    rule: dict[str, Any] = {
        "id": printable(item.key),
        "shortDescription": {"text": printable(item.required)},
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": {"severity": severity, "tags": [printable(item.analysis)]},
    }
    if rationale.strip():
        rule["fullDescription"] = {"text": printable(rationale)}
    return rule


def _result(view: GateView, place: int, item: Requirement) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": printable(item.key),
        "ruleIndex": place,
        "level": item.level or "note",
        "message": {"text": printable(item.message)},
        "locations": [_location(view, item.line)],
        "partialFingerprints": {"metricAndModel/v1": item.fingerprint},
    }
    if item.text.outcome == "waived":
        waiver = {"kind": "external", "status": "accepted"}
        result["suppressions"] = [{**waiver, "justification": printable(item.text.waiver)}]
    if view.report:
        result["hostedViewerUri"] = view.report
    return result


def _problem(view: GateView, place: int, number: int) -> dict[str, Any]:
    return {
        "ruleId": GATE,
        "ruleIndex": place,
        "level": "error",
        "message": {"text": printable(view.unexplained[number])},
        "locations": [_location(view, None)],
        "partialFingerprints": {"metricAndModel/v1": view.digest_of(f"{GATE} {number}")},
    }


def _location(view: GateView, line: int | None) -> dict[str, Any]:
    place: dict[str, Any] = {
        "artifactLocation": {"uri": quote(printable(view.policy_path)), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": line or 1},
    }
    return {"physicalLocation": place}

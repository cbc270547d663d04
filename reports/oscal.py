"""OSCAL: an assessment as assessment results, for tools that follow controls.

An expectation of the policy is an objective, its finding a finding, and its measurement an
observation. What does not apply is an observation without a finding: OSCAL knows satisfied and not
satisfied alone. A waived expectation stays not satisfied, with the waiver as a remark.

Source: NIST OSCAL, assessment results model, JSON.
"""

import hashlib
import json
import re
from typing import Any

from governance.records.assessment import Assessment
from reports.card_view import CardView, card_view
from reports.findings import FindingText
from reports.prose import printable

__all__ = ["render"]

#: Version whose schema the tests hold what is written against.
VERSION = "1.0.6"
NAMESPACE = "https://github.com/mlflow-governance"
TOKEN = re.compile(r"[^A-Za-z0-9._-]")
STATES = {"met": "satisfied", "unmet": "not-satisfied", "missing": "not-satisfied",
          "waived": "not-satisfied"}  # fmt: skip
REASONS = {"met": "pass", "unmet": "fail", "missing": "other", "waived": "other"}


def render(assessment: Assessment) -> str:
    """Assessment results in JSON; equal assessments give equal texts."""
    view = card_view(assessment)
    results = {
        "uuid": str(view.identifier("oscal")),
        "metadata": {
            "title": _line(f"Assessment of {view.name}, version {view.version}"),
            "last-modified": assessment.created,
            "version": assessment.digest,
            "oscal-version": VERSION,
        },
        "import-ap": {
            "href": f"#{view.identifier('policy')}",
            "remarks": "The plan is the policy under which the version was assessed.",
        },
        "results": [_result(view)],
        "back-matter": {"resources": [_policy(view)]},
    }
    return f"{json.dumps({'assessment-results': results}, indent=2, allow_nan=False)}\n"


def _result(view: CardView) -> dict[str, Any]:
    assessment = view.assessment
    identity = assessment.identity
    result: dict[str, Any] = {
        "uuid": str(view.identifier("result")),
        "title": _line(f"Verdict: {assessment.decision.verdict}"),
        "description": _line(view.sentence),
        "start": assessment.created,
        "props": [
            _property("verdict", assessment.decision.verdict),
            _property("weights-digest", identity.digest),
            _property("model-files-digest", identity.artifact_digest),
            _property("validation-images-digest", assessment.validation.digest),
        ],
        "reviewed-controls": {
            "description": "The expectations of the policy, each an objective of its own.",
            "control-selections": [{"include-all": {}}],
        },
    }
    if view.findings:
        result["observations"] = [_observation(view, item) for item in view.findings]
    judged = [item for item in view.findings if item.outcome in STATES]
    if judged:
        result["findings"] = [_finding(view, item) for item in judged]
    if view.limits:
        gaps = "; ".join(f"{item.subject}: {item.reason}" for item in view.limits)
        result["remarks"] = _line(f"Not assessed: {gaps}")
    return result


def _observation(view: CardView, item: FindingText) -> dict[str, Any]:
    analysis = item.metric.partition(".")[0]
    return {
        "uuid": str(view.identifier(f"observation {item.number}")),
        "title": _line(item.name),
        "description": _line(item.sentence),
        "props": [
            _property("outcome", item.word),
            _property("severity", item.severity),
            _property("value", item.value),
            _property("requirement", item.requirement),
        ],
        "methods": ["TEST"],
        "collected": view.assessment.created,
        "relevant-evidence": [
            {"description": _line(f"Evidence of the analysis {analysis} in assessment.json")}
        ],
    }


def _finding(view: CardView, item: FindingText) -> dict[str, Any]:
    status = {"state": STATES[item.outcome], "reason": REASONS[item.outcome]}
    if item.waiver:
        status["remarks"] = _line(item.waiver)
    finding: dict[str, Any] = {
        "uuid": str(view.identifier(f"finding {item.number}")),
        "title": _line(item.title),
        "description": _line(item.sentence),
        "target": {
            "type": "objective-id",
            "target-id": _token(f"{item.metric}"),
            "title": _line(f"{item.name}: {item.requirement}"),
            "status": status,
        },
        "related-observations": [
            {"observation-uuid": str(view.identifier(f"observation {item.number}"))}
        ],
    }
    if item.remedy:
        finding["remarks"] = _line(item.remedy)
    return finding


def _policy(view: CardView) -> dict[str, Any]:
    policy = view.assessment.policy
    return {
        "uuid": str(view.identifier("policy")),
        "title": _line(policy.title),
        "description": "Policy of the assessment, kept beside the record as policy.toml.",
        "rlinks": [
            {
                "href": "policy.toml",
                "hashes": [{"algorithm": "SHA-256", "value": policy.digest[7:]}],
            }
        ],
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": NAMESPACE, "value": _line(value)}


def _line(text: str) -> str:
    """Text as OSCAL takes it: one line, not empty."""
    return " ".join(printable(text).split()) or "not stated"


def _token(name: str) -> str:
    """A name as OSCAL takes it, different for different names."""
    token = TOKEN.sub("_", name)
    if token == name and not token[:1].isdigit():
        return token
    mark = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"_{token}-{mark}"

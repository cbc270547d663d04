"""SARIF that its schema accepts, with a rule an expectation and a result an open one."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from governance.records.decision import judge
from governance.records.policy import Expectation
from governance.records.waiver import Waiver
from reports.gate_view import gate_view
from reports.sarif import render

SCHEMAS = Path(__file__).parents[1] / "schemas"


@pytest.fixture(scope="module")
def accepted():
    """Renders a view, has the schema accept it, and gives its run."""
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    validator = Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)

    def run_of(view):
        log = json.loads(render(view))
        assert [error.message for error in validator.iter_errors(log)] == []
        (run,) = log["runs"]
        return run

    return run_of


def test_a_rule_stands_for_an_expectation_and_a_result_for_an_open_one(assessment, accepted):
    run = accepted(gate_view("models:/x/1", assessment, run_id="0f", report="http://h/r"))

    rules, results = run["tool"]["driver"]["rules"], run["results"]
    assert len(rules) == len({rule["id"] for rule in rules}) == len(assessment.decision.findings)
    assert [item["level"] for item in results] == [
        "error", "error", "warning", "warning", "note", "note",
    ]  # fmt: skip
    for item in results:
        assert rules[item["ruleIndex"]]["id"] == item["ruleId"]
    assert run["properties"] == {"verdict": "rejected", "model": "models:/x/1", "mlflowRun": "0f"}


def test_a_result_points_at_the_line_of_its_expectation(assessment, accepted):
    text = "title = 'x'\n# [[expectations]]\n[[expectations]]\nmetric = 'performance.accuracy'\n"
    expectation = Expectation(metric="performance.accuracy", at_least=1.0)
    policy = dataclasses.replace(assessment.policy, expectations=(expectation,), text=text)
    found = dataclasses.replace(
        assessment, policy=policy, decision=judge(policy, assessment.evidence)
    )

    run = accepted(gate_view("x", found, policy_path="ml/release policy.toml"))

    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "ml/release%20policy.toml"
    assert place["region"] == {"startLine": 3}


def test_what_was_waived_is_suppressed_with_its_reason(assessment, accepted):
    waiver = Waiver(
        metric="performance.recall_worst", bound=0.6, reason="A pilot.", approver="Ann",
        issued=1_795_000_000, expires=1_801_353_600, token="ab" * 32,
    )  # fmt: skip
    decision = judge(assessment.policy, assessment.evidence, (waiver,))
    findings = tuple(item for item in decision.findings if item.outcome == "waived")
    decision = dataclasses.replace(decision, findings=findings, verdict="approved")
    waived = dataclasses.replace(assessment, decision=decision, waivers=(waiver,))

    run = accepted(gate_view("x", waived))

    (result,) = run["results"]
    assert result["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "waived until 2027-01-31 by Ann: A pilot",
        }
    ]


def test_an_answer_without_a_record_is_a_result_of_its_own(accepted):
    run = accepted(gate_view("models:/x/1", verdict="mismatch", problems=("a", "b")))

    assert [item["message"]["text"] for item in run["results"]] == ["a", "b"]
    assert run["invocations"] == [{"executionSuccessful": False}]
    assert {item["ruleId"] for item in run["results"]} == {"gate"}


@settings(deadline=None, max_examples=20)
@given(text=st.text(min_size=1, max_size=40))
def test_any_text_is_accepted(assessment, accepted, text):
    expectation = Expectation(metric=f"performance.{text}", at_least=1.0, rationale=text)
    policy = dataclasses.replace(assessment.policy, expectations=(expectation,), text=text)
    found = dataclasses.replace(
        assessment, policy=policy, decision=judge(policy, assessment.evidence)
    )

    accepted(gate_view(text, found, policy_path=text))

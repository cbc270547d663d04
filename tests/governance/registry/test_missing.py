"""A metric without a value is missing wherever a reader meets it, and passes nowhere."""

import pytest

from governance.records.assessment import Assessment
from governance.records.decision import EXIT_CODES, judge
from governance.records.evidence import Evidence, Failure, Measurement
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.registry.description import summary
from governance.registry.run_page import headlines
from reports import junit, markdown
from reports.gate_view import gate_view
from reports.html import to_html

NAME = "alpha.x"
WITHOUT = {
    "no value": {"measurement": Measurement(metrics={"x": None})},
    "another metric": {"measurement": Measurement(metrics={"y": 1.0})},
    "not a number": {"measurement": Measurement(metrics={"x": float("nan")})},
    "withdrawn": {"measurement": Measurement(metrics={"x": 1.0}, withdrawn=("a reason",))},
    "failed": {"failure": Failure(kind="ValueError", message="it broke")},
    "not run": None,
}


@pytest.fixture(params=sorted(WITHOUT))
def unmeasured(request) -> Assessment:
    found = WITHOUT[request.param]
    evidence = () if found is None else (
        Evidence(
            analysis="alpha", about="Alpha: a test.", parameters={}, seed=0, seconds=0.1,
            device="cpu", **found,
        ),
    )  # fmt: skip
    policy = Policy(
        title="T", validation="v", model=ModelTerms(), analyses={}, baseline=None,
        expectations=(Expectation(metric=NAME, at_most=2.0),),
    )  # fmt: skip
    return Assessment(
        identity=ModelIdentity(
            uri="models:/m/1", digest="sha256:1", artifact_digest="sha256:2", format="pt2",
            parameters=3,
        ),
        validation=ValidationIdentity(
            location="v", digest="sha256:3", images=2, class_names=("a", "b"), class_counts=(1, 1)
        ),
        policy=policy,
        evidence=evidence,
        decision=judge(policy, evidence),
        environment={},
        created="2026-11-22T12:00:00+00:00",
    )  # fmt: skip


def test_it_is_missing_in_the_report_at_the_gate_in_markdown_and_in_mlflow(unmeasured):
    # the verdict that the gate answers with
    assert unmeasured.decision.verdict == "undetermined"
    assert EXIT_CODES[unmeasured.decision.verdict] == 30
    shown = gate_view("", unmeasured)
    assert '<error message="block, not measured: ' in junit.render(shown)
    # the report
    page = to_html(unmeasured)
    assert '<span class="status open"><span class="mark"></span>not measured</span>' in page
    assert '<span class="status met">' not in page
    # Markdown
    assert "\n| not measured |" in markdown.render(shown)
    assert "was not measured" in markdown.render(shown)
    # MLflow: the page of the version, and the metrics of the run
    assert "| block | \N{EN DASH} | not measured |" in summary(unmeasured, "link")
    assert NAME not in headlines(unmeasured)

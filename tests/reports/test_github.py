"""No text of a record ends its annotation and begins a command of its own."""

import dataclasses

from governance.records.decision import judge
from governance.records.policy import Expectation
from reports.gate_view import gate_view
from reports.github import MOST_OF_A_LEVEL, outputs, render


def view_of(assessment, *expectations, **answer):
    policy = dataclasses.replace(assessment.policy, expectations=expectations)
    changed = dataclasses.replace(
        assessment, policy=policy, decision=judge(policy, assessment.evidence)
    )
    return gate_view("models:/x/1", changed, **answer)


def test_annotation_names_file_line_model_and_bound(assessment):
    expectation = Expectation(metric="performance.accuracy", at_least=1.0)

    (line,) = render(view_of(assessment, expectation, policy_path="ml/a,b.toml")).splitlines()

    assert line.startswith("::error file=ml/a%2Cb.toml,line=1,title=bildklassifikator-größe%3A ")


def test_text_that_means_harm_stays_text(assessment):
    attack = "a\r\n::error::x\u2028::set-output name=verdict::approved\x85%0A::y"
    expectation = Expectation(metric=f"performance.{attack}", at_least=1.0)

    text = render(view_of(assessment, expectation, verdict="rejected", problems=(attack,)))

    assert len(text.splitlines()) == len(text.split("\n")) - 1 == 2
    assert all(line.startswith("::error file=") for line in text.splitlines())
    assert "%250A" in text
    assert "100 %25 are required" not in render(view_of(assessment))


def test_no_more_annotations_of_a_level_than_github_shows(assessment):
    many = [
        Expectation(metric=f"performance.gone_{i}", at_least=1.0, severity=severity)
        for severity in ("block", "review", "warn")
        for i in range(20)
    ]

    lines = render(view_of(assessment, *many)).splitlines()

    commands = [line.partition(" ")[0] for line in lines]
    assert commands == [
        name for name in ("::error", "::warning", "::notice") for _ in range(MOST_OF_A_LEVEL)
    ]


def test_outputs_are_one_line_each(assessment):
    view = gate_view("x", assessment, run_id="0f", report="http://h/r\nverdict=approved")

    assert outputs(view).splitlines() == [
        "verdict=rejected", "run-id=0f", "report=http://h/r verdict=approved",
    ]  # fmt: skip

"""Every form for pipelines is red where the gate lets nothing pass, and names stay."""

import dataclasses
import json
import xml.etree.ElementTree as ET

import pytest

from governance.records.decision import judge
from governance.records.policy import Expectation
from reports import github, gitlab, junit, markdown, sarif
from reports.gate_view import gate_view


def judged(assessment, *expectations):
    policy = dataclasses.replace(assessment.policy, expectations=expectations)
    return dataclasses.replace(
        assessment, policy=policy, decision=judge(policy, assessment.evidence)
    )


def red(view):
    """Which forms say that something blocks or waits for a person."""
    suites = ET.fromstring(junit.render(view))  # noqa: S314 - written here
    run = json.loads(sarif.render(view))["runs"][0]
    grave = {"error", "warning"}
    return {
        "junit": suites.get("failures") != "0" or suites.get("errors") != "0",
        "sarif": any(item["level"] in grave for item in run["results"]),
        "gitlab": any(item["severity"] != "info" for item in json.loads(gitlab.render(view))),
        "github": any(
            line.startswith(("::error ", "::warning ")) for line in github.render(view).splitlines()
        ),
        "markdown": not markdown.render(view).startswith("## Approved"),
    }


MET = Expectation(metric="performance.accuracy", at_least=0.5)
UNMET = Expectation(metric="performance.accuracy", at_least=1.0)
MISSING = Expectation(metric="performance.never_measured", at_least=0.5)


@pytest.mark.parametrize(
    "expectations",
    [
        (MET,),
        (UNMET,),
        (MISSING,),
        (MET, dataclasses.replace(UNMET, severity="review")),
        (MET, dataclasses.replace(UNMET, severity="warn")),
        (dataclasses.replace(MET, severity="warn"),),
        (dataclasses.replace(UNMET, severity="warn"),),
        (),
    ],
)
def test_all_forms_are_red_exactly_where_the_verdict_is_not_approved(assessment, expectations):
    found = judged(assessment, *expectations)

    answers = red(gate_view("x", found))

    assert set(answers.values()) == {found.decision.verdict != "approved"}, answers


@pytest.mark.parametrize("verdict", ["undetermined", "rejected", "mismatch", "error"])
@pytest.mark.parametrize("problems", [(), ("a reason",)])
def test_all_forms_are_red_where_the_gate_has_another_reason(make_brief, verdict, problems):
    for record in (None, make_brief()):
        answers = red(gate_view("x", record, verdict=verdict, problems=problems))
        assert all(answers.values()), answers


def test_a_fingerprint_is_that_of_metric_and_model_alone(assessment):
    other = dataclasses.replace(
        assessment,
        identity=dataclasses.replace(
            assessment.identity, ref=dataclasses.replace(assessment.identity.ref, version="9")
        ),
    )
    renamed = dataclasses.replace(
        assessment,
        identity=dataclasses.replace(
            assessment.identity, ref=dataclasses.replace(assessment.identity.ref, name="other")
        ),
    )

    first, again, another = (
        {item.key: item.fingerprint for item in gate_view("x", record).requirements}
        for record in (assessment, judged(other, *other.policy.expectations), renamed)
    )

    assert first == again
    assert len(set(first.values())) == len(first) == len(assessment.decision.findings)
    assert not set(first.values()) & set(another.values())


def test_an_expectation_that_is_built_in_has_no_line(assessment):
    text = "[[expectations]]\nmetric = 'performance.accuracy'\n"
    found = judged(assessment, UNMET, MISSING)
    found = dataclasses.replace(found, policy=dataclasses.replace(found.policy, text=text))

    lines = {item.key: item.line for item in gate_view("x", found).requirements}

    assert lines == {"performance.accuracy": 1, "performance.never_measured": None}


@pytest.mark.parametrize("form", [github, gitlab, junit, markdown, sarif])
def test_every_form_is_written_of_places_that_are_no_text(assessment, form):
    # What a shell hands over that is not UTF-8 arrives as lone surrogates.
    odd = {"policy_path": "policy\udcff.toml", "report": "https://example.org/\udcff"}

    for record in (assessment, None):
        view = gate_view("models:/a\udcff/1", record, problems=["no\udcffpe"], **odd)
        assert form.render(view).encode()

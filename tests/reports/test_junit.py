"""A pipeline that reads the JUnit file is red exactly where the verdict is not `approved`."""

import dataclasses
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.records.decision import Finding, judge
from governance.records.evidence import Measurement
from governance.records.policy import Expectation
from reports.gate_view import gate_view
from reports.junit import render


def parsed(assessment, **answer):
    view = gate_view(assessment.identity.uri, assessment, **answer)
    return ET.fromstring(render(view))  # noqa: S314 - written a line above


def with_expectations(assessment, *expectations):
    policy = dataclasses.replace(assessment.policy, expectations=expectations)
    return dataclasses.replace(
        assessment, policy=policy, decision=judge(policy, assessment.evidence)
    )


def only_case(assessment, **expectation):
    changed = with_expectations(assessment, Expectation(**expectation))
    (case,) = [
        case
        for case in parsed(changed).iter("testcase")
        if case.get("name") != "runs"
        and case.get("name") == expectation["metric"].partition(".")[2]
    ]
    return case


def test_suite_stands_for_an_analysis_and_case_for_an_expectation(assessment):
    root = parsed(assessment)

    assert [suite.get("name") for suite in root] == [
        "data_quality", "filter_importance", "layer_prediction", "performance",
        "genetic_explanation", "verified_perturbation",
    ]  # fmt: skip
    assert len(list(root.iter("testcase"))) == len(assessment.decision.findings)
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert element.get("tests") == str(len(cases))
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert element.get(key) == str(sum(case.find(tag) is not None for case in cases))


@pytest.mark.parametrize(
    ("metric", "bound", "severity", "tag"),
    [
        ("performance.accuracy", 0.9, "block", None),
        ("performance.accuracy", 1.0, "block", "failure"),
        ("performance.accuracy", 1.0, "review", "failure"),
        ("performance.accuracy", 1.0, "warn", "skipped"),
        ("performance.never_measured", 0.1, "block", "error"),
        ("performance.never_measured", 0.1, "review", "error"),
        ("performance.never_measured", 0.1, "warn", "skipped"),
        ("filter_importance.x", 0.1, "block", "error"),
        ("never_run.x", 0.1, "block", "error"),
    ],
)
def test_outcome_and_severity_choose_the_element(assessment, metric, bound, severity, tag):
    case = only_case(assessment, metric=metric, at_least=bound, severity=severity)

    assert [child.tag for child in case] == [tag or "system-out"]
    if tag in {"failure", "error"}:
        assert case[0].get("type") == severity
    if tag:
        assert case[0].get("message").startswith(f"{severity}, ")


def test_names_stay_while_bounds_and_versions_change(assessment):
    tight, loose = (
        with_expectations(
            dataclasses.replace(
                assessment, identity=dataclasses.replace(assessment.identity, uri=f"models:/x/{n}")
            ),
            Expectation(metric="performance.accuracy", at_least=bound),
        )
        for n, bound in enumerate((0.5, 1.0))
    )

    names = [
        {(case.get("classname"), case.get("name")) for case in parsed(item).iter("testcase")}
        for item in (tight, loose)
    ]

    assert names[0] == names[1]
    assert ("bildklassifikator-größe.performance", "accuracy") in names[0]


def test_two_expectations_on_one_metric_have_names_of_their_own(assessment):
    twice = with_expectations(
        assessment,
        Expectation(metric="performance.accuracy", at_least=0.9),
        Expectation(metric="performance.accuracy", at_least=1.0, severity="warn"),
        Expectation(metric="performance.accuracy", at_least=0.99, severity="warn"),
    )

    suite = parsed(twice).find(".//testsuite[@name='performance']")

    assert sorted(case.get("name") for case in suite.iter("testcase")) == [
        "accuracy", "accuracy (warn)", "accuracy (warn) #2",
    ]  # fmt: skip


def test_bound_line_and_report_stand_in_a_case(assessment):
    text = "title = 'x'\n\n[[expectations]]\nmetric = 'performance.accuracy'\n"
    failing = with_expectations(
        assessment, Expectation(metric="performance.accuracy", at_least=1.0, rationale="Why.")
    )
    policy = dataclasses.replace(failing.policy, text=text)

    root = parsed(
        dataclasses.replace(failing, policy=policy), policy_path="ml/p.toml", report="http://h/r"
    )

    case = root.find(".//testcase[@name='accuracy']")
    assert (case.get("file"), case.get("line")) == ("ml/p.toml", "3")
    assert case[0].get("message").startswith("block, not met: ")
    assert case[0].text.splitlines()[:2] == ["All images right: at least 100\u202f%", "Why."]
    assert case[0].text.endswith("http://h/r")
    assert root.find(".//property[@name='report']").get("value") == "http://h/r"


def test_a_missing_signature_is_an_error_beside_findings_that_are_met(make_brief):
    root = parsed(make_brief(), verdict="undetermined", problems=("carries no signed statement",))

    error = root.find(".//testsuite[@name='gate']/testcase/error")
    assert error.get("message") == "carries no signed statement"
    assert root.get("errors") == "1"


def test_what_does_not_apply_is_skipped_with_its_reason(assessment):
    (finding, *_) = assessment.decision.findings
    first = dataclasses.replace(
        finding, outcome="inapplicable", observed=None, reason="a first one"
    )
    decision = dataclasses.replace(assessment.decision, findings=(first,), verdict="approved")
    root = parsed(dataclasses.replace(assessment, decision=decision))

    messages = [item.get("message") for item in root.iter("skipped")]
    assert any("a first one" in message for message in messages)
    assert root.get("failures") == root.get("errors") == "0"


def test_waived_expectation_is_skipped(assessment):
    finding = assessment.decision.findings[2]
    waived = Finding(
        expectation=finding.expectation, observed=0.7, interval=None, outcome="waived",
        reason="accepted by the board",
    )  # fmt: skip
    decision = dataclasses.replace(assessment.decision, findings=(waived,), verdict="approved")

    root = parsed(dataclasses.replace(assessment, decision=decision))

    messages = [item.get("message") for item in root.iter("skipped")]
    assert any("Waived; by whom is not recorded" in message for message in messages)
    assert root.get("failures") == root.get("errors") == "0"


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_file_is_red_exactly_where_the_verdict_is_not_approved(assessment, data):
    metrics = st.sampled_from(["performance.accuracy", "performance.never_measured", "gone.x"])
    expectations = data.draw(
        st.lists(
            st.builds(
                Expectation,
                metric=metrics,
                at_least=st.sampled_from([0.5, 1.0]),
                severity=st.sampled_from(["block", "review", "warn"]),
            ),
            max_size=4,
        )
    )
    changed = with_expectations(assessment, *expectations)

    root = parsed(changed)

    red = root.get("failures") != "0" or root.get("errors") != "0"
    assert red == (changed.decision.verdict != "approved")


def test_analysis_that_failed_without_an_expectation_is_not_lost(assessment):
    changed = with_expectations(
        assessment, Expectation(metric="performance.accuracy", at_least=0.5)
    )

    skipped = parsed(changed).find(".//testsuite[@name='filter_importance']/testcase/skipped")

    assert "nothing to silence" in skipped.get("message")


def test_withdrawn_evidence_is_an_error_where_something_is_expected_of_it(withdrawn):
    error = parsed(withdrawn).find(".//testsuite[@name='genetic_explanation']/testcase/error")

    assert "was withdrawn: not better than a random map" in error.get("message")


def test_withdrawn_evidence_without_an_expectation_is_not_lost(withdrawn):
    changed = with_expectations(withdrawn, Expectation(metric="performance.accuracy", at_least=0.5))

    skipped = parsed(changed).find(".//testsuite[@name='genetic_explanation']/testcase/skipped")

    assert "withdrawn: not better than a random map" in skipped.get("message")


def test_any_text_gives_a_file_that_can_be_read(assessment):
    text = "\x00\x1b[31m<&\"'>]]>\ud800\ufffe\u202e{犬}"
    evidence = dataclasses.replace(
        assessment.evidence[3], measurement=Measurement(metrics={text: 0.1})
    )
    changed = with_expectations(
        dataclasses.replace(assessment, evidence=(evidence,)),
        Expectation(metric=f"performance.{text}", at_least=0.5, rationale=text),
    )

    failure = parsed(changed).find(".//failure")

    assert "<&\"'>]]>" in failure.text
    assert "犬" in failure.text

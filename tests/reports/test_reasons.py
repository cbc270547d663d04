"""Reasons: a sign of risk is seen, not seen, or cannot be told; never "not seen" where unknown."""

import dataclasses

import pytest

from governance.records.decision import judge
from governance.records.evidence import Failure, Table
from governance.records.policy import INAPPLICABLE
from reports.findings import findings
from reports.reasons import reasons


def part_e(assessment):
    return {item.analysis: item for item in reasons(assessment, findings(assessment))}


def rejudged(assessment, evidence):
    decision = judge(assessment.policy, evidence)
    return dataclasses.replace(assessment, evidence=evidence, decision=decision)


def changed(assessment, analysis, **changes):
    """The assessment with one evidence otherwise, judged anew."""
    return rejudged(
        assessment,
        tuple(
            dataclasses.replace(item, **changes) if item.analysis == analysis else item
            for item in assessment.evidence
        ),
    )


def test_an_unmet_requirement_is_a_sign_seen_and_comes_first(assessment):
    found = reasons(assessment, findings(assessment))

    assert found[0].analysis == "layer_prediction"
    assert found[0].sign == "seen"
    assert [item.outcome for item in found[0].findings] == ["unmet"]


def test_met_requirements_are_a_sign_not_seen(assessment):
    found = part_e(assessment)["genetic_explanation"]

    assert (found.sign, found.struck) == ("not seen", False)


@pytest.mark.parametrize("kind", ["AnalysisError", INAPPLICABLE])
def test_a_failure_is_never_a_sign_not_seen(assessment, kind):
    failure = Failure(kind=kind, message="no <convolution> here")
    whole = changed(assessment, "genetic_explanation", measurement=None, failure=failure)

    found = part_e(whole)["genetic_explanation"]

    assert found.sign == ("not applicable" if kind == INAPPLICABLE else "cannot tell")
    assert "no <convolution> here" in found.answer.text


def test_withdrawn_evidence_cannot_tell_and_is_struck(withdrawn):
    found = part_e(withdrawn)["genetic_explanation"]

    assert (found.sign, found.struck) == ("cannot tell", True)
    assert "not better than a random map" in found.answer.text
    assert found.answer.chart is None


def test_without_a_requirement_nothing_can_be_told(assessment):
    policy = dataclasses.replace(assessment.policy, expectations=assessment.policy.expectations[:1])
    whole = dataclasses.replace(
        assessment, policy=policy, decision=judge(policy, assessment.evidence)
    )

    assert {item.sign for item in part_e(whole).values()} == {"cannot tell"}


def test_an_analysis_whose_tables_are_unknown_answers_with_its_metrics(assessment):
    found = part_e(assessment)["genetic_explanation"]

    assert "Area of a sufficient region: 18\u202f%" in found.answer.text
    assert found.figure.name == "gallery"


@pytest.mark.parametrize(
    ("analysis", "table"),
    [
        ("layer_prediction", "gaps"), ("layer_prediction", "classes"), ("drift", "answers"),
        ("preprocessing_check", "alternatives"), ("learning_process", "classes"),
        ("filter_importance", "top_filters"), ("genetic_explanation", "images"),
    ],
)  # fmt: skip
def test_a_table_of_the_right_name_and_other_columns_breaks_nothing(assessment, analysis, table):
    lens = assessment.evidence[2]
    odd = Table(name=table, caption="Odd.", columns=("x", "class"), rows=((1, "a"), (None, None)))
    measurement = dataclasses.replace(lens.measurement, tables=(odd,), figures=())
    other = dataclasses.replace(lens, analysis=analysis, measurement=measurement)

    found = part_e(rejudged(assessment, (other,)))

    assert found[analysis].answer.text

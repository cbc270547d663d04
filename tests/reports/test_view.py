"""An assessment is arranged in the order in which a reader asks."""

import dataclasses

import numpy as np
import pytest

from governance.analyses.performance import performance
from governance.records.decision import judge
from governance.records.evidence import Table
from reports.gate_view import gate_view
from reports.html import to_html
from reports.markdown import render
from reports.view import one_answer, view


def test_open_findings_come_first_and_the_gravest_of_them_at_the_head(assessment):
    found = [(item.outcome, item.severity) for item in view(assessment).told]

    assert found[:6] == [
        ("unmet", "block"), ("missing", "block"), ("unmet", "review"), ("missing", "review"),
        ("unmet", "warn"), ("missing", "warn"),
    ]  # fmt: skip
    assert {outcome for outcome, _ in found[6:]} == {"met"}


def test_every_analysis_is_told_in_one_part_and_in_the_annex(assessment):
    arranged = view(assessment)

    assert arranged.anchors["performance"] == arranged.anchors["data_quality"] == "d"
    told = {name: f"reason-{name}" for name in ("filter_importance", "layer_prediction",
                                                "genetic_explanation")}  # fmt: skip
    assert {name: arranged.anchors[name] for name in told} == told
    assert [item.analysis for item in arranged.reasons] == [
        "layer_prediction", "filter_importance", "genetic_explanation",
    ]  # fmt: skip
    assert [item.evidence.analysis for item in arranged.annex(paper=True)] == [
        item.analysis for item in assessment.evidence
    ]


def test_thousand_classes_are_cut_and_counted(make_sample):
    arranged = view(make_sample(classes=tuple(f"class {i}" for i in range(1000))))

    by_class = arranged.annex(paper=True)[3].by_class
    assert len(by_class.rows) + by_class.left == 1000
    assert by_class.left == 988
    assert len(arranged.told) == 1009
    assert sum(topic.total for topic in arranged.topics) == 1009


def test_assessment_without_evidence_can_be_arranged(assessment):
    bare = dataclasses.replace(
        assessment, evidence=(), decision=judge(assessment.policy, ()), baseline=None
    )

    assert view(bare).reasons == ()
    assert view(bare).annex(paper=False) == ()


def answered(assessment, named):
    """The assessment with how many images its performance says are named as which class."""
    rows = tuple(zip(assessment.validation.class_names, named, strict=True))
    table = Table(name="classes", caption="c", columns=("class", "named"), rows=rows)
    evidence = tuple(
        dataclasses.replace(
            item, measurement=dataclasses.replace(item.measurement, tables=(table,))
        )
        if item.analysis == "performance"
        else item
        for item in assessment.evidence
    )
    return dataclasses.replace(assessment, evidence=evidence)


def test_a_model_that_answers_every_image_alike_is_said_so_on_page_one(assessment):
    classes = assessment.validation.class_names
    constant = answered(assessment, [0, assessment.validation.images, *[0] * (len(classes) - 2)])

    sentence = f"All 1,500 images are answered with class {classes[1]}."
    assert one_answer(constant) == sentence
    page = to_html(constant)
    assert sentence in page[: page.index('id="b"')]
    assert sentence in render(gate_view("", constant)).partition("Policy:")[0]


@pytest.mark.parametrize("named", [(1, 1), (0, 0)])
def test_a_model_whose_answers_differ_or_are_not_known_is_not_said_to_answer_alike(
    assessment, named
):
    rest = [0] * (len(assessment.validation.class_names) - 2)

    assert one_answer(answered(assessment, [*named, *rest])) == ""
    assert "are answered with class" not in to_html(assessment)


def test_the_performance_of_a_constant_model_says_so(assessment):
    classes = assessment.validation.class_names
    images = assessment.validation.images
    certain = np.tile(np.eye(len(classes))[2], (images, 1))
    measured = performance(certain, np.arange(images) % len(classes), classes)
    evidence = tuple(
        dataclasses.replace(item, measurement=measured) if item.analysis == "performance" else item
        for item in assessment.evidence
    )

    found = one_answer(dataclasses.replace(assessment, evidence=evidence))

    assert found == f"All 1,500 images are answered with class {classes[2]}."
    assert found in measured.notes or found.replace(",", "") in measured.notes

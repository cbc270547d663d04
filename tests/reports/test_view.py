"""An assessment is arranged in the order in which a reader asks."""

import dataclasses

import numpy as np
import pytest

from governance.analyses.performance import performance
from governance.records.decision import judge
from governance.records.evidence import Measurement, Table
from reports.gate_view import gate_view
from reports.html import to_html
from reports.markdown import render
from reports.sections import changes
from reports.view import one_answer, ordered, view


def test_open_findings_come_first_and_the_gravest_of_them_at_the_head(assessment):
    found = [
        (item.outcome, item.expectation.severity) for item in ordered(assessment.decision.findings)
    ]

    assert found[:6] == [
        ("unmet", "block"), ("missing", "block"), ("unmet", "review"), ("missing", "review"),
        ("unmet", "warn"), ("missing", "warn"),
    ]  # fmt: skip
    assert {outcome for outcome, _ in found[6:]} == {"met"}


def test_sections_stand_under_their_parts_in_order(assessment):
    titles = [(entry.part, entry.title) for entry in view(assessment).chapters]

    assert titles == [
        ("D", "Performance"), ("D", "Data"), ("D", "Comparison with the baseline"),
        ("E", "Filter importance"), ("E", "Layer prediction"), ("E", "Genetic explanation"),
        ("F", "Limits"), ("annex", "Findings in full"), ("annex", "Controls of laws, standards and guidance"),
        ("annex", "Environment"),
    ]  # fmt: skip
    assert [entry.number for entry in view(assessment).chapters] == list(range(1, 10))


def test_metrics_of_classes_stand_apart_from_those_of_the_model(assessment):
    section = view(assessment).chapters[0].content

    assert "accuracy" in [row.name for row in section.rows]
    assert not [row.name for row in section.rows if row.name.startswith("recall.")]
    assert section.families == ("recall",)
    assert [name for name, _ in section.classes] == list(assessment.validation.class_names)
    assert len(next(row for row in section.rows if row.name == "accuracy").findings) == 2


def test_thousand_classes_are_cut_and_counted(make_sample):
    arranged = view(make_sample(classes=tuple(f"class {i}" for i in range(1000))))

    section = arranged.chapters[0].content
    assert len(section.classes) + section.classes_left == 1000
    assert section.classes_left == 940
    assert len(arranged.findings) + arranged.unlisted["findings"] == 1009
    assert sum(topic.total for topic in arranged.topics) == 1009


def test_family_beyond_those_with_a_column_keeps_its_rows(make_sample):
    assessment = make_sample()
    name = assessment.validation.class_names[0]
    metrics = {f"family{i}.{name}": 0.5 for i in range(6)}
    evidence = dataclasses.replace(assessment.evidence[3], measurement=Measurement(metrics=metrics))

    arranged = view(dataclasses.replace(assessment, evidence=(evidence,)))

    section = next(e.content for e in arranged.chapters if not isinstance(e.content, str))
    in_columns = {row.name for _, rows in section.classes for row in rows if row}
    assert in_columns | {row.name for row in section.rows} == set(metrics)


def test_changes_hold_metrics_of_either_version(assessment):
    found = {f"{item.analysis}.{item.name}": item for item in changes(assessment)}

    assert found["performance.gone"].new is None
    assert found["performance.brier"].old is None
    assert found["performance.accuracy"].old_interval is not None
    assert next(iter(found)).startswith("performance.")


def test_no_baseline_gives_no_changes(make_sample):
    assert changes(make_sample(baseline=False)) == ()


def test_assessment_without_evidence_can_be_arranged(assessment):
    bare = dataclasses.replace(
        assessment, evidence=(), decision=judge(assessment.policy, ()), baseline=None
    )

    assert view(bare).data is None
    assert all(isinstance(entry.content, str) for entry in view(bare).chapters)


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

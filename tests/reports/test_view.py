"""An assessment is arranged in the order in which a reader asks."""

import dataclasses

from governance.records.evidence import Measurement
from governance.records.policy import judge
from reports.view import changes, ordered, view


def test_open_findings_come_first_and_the_gravest_of_them_at_the_head(assessment):
    found = [
        (item.outcome, item.expectation.severity) for item in ordered(assessment.decision.findings)
    ]

    assert found[:6] == [
        ("unmet", "block"), ("missing", "block"), ("unmet", "review"), ("missing", "review"),
        ("unmet", "warn"), ("missing", "warn"),
    ]  # fmt: skip
    assert {outcome for outcome, _ in found[6:]} == {"met"}


def test_sections_are_data_performance_analyses_in_order_and_the_rest(assessment):
    titles = [entry.title for entry in view(assessment).entries]

    assert titles == [
        "Data", "Performance", "Filter importance", "Layer prediction", "Genetic explanation",
        "Comparison with the baseline", "Findings in full", "Environment", "Limits",
    ]  # fmt: skip
    assert [entry.number for entry in view(assessment).entries] == list(range(1, 10))


def test_metrics_of_classes_stand_apart_from_those_of_the_model(assessment):
    section = view(assessment).entries[1].content

    assert "accuracy" in [row.name for row in section.rows]
    assert not [row.name for row in section.rows if row.name.startswith("recall.")]
    assert section.families == ("recall",)
    assert [name for name, _ in section.classes] == list(assessment.validation.class_names)
    assert len(next(row for row in section.rows if row.name == "accuracy").findings) == 2


def test_thousand_classes_are_cut_and_counted(make_sample):
    arranged = view(make_sample(classes=tuple(f"class {i}" for i in range(1000))))

    section = arranged.entries[1].content
    assert len(section.classes) + section.classes_left == 1000
    assert section.classes_left == 940
    assert len(arranged.findings) + arranged.unlisted["findings"] == 1009
    assert arranged.tally("met") == sum(
        item.outcome == "met" for item in arranged.assessment.decision.findings
    )


def test_family_beyond_those_with_a_column_keeps_its_rows(make_sample):
    assessment = make_sample()
    name = assessment.validation.class_names[0]
    metrics = {f"family{i}.{name}": 0.5 for i in range(6)}
    evidence = dataclasses.replace(assessment.evidence[3], measurement=Measurement(metrics=metrics))

    arranged = view(dataclasses.replace(assessment, evidence=(evidence,)))

    section = next(e.content for e in arranged.entries if not isinstance(e.content, str))
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
    assert all(isinstance(entry.content, str) for entry in view(bare).entries)

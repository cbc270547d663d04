"""What was not assessed is named."""

import dataclasses

from governance.evidence import Measurement
from reports.gaps import uncovered, unmeasured


def test_what_failed_and_what_was_not_run_is_named(assessment):
    found = {gap.subject: gap.reason for gap in unmeasured(assessment)}

    assert list(found) == ["filter_importance", "de_cam", "verified_perturbation"]
    assert "AnalysisError" in found["filter_importance"]


def test_a_question_left_open_is_named_though_its_analysis_ran(assessment):
    left = dataclasses.replace(
        assessment.evidence[0].measurement, unanswered=("nothing was proven",)
    )
    ran = dataclasses.replace(assessment.evidence[0], measurement=left)

    found = unmeasured(dataclasses.replace(assessment, evidence=(ran,)))

    assert (found[0].subject, found[0].reason) == (ran.analysis, "nothing was proven")


def test_subject_leaves_the_gaps_only_where_an_analysis_measured_it(assessment):
    adversarial = "Adversarial and corrupted inputs"
    evidence = dataclasses.replace(
        assessment.evidence[0],
        analysis="verified_perturbation",
        measurement=Measurement(metrics={"certified": 0.5}),
    )
    failed = dataclasses.replace(assessment.evidence[1], analysis="verified_perturbation")

    without = {gap.subject for gap in uncovered(assessment)}
    measured = {
        gap.subject for gap in uncovered(dataclasses.replace(assessment, evidence=(evidence,)))
    }
    crashed = {
        gap.subject for gap in uncovered(dataclasses.replace(assessment, evidence=(failed,)))
    }

    assert adversarial in without
    assert without - measured == {adversarial}
    assert crashed == without  # fmt: skip

"""What was not assessed is named."""

import dataclasses

from governance import drift
from governance.records.evidence import Evidence, Failure, Measurement, Table
from reports.gaps import inapplicable, uncovered, unmeasured
from reports.gaps import withdrawn as withdrawn_of
from reports.html import to_html


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


def test_withdrawn_evidence_is_named_with_its_reasons_and_covers_nothing(assessment, withdrawn):
    (gap,) = withdrawn_of(withdrawn)

    assert gap.subject == "genetic_explanation"
    assert gap.reason.startswith("not better than a random map; ")
    assert withdrawn_of(assessment) == ()
    found = Measurement(metrics={"certified": 0.5}, withdrawn=("no",))
    verified = dataclasses.replace(
        assessment.evidence[0],
        analysis="verified_perturbation",
        measurement=found,
        covers=("adversarial",),
    )
    left = uncovered(dataclasses.replace(assessment, evidence=(verified,)))
    assert left == uncovered(dataclasses.replace(assessment, evidence=()))


def test_subject_leaves_the_gaps_only_where_an_analysis_measured_it(assessment):
    adversarial = "Adversarial and corrupted inputs"
    evidence = dataclasses.replace(
        assessment.evidence[0],
        analysis="verified_perturbation",
        measurement=Measurement(metrics={"certified": 0.5}),
        covers=("adversarial",),
    )
    failed = dataclasses.replace(
        assessment.evidence[1], analysis="verified_perturbation", covers=("adversarial",)
    )

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


def test_what_does_not_apply_is_named_with_its_reason_and_is_no_failure(assessment):
    first = Evidence(
        analysis="drift", about="", parameters={}, seed=0, seconds=0.0, device="cpu",
        failure=Failure(kind="not applicable", message="no approved version went before"),
    )  # fmt: skip
    kept = (*assessment.evidence, first)
    found = unmeasured(dataclasses.replace(assessment, evidence=kept, baseline=None))
    reasons = {gap.subject: gap.reason for gap in found}
    assert reasons["drift"] == "not applicable: no approved version went before"


def test_page_one_names_what_a_model_of_this_kind_cannot_be_asked(assessment):
    none, first = (
        Evidence(
            analysis=name, about="", parameters={}, seed=0, seconds=0.0, device="cpu",
            failure=Failure(kind="not applicable", message="gives only probabilities"),
        )
        for name in ("filter_importance", "drift")
    )  # fmt: skip
    kept = tuple(item for item in assessment.evidence if item.analysis != "filter_importance")
    found = dataclasses.replace(assessment, evidence=(*kept, none, first), baseline=None)
    assert inapplicable(found) == ("filter_importance",)
    page = to_html(found)
    assert (
        "Not applicable to this model:</strong> filter importance" in page[: page.index('id="b"')]
    )
    assert "Not applicable to this model" not in to_html(assessment)


def test_change_between_versions_is_assessed_under_a_policy_with_drift(assessment):
    change = "Change between versions"
    answers = Table(
        name="answers", caption="c", columns=("question", "outcome", "words"),
        rows=(("verdict", "EQUIVALENT", "like a reference run"),),
    )  # fmt: skip
    compared = dataclasses.replace(
        assessment.evidence[0],
        analysis="drift",
        measurement=Measurement(metrics={"drifted": 0.0}, tables=(answers,)),
        covers=drift.COVERS,
    )

    assert change in {gap.subject for gap in uncovered(assessment)}
    with_drift = dataclasses.replace(assessment, evidence=(*assessment.evidence, compared))
    assert change not in {gap.subject for gap in uncovered(with_drift)}
    assert f'<th scope="row">{change}</th>' in to_html(assessment)
    assert f"<strong>{change}</strong>" not in to_html(with_drift)
    assert "drift, monitoring" not in to_html(with_drift)

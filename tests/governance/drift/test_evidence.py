"""Measured: drift as evidence, its self-tests, the envelope, and what makes it missing."""

from dataclasses import replace

import pytest
import versions
from versions import record

from governance.drift import compared, measured
from governance.errors import AnalysisError, EvidenceError
from governance.records.assessment import Assessment
from governance.records.drift_terms import DriftTerms
from governance.records.lineage import Lineage
from governance.records.policy import INAPPLICABLE
from reports.gaps import uncovered


def drift_of(assessment):
    (found,) = (item for item in assessment.evidence if item.analysis == "drift")
    return found


def outcomes(assessment):
    return {item.expectation.metric: item.outcome for item in assessment.decision.findings}


@pytest.fixture(scope="session")
def second(assessed, lineage):
    """Version 2, of another seed, held against version 1."""
    return assessed(1, "models:/tiny/2", lineage=lineage)


def test_a_first_version_is_approved_and_its_drift_does_not_apply(first):
    assert drift_of(first).failure.kind == INAPPLICABLE
    assert first.decision.verdict == "approved"
    assert {outcomes(first)[name] for name in outcomes(first) if name.startswith("drift.")} == {
        "inapplicable"
    }


@pytest.mark.slow
def test_where_earlier_versions_are_not_known_drift_is_missing(assessed):
    for lineage in (None, Lineage(unknown="a folder is not registered")):
        found = assessed(0, "folder", lineage=lineage)
        assert found.decision.verdict == "undetermined"
        assert outcomes(found)["drift.drifted"] == "missing"


@pytest.mark.slow
def test_a_later_version_is_held_against_the_one_before(second, lineage):
    found = drift_of(second)
    assert found.measurement is not None, found.failure
    metrics = found.measurement.metrics
    assert metrics["references"] == 0
    assert 0 < metrics["distance"] <= metrics["upper"]
    assert metrics["to_first"] is not None
    assert second.baseline.assessment_digest == lineage.previous.digest
    tables = {table.name for table in found.measurement.tables}
    assert {"answers", "statistics", "self_tests", "envelope"} <= tables
    assert found.parameters["regions"] == {"corner": [0.0, 0.0, 0.25, 0.25]}


@pytest.mark.slow
def test_without_references_or_tolerance_a_version_is_undetermined(assessed, drifting, first):
    # arrange: nothing says how much harmless training changes
    plain = replace(drifting, drift=DriftTerms())
    told = replace(drifting, drift=DriftTerms(tolerance=1.9))
    lineage = Lineage(previous=first)

    # act
    silent = assessed(1, "models:/tiny/2", policy=plain, lineage=lineage)
    tolerated = assessed(1, "models:/tiny/2", policy=told, lineage=lineage)

    # assert
    assert drift_of(silent).measurement.metrics["drifted"] is None
    assert outcomes(silent)["drift.drifted"] == outcomes(silent)["drift.excess"] == "missing"
    assert silent.decision.verdict == "undetermined"
    assert outcomes(tolerated)["drift.drifted"] == outcomes(tolerated)["drift.excess"] == "met"


def test_the_answers_stand_in_words_in_the_evidence(second):
    tables = {table.name: table for table in drift_of(second).measurement.tables}
    questions = [row[0] for row in tables["answers"].rows]
    assert questions == [
        "verdict",
        "flips",
        "identity",
        "exchangeability",
        "equivalence",
        "to_first",
    ]


def test_page_one_does_not_call_a_change_that_was_compared_not_assessed(first, second):
    change = "Change between versions"

    assert change not in {gap.subject for gap in uncovered(second)}
    assert change in {gap.subject for gap in uncovered(first)}


def test_the_envelope_is_judged(second):
    tables = {table.name: table for table in drift_of(second).measurement.tables}
    sides = {row[0]: row[3] for row in tables["envelope"].rows}
    assert sides == {"layers": False, "data": True, "drift": True}
    assert outcomes(second)["drift.outside_envelope"] == "unmet"
    assert second.decision.verdict == "rejected"


def test_the_record_survives_the_disk(second, tmp_path):
    second.save(tmp_path / "a")
    assert Assessment.load(tmp_path / "a") == second


@pytest.mark.slow
def test_records_that_cannot_be_compared_leave_drift_missing(assessed, first, drifting):
    # arrange: another budget of the explainer
    maps = {"samples": 60, "steps": 5, "repeated": 6}
    policy = replace(drifting, analyses={"explanation_maps": maps})
    # act
    found = assessed(1, "models:/tiny/2", policy=policy, lineage=Lineage(previous=first))
    # assert
    assert drift_of(found).failure.kind == "EvidenceError"
    assert "'steps': 4" in drift_of(found).failure.message
    assert outcomes(found)["drift.drifted"] == "missing"
    assert found.decision.verdict == "undetermined"


@pytest.mark.slow
def test_a_first_version_of_other_images_costs_only_its_own_answer(second, lineage, first):
    other = replace(first, validation=replace(first.validation, digest="sha256:other"))
    far = replace(lineage, first=replace(other, identity=replace(first.identity, uri="m:/0")))
    _, found = compared(second, far, second.policy.drift)
    assert found.metrics["to_first"] is None
    assert found.metrics["distance"] is not None
    assert any("The version approved first was not compared" in note for note in found.notes)


def test_a_planted_fault_that_is_missed_withdraws_the_comparison():
    # arrange: a "fault" that is one more harmless run
    harmless = Lineage(
        previous=record("1", seed=1),
        references=tuple(versions.harmless(9)),
        planted=record("1#planted", seed=77),
    )
    # act
    _, found = compared(record("2", seed=2), harmless, DriftTerms())
    # assert
    (reason,) = found.withdrawn
    assert reason.startswith("Test fault missed")
    tests = next(table for table in found.tables if table.name == "self_tests")
    assert [(row[0], row[-1]) for row in tests.rows] == [("aa", True), ("planted", False)]


def test_a_planted_fault_that_is_found_withdraws_nothing():
    loud = record("1#planted", seed=77, noise=1.5)
    lineage = Lineage(
        previous=record("1", seed=1), references=tuple(versions.harmless(9)), planted=loud
    )
    comparison, found = compared(record("2", seed=2), lineage, DriftTerms())
    assert found.withdrawn == ()
    assert comparison.verdict != "DRIFT"


def test_an_aa_test_on_too_few_images_withdraws():
    few = DriftTerms(alpha=0.01)  # a hundred parts of 60 images
    _, found = compared(record("2", seed=2), Lineage(previous=record("1", seed=1)), few)
    assert "too few" in found.withdrawn[0]


def test_what_is_not_known_is_said_where_the_first_page_says_it(second):
    said = drift_of(second).measurement.unanswered
    assert [sentence.partition(":")[0] for sentence in said] == [
        "how much harmless training changes",
        "whether the change is tolerable",
        "whether a test fault would be found",
    ]


def test_nothing_is_compared_without_a_version_before(version_of, first, second):
    subject = version_of(0, "models:/tiny/1")
    with pytest.raises(AnalysisError, match="both are needed"):
        measured(subject, first, Lineage())
    with pytest.raises(AnalysisError, match="no version before"):
        compared(second, Lineage(), second.policy.drift)


def test_a_version_is_not_compared_with_itself(first):
    with pytest.raises(EvidenceError, match="itself"):
        compared(first, Lineage(previous=first), first.policy.drift)


def test_no_record_excuses_a_version_that_has_a_baseline(first, second):
    with pytest.raises(EvidenceError, match="said not to apply beside a baseline"):
        replace(first, baseline=second.baseline)


def test_a_change_of_right_answers_on_all_images_is_paired(second):
    measurement = next(item for item in second.evidence if item.analysis == "drift").measurement
    beside = next(table for table in measurement.tables if table.name == "beside")
    rows = {row[0]: row for row in beside.rows}

    _, old, new, change, low, high, n = rows["performance.accuracy"]

    assert n == second.validation.images
    assert change == pytest.approx(new - old)
    assert low <= change <= high
    assert new == pytest.approx(second.metrics["performance.accuracy"])
    for name in second.validation.class_names:
        assert rows[f"performance.recall.{name}"][2] == pytest.approx(
            second.metrics[f"performance.recall.{name}"]
        )

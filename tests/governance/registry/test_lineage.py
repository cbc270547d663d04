"""Predecessors: which recorded versions a version is compared with, and when that is refused."""

import dataclasses

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput

from governance.errors import EvidenceError, SubjectError
from governance.records.drift_terms import DriftTerms
from governance.records.lineage import Lineage
from governance.registry import all_versions, lineage, record, resolve
from governance.registry import recorded as recorded_assessment


@pytest.fixture
def drifting(policy):
    """The policy with terms for drift."""
    return dataclasses.replace(policy, drift=DriftTerms())


@pytest.fixture
def register(opened, recorded, saved_model, make_assessment):
    """Register the next version and record it with some accuracy: its verdict follows."""

    def make(accuracy=0.9, run_id=None):
        found = MlflowClient().create_model_version("stripes", str(saved_model), run_id)
        version = resolve(f"models:/stripes/{found.version}")
        place = {key: getattr(version, key) for key in ("uri", "ref")}
        identity = dataclasses.replace(opened, **place)
        record(version, *make_assessment(identity, accuracy=accuracy, folder=f"v{found.version}"))
        return version

    return make


def champion(number):
    MlflowClient().set_registered_model_alias("stripes", "champion", number)


def numbers(found):
    names = ("previous", "first")
    parts = [getattr(found, name) for name in names]
    return [part.identity.version if part else None for part in parts]


def test_the_baseline_is_the_record_of_the_version_that_the_policy_names(recorded, second, policy):
    # arrange
    champion("1")
    tags = MlflowClient().get_model_version("stripes", "1").tags
    # act
    found = lineage(second, policy).baseline
    # assert
    assert found == lineage(second, dataclasses.replace(policy, baseline="1")).baseline
    assert found.identity.version == "1"
    assert found.verdict == "approved"
    assert found.assessment_digest == tags["governance.digest"]
    assert found.metrics["performance.accuracy"] == 0.9
    assert found.intervals["performance.accuracy"].n == 120


def test_there_is_no_baseline_without_an_alias_of_itself_or_where_none_is_wanted(
    recorded, second, policy, saved_model
):
    assert lineage(second, policy).baseline is None
    champion("2")
    assert lineage(second, policy).baseline is None
    assert lineage(second, dataclasses.replace(policy, baseline=None)).baseline is None
    assert lineage(resolve(str(saved_model)), policy).baseline is None


def test_a_baseline_without_a_record_is_refused_with_its_cure(recorded, second, policy):
    with pytest.raises(SubjectError, match="no record"):
        lineage(recorded, dataclasses.replace(policy, baseline="2"))
    with pytest.raises(SubjectError, match="no version 7"):
        lineage(recorded, dataclasses.replace(policy, baseline="7"))


def test_a_first_version_has_nothing_before_it(recorded, second, drifting):
    assert lineage(recorded, drifting) == Lineage()


@pytest.mark.slow
def test_an_alias_that_is_taken_away_does_not_end_the_comparison(register, drifting):
    # arrange: 1 approved, 2 approved, 3 rejected, no alias at all
    register()
    register(accuracy=0.1)
    fourth = register()
    # act, assert: the newest approved one, and the oldest
    assert numbers(lineage(fourth, drifting)) == ["2", "1"]
    champion("4")
    assert numbers(lineage(fourth, drifting)) == ["2", "1"]


@pytest.mark.slow
def test_the_first_is_the_oldest_approved_version_and_named_once(register, drifting):
    second, third = register(), register()
    champion("2")
    assert numbers(lineage(third, drifting)) == ["2", "1"]
    champion("1")
    assert numbers(lineage(third, drifting)) == ["1", None]
    assert numbers(lineage(second, drifting)) == ["1", None]


@pytest.mark.parametrize("damaged", ["1", "2"])
def test_a_damaged_record_ends_no_assessment_but_its_own(register, drifting, policy, damaged):
    register()
    third = register()
    champion("2")
    MlflowClient().set_model_version_tag("stripes", damaged, "governance.digest", "sha256:0")

    found = lineage(third, drifting)

    assert (found.previous, found.first, found.references) == (None, None, ())
    assert found.unknown.startswith(f"previous record damaged: models:/stripes/{damaged}: tag")
    # Where drift is not asked for, the first version is not looked at.
    assert (lineage(third, policy).unknown is None) == (damaged == "1")


def test_versions_of_a_model_that_is_not_registered_are_not_known(saved_model, drifting):
    found = lineage(resolve(str(saved_model)), drifting)
    assert found.previous is None
    assert "not registered" in found.unknown


def test_the_data_of_the_training_run_is_read(register, drifting):
    dataset = Dataset(name="digits", digest="ab12", source_type="local", source="{}")
    with mlflow.start_run() as run:
        MlflowClient().log_inputs(run.info.run_id, [DatasetInput(dataset, [])])
    version = register(run_id=run.info.run_id)
    assert lineage(version, drifting).data == (("digits", "ab12"),)


def test_all_versions_are_listed_in_order_with_their_status(register):
    register(accuracy=0.1)
    found = [(version.ref.version, status) for version, status in all_versions("stripes")]
    assert found == [("1", "approved"), ("2", "rejected")]
    with pytest.raises(SubjectError, match="no registered model 'other'"):
        all_versions("other")


def test_a_recorded_assessment_is_held_against_its_tags(recorded):
    assert recorded_assessment(recorded).identity.version == "1"
    MlflowClient().set_model_version_tag("stripes", "1", "governance.manifest", "sha256:0")
    with pytest.raises(EvidenceError, match=r"governance\.manifest"):
        recorded_assessment(recorded)

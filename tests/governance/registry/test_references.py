"""Reference runs: recorded once, listed with the registered model, and found again intact."""

import dataclasses

import pytest
from mlflow import MlflowClient

from governance.errors import EvidenceError, RegistryError
from governance.records.version_ref import VersionRef
from governance.registry import ModelVersion, listed, record_reference, references


@pytest.fixture
def keep(version, identity, make_assessment):
    """Record a reference of the version, or of the one of another number."""

    def make(seed, *, kind="retrain", number="1"):
        digest = f"sha256:{seed:064d}"
        other = dataclasses.replace(identity, digest=digest, uri=f"models:/stripes/1#{seed}")
        assessment, _ = make_assessment(other, folder=f"reference {kind} {seed}")
        return record_reference(
            place(number), assessment, kind=kind, recipe="train:fit", seed=str(seed)
        )

    return make


def place(number):
    ref = VersionRef(name="stripes", version=number, created=1)
    return ModelVersion(uri=ref.uri, ref=ref)


def seeds(number, kind):
    found = references(place(number), kind)
    return [item.identity.uri.partition("#")[2] for item in found]


def test_a_model_without_references_has_none(version):
    assert listed("stripes") == ()
    assert references(version, "retrain") == ()


def test_what_was_recorded_is_found_again_in_its_order(keep):
    kept = [keep(1), keep(2), keep(3, kind="checkpoint")]
    assert list(listed("stripes")) == kept
    assert seeds("1", "retrain") == ["1", "2"]
    assert seeds("1", "checkpoint") == ["3"]
    assert seeds("1", "planted") == []
    run = MlflowClient().get_run(kept[0].run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["governance.recipe"] == "train:fit"


def test_retrained_runs_of_an_earlier_version_serve_until_there_are_newer_ones(keep):
    keep(1, number="1")
    keep(2, number="3")
    assert [seeds(number, "retrain") for number in ("1", "2", "3", "9")] == [
        ["1"], ["1"], ["2"], ["2"],
    ]  # fmt: skip


def test_runs_trained_on_from_a_version_belong_to_it_alone(keep):
    keep(1, kind="lineage", number="1")
    assert seeds("1", "lineage") == ["1"]
    assert seeds("2", "lineage") == []


def test_a_record_that_is_not_the_one_listed_is_refused(keep, version):
    kept = keep(1)
    other = kept.digest[:-1] + ("0" if kept.digest[-1] != "0" else "1")
    client = MlflowClient()
    client.set_registered_model_tag("stripes", "governance.references", f"{kept.run_id}={other}")
    with pytest.raises(EvidenceError, match="the registered model lists"):
        references(version, "retrain")


@pytest.mark.parametrize("entry", ["nonsense", "../x=sha256:" + "0" * 64])
def test_a_damaged_list_is_refused(version, entry):
    MlflowClient().set_registered_model_tag("stripes", "governance.references", entry)
    with pytest.raises(EvidenceError, match="is accepted"):
        listed("stripes")


def test_a_run_that_is_gone_deleted_or_of_another_model_is_refused(keep):
    client, entry = MlflowClient(), "0" * 32 + "=sha256:" + "0" * 64
    client.set_registered_model_tag("stripes", "governance.references", entry)
    with pytest.raises(EvidenceError, match="is gone"):
        listed("stripes")
    client.delete_registered_model_tag("stripes", "governance.references")
    kept = keep(1)
    client.set_tag(kept.run_id, "governance.model", "models:/other/1")
    with pytest.raises(EvidenceError, match="no reference of this model"):
        listed("stripes")
    client.set_tag(kept.run_id, "governance.model", "models:/stripes/1")
    client.delete_run(kept.run_id)
    with pytest.raises(EvidenceError, match="deleted"):
        listed("stripes")


def test_only_a_registered_version_has_references(make_assessment, identity):
    assessment, _ = make_assessment(identity)
    with pytest.raises(RegistryError, match="not registered"):
        record_reference(ModelVersion(uri="folder"), assessment, kind="retrain", recipe="", seed="")

"""Verifying: what was changed after an assessment is found, each thing by its own sentence."""

import hashlib
import json

import pytest
from hostile import GRAPH, edited, export, powers
from mlflow import MlflowClient

from governance.errors import EvidenceError, SubjectError
from governance.records.serialisation import canonical
from governance.registry import (
    ask,
    fetch,
    load_model,
    mismatches,
    resolve,
)
from governance.subject import model_files
from governance.workflows.version_history import read_history


def problems(version, folder):
    return mismatches(version, fetch(version, folder))


def set_tag(key, value):
    MlflowClient().set_model_version_tag("stripes", "1", f"governance.{key}", value)


def test_a_record_of_an_unchanged_version_can_be_relied_on(recorded, tmp_path):
    assert problems(recorded, tmp_path / "r") == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("status", "rejected", "governance.status is 'rejected' and the record says approved"),
        ("status", "running", "governance.status is 'running' and the record says approved"),
        ("digest", "sha256:0", "governance.digest is 'sha256:0' and the record says sha256:"),
        ("policy", "Stripes", "governance.policy is 'Stripes' and the record was made under"),
    ],
)
def test_a_changed_tag_is_found(recorded, tmp_path, key, value, wanted):
    set_tag(key, value)
    (problem,) = problems(recorded, tmp_path / "r")
    assert wanted in problem


def test_a_missing_tag_is_found(recorded, tmp_path):
    MlflowClient().delete_model_version_tag("stripes", "1", "governance.digest")
    assert "governance.digest is missing" in problems(recorded, tmp_path / "r")[0]


def test_a_changed_file_of_the_record_is_found(recorded, tmp_path):
    folder = fetch(recorded, tmp_path / "r")
    (folder / "report.pdf").write_bytes(b"better")
    (problem,) = mismatches(recorded, folder)
    assert "changed: report.pdf" in problem


def test_a_record_that_was_changed_together_with_its_manifest_is_found(
    recorded, identity, tmp_path, make_assessment
):
    # arrange: the run's artifacts are overwritten by a whole record with a better number
    _, better = make_assessment(identity, accuracy=0.99, folder="better")
    tags = MlflowClient().get_model_version("stripes", "1").tags
    MlflowClient().log_artifacts(tags["governance.run_id"], str(better), "governance")
    # act
    record, manifest = problems(recorded, tmp_path / "r")
    # assert
    assert "governance.digest" in record
    assert "governance.manifest" in manifest


def test_a_report_that_was_replaced_together_with_its_manifest_is_found(recorded, tmp_path):
    # arrange
    folder = fetch(recorded, tmp_path / "r")
    (folder / "report.pdf").write_bytes(b"%PDF approved")
    listed = json.loads((folder / "manifest.json").read_text())
    listed["files"]["report.pdf"] = hashlib.sha256(b"%PDF approved").hexdigest()
    (folder / "manifest.json").write_bytes(canonical(listed))
    # act
    (problem,) = mismatches(recorded, folder)
    # assert
    assert "governance.manifest" in problem


def test_a_record_whose_run_was_deleted_is_no_record(recorded, tmp_path):
    tags = MlflowClient().get_model_version("stripes", "1").tags
    MlflowClient().delete_run(tags["governance.run_id"])

    with pytest.raises(EvidenceError, match="its record, was deleted"):
        fetch(recorded, tmp_path / "r")


def forge(version, folder, change):
    """Change the record, and all digests and tags with it."""
    folder = fetch(version, folder)
    record_file, manifest = folder / "assessment.json", folder / "manifest.json"
    data, listed = json.loads(record_file.read_text()), json.loads(manifest.read_text())
    change(data)
    record_file.write_bytes(canonical(data))
    digest = hashlib.sha256(record_file.read_bytes()).hexdigest()
    listed["files"]["assessment.json"] = digest
    manifest.write_bytes(canonical(listed))
    set_tag("digest", f"sha256:{digest}")
    set_tag("manifest", f"sha256:{hashlib.sha256(manifest.read_bytes()).hexdigest()}")
    set_tag("status", data["decision"]["verdict"])
    return folder


def test_a_verdict_that_does_not_follow_from_the_evidence_is_found(recorded, tmp_path):
    def worse(data):
        data["evidence"][0]["measurement"]["metrics"]["accuracy"] = 0.1

    (problem,) = mismatches(recorded, forge(recorded, tmp_path / "r", worse))

    assert "says approved and its evidence, judged again, gives rejected" in problem


def test_an_expectation_that_is_not_the_one_of_the_policy_is_found(recorded, tmp_path):
    def milder(data):
        for item in (data["policy"]["expectations"][0], data["decision"]["findings"][0]):
            item.get("expectation", item)["at_least"] = 0.1

    (problem,) = mismatches(recorded, forge(recorded, tmp_path / "r", milder))

    assert "not judged by the policy whose text it holds" in problem


def test_changed_files_of_the_model_are_found(recorded, tmp_path):
    (tmp_path / "source" / "requirements.txt").write_text("other\n")
    (problem,) = problems(recorded, tmp_path / "r")
    assert "its files have the digest" in problem


def test_a_model_whose_files_differ_is_not_opened(recorded, tmp_path):
    # arrange: opening it would take gigabytes, see tests of the archive
    weights = tmp_path / "source" / "data" / "model.pt2"
    edited(export(tmp_path / "free.pt2"), weights, {GRAPH: powers("s0**9**9**9")})
    # act: nothing of the archive is looked at
    (problem,) = problems(recorded, tmp_path / "r")
    # assert
    assert "its files have the digest" in problem


def test_other_tensors_than_those_of_the_record_are_found_when_they_are_loaded(recorded, tmp_path):
    # arrange: the digest of the files fits, so that none of them is opened to be checked
    def other(data):
        data["identity"]["digest"] = f"sha256:{'0' * 64}"

    folder = forge(recorded, tmp_path / "r", other)
    assert mismatches(recorded, folder) == ()
    run_id = MlflowClient().get_model_version("stripes", "1").tags["governance.run_id"]
    MlflowClient().log_artifacts(run_id, str(folder), "governance")
    # act / assert
    with pytest.raises(EvidenceError, match="its tensors have the digest"):
        load_model("models:/stripes/1")


def test_a_model_that_became_a_pickle_is_found_and_not_opened(recorded, tmp_path):
    data = tmp_path / "source" / "data"
    (data / "model.pt2").unlink()
    (data / "model.pth").write_bytes(b"no pickle at all")
    (problem,) = problems(recorded, tmp_path / "r")
    assert "its files have the digest" in problem


def test_the_tags_of_another_version_do_not_pass(recorded, tmp_path):
    # arrange: MLflow copies tags and description with a version
    copy = MlflowClient().copy_model_version("models:/stripes/1", "production")
    # act
    found = problems(resolve(f"models:/production/{copy.version}"), tmp_path / "r")
    # assert
    assert [problem.split(":/production/1: ")[1].split(" is ")[0] for problem in found] == [
        "its name",
        "its created",
    ]


@pytest.mark.parametrize("run_id", ["../../x", "0" * 32, ""])
def test_a_run_that_is_not_there_is_no_record(recorded, tmp_path, run_id):
    set_tag("run_id", run_id)
    with pytest.raises(EvidenceError, match=r"names no run|holds no record"):
        fetch(recorded, tmp_path / "r")


def test_a_version_without_a_record_says_how_to_get_one(version, tmp_path, saved_model):
    with pytest.raises(EvidenceError, match="governance assess models:/stripes/1"):
        fetch(version, tmp_path / "r")
    with pytest.raises(SubjectError, match="not registered"):
        fetch(resolve(str(saved_model)), tmp_path / "r")


def test_the_tensors_of_an_export_are_those_of_its_record(recorded, tmp_path, tiny_subject):
    folder = fetch(recorded, tmp_path / "r")
    kept = json.loads((folder / "assessment.json").read_text())["identity"]
    assert kept["digest"] == tiny_subject.identity.digest
    assert kept["artifact_digest"] == model_files.artifact_digest(tmp_path / "source")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(created="AAAA"),
        lambda data: data.update(evidence=None),
        lambda data: data.update(schema="2"),
        lambda data: data["policy"].update(seed=10**40),
        lambda data: data["identity"].update(created=None),
    ],
    ids=["created", "evidence", "schema", "seed", "identity"],
)
def test_a_damaged_record_is_a_mismatch_and_ends_nothing_else(recorded, second, tmp_path, change):
    # arrange: all digests and tags fit
    folder = forge(recorded, tmp_path / "r", change)
    tags = MlflowClient().get_model_version("stripes", "1").tags
    MlflowClient().log_artifacts(tags["governance.run_id"], str(folder), "governance")
    # act / assert: its own gate alone
    with pytest.raises(EvidenceError):
        ask("models:/stripes/1", tmp_path / "gate")
    assert ask("models:/stripes/2", tmp_path / "other").verdict == "undetermined"
    # act / assert: the history lists it and goes on
    damaged, other = read_history("stripes").entries
    assert damaged.verdict == "approved, not to be relied on"
    assert damaged.problems
    assert other.problems == ()

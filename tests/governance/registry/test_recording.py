"""Recording: all of an assessment is kept, or nothing shows on the version."""

import contextlib
import dataclasses
import resource
import signal
import sys

import mlflow
import pytest
from mlflow import MlflowClient

from governance.approval import PrivateKey
from governance.approval.claims import claimed
from governance.errors import EvidenceError, RegistryError
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.identity import ModelIdentity
from governance.registry import marked_running, record, resolve
from governance.registry.metric_names import metric_name
from governance.registry.recording import VERDICT, manifest_digest


@pytest.fixture
def version(mlflow_store, saved_model):
    client = MlflowClient()
    client.create_registered_model("stripes")
    client.create_model_version("stripes", str(saved_model), description="mine")
    return resolve("models:/stripes/1")


def identity_of(version):
    return ModelIdentity(
        uri=version.uri,
        digest="sha256:" + "0" * 64,
        artifact_digest="sha256:" + "0" * 64,
        format="pt2",
        parameters=1,
        ref=version.ref,
    )


def runs():
    client = MlflowClient()
    found = client.get_experiment_by_name("governance/stripes")
    return client.search_runs([found.experiment_id]) if found else []


def standing():
    found = MlflowClient().get_model_version("stripes", "1")
    ours = {key: value for key, value in found.tags.items() if key.startswith("governance.")}
    return ours, found.description


def test_an_assessment_is_kept_whole_and_its_verdict_shows(version, make_assessment, tmp_path):
    # arrange
    assessment, folder = make_assessment(identity_of(version))
    # act
    with marked_running(version):
        run_id = record(version, assessment, folder)
    # assert: the run
    client = MlflowClient()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["performance.accuracy"] == 0.9
    assert run.data.params["seed"] == str(assessment.policy.seed)
    assert run.data.params["expected.performance.accuracy"].endswith("(block)")
    seconds = sum(item.seconds for item in assessment.evidence)
    assert run.info.start_time == int((assessment.moment.timestamp() - seconds) * 1000)
    assert run.info.end_time == int(assessment.moment.timestamp() * 1000)
    table = mlflow.artifacts.load_dict(f"runs:/{run_id}/metrics.json")
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["data"]}
    assert rows["performance.accuracy"]["value"] == 0.9
    assert rows["performance.accuracy"]["high"] == 1.0
    assert set(rows) == set(assessment.metrics)
    assert run.data.tags["governance.validation_digest"] == assessment.validation.digest
    (used,) = run.inputs.dataset_inputs
    assert assessment.validation.digest.removeprefix("sha256:").startswith(used.dataset.digest)
    assert {tag.key: tag.value for tag in used.tags} == {"mlflow.data.context": "validation"}
    kept = client.download_artifacts(run_id, "governance", str(tmp_path))
    assert Assessment.load(type(folder)(kept)) == assessment
    # assert: the version
    tags, description = standing()
    assert tags == {
        "governance.status": "approved",
        "governance.run_id": run_id,
        "governance.digest": assessment.digest,
        "governance.manifest": manifest_digest(folder),
        "governance.policy": f"Stripes | *bold* ({assessment.policy.digest})",
    }
    assert next(iter(tags)) == "governance.status"  # what a page shows first
    assert description.startswith(
        "mine\n\nGovernance: approved. None of 1 requirements is open.\n<!--"
    )
    assert r"Stripes \| \*bold\*" in description
    assert f"/runs/{run_id}/artifacts/governance/report.pdf)" in description


def test_two_expectations_on_one_metric_are_both_shown(version, make_assessment, tmp_path):
    # arrange: one that rejects, and a stricter one that warns
    single, _ = make_assessment(identity_of(version))
    (block,) = single.policy.expectations
    strict = dataclasses.replace(block, at_least=0.95, severity="warn")
    policy = dataclasses.replace(single.policy, expectations=(block, strict))
    decision = judge(policy, single.evidence)
    both = dataclasses.replace(single, policy=policy, decision=decision)
    both.save(tmp_path / "both")
    # act
    run_id = record(version, both, tmp_path / "both")
    # assert
    shown = MlflowClient().get_run(run_id).data.params["expected.performance.accuracy"]
    assert shown == "at least 0.5 (block); at least 0.95 (warn)"


def test_the_page_of_the_model_says_what_was_assessed_last_and_no_verdict(version, make_assessment):
    # arrange
    client = MlflowClient()
    client.update_registered_model("stripes", "what people wrote")
    # act
    for accuracy, folder in ((0.9, "a"), (0.1, "b")):
        record(version, *make_assessment(identity_of(version), accuracy=accuracy, folder=folder))
    # assert
    text = client.get_registered_model("stripes").description
    first, _, rest = text.removeprefix("what people wrote\n\n").partition("\n")
    assert first == (r"Governance: version 1 was assessed last, by the policy Stripes \| \*bold\*.")
    assert text.count("Governance:") == 1
    assert "[version 1](#/models/stripes/versions/1)" in rest
    assert "`governance gate models:/stripes/1 --keys KEYRING`" in rest
    assert claimed(text) == set()


def test_the_signed_verdict_lies_in_the_run_as_it_stands_on_the_version(
    version, make_assessment, tmp_path
):
    key = PrivateKey.new(tmp_path / "key.pem")
    run_id = record(version, *make_assessment(identity_of(version)), key=key)
    token = standing()[0]["governance.approval"]
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/{VERDICT}") == token
    assert not set(token) & set(" \n")


def test_numbers_of_withdrawn_evidence_are_kept_but_are_no_metrics_of_the_run(
    version, make_assessment, tmp_path
):
    # arrange
    whole, _ = make_assessment(identity_of(version))
    measurement = dataclasses.replace(
        whole.evidence[0].measurement, withdrawn=("no better than chance",)
    )
    evidence = (dataclasses.replace(whole.evidence[0], measurement=measurement),)
    decision = judge(whole.policy, evidence)
    assessment = dataclasses.replace(whole, evidence=evidence, decision=decision)
    assessment.save(tmp_path / "withdrawn")
    # act
    with marked_running(version):
        run_id = record(version, assessment, tmp_path / "withdrawn")
    # assert
    client = MlflowClient()
    assert client.get_run(run_id).data.metrics == {}
    kept = client.download_artifacts(run_id, "governance", str(tmp_path))
    (item,) = Assessment.load(type(tmp_path)(kept)).evidence
    assert item.measurement.metrics["accuracy"] == 0.9
    assert item.measurement.withdrawn == ("no better than chance",)


def test_a_second_assessment_takes_the_place_of_the_first(version, make_assessment):
    record(version, *make_assessment(identity_of(version)))
    second = record(version, *make_assessment(identity_of(version), accuracy=0.1, folder="b"))
    tags, description = standing()
    assert (tags["governance.status"], tags["governance.run_id"]) == ("rejected", second)
    assert description.count("Governance:") == 1
    assert "approved" not in description
    assert len(runs()) == 2


@contextlib.contextmanager
def largest_file(size):
    """A disk on which no file grows beyond `size`: writing further fails with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("earlier", [False, True], ids=["never assessed", "assessed before"])
def test_a_disk_that_is_full_ends_the_run_and_leaves_the_version_as_it_was(
    version, make_assessment, mlflow_store, earlier
):
    # arrange
    if earlier:
        record(version, *make_assessment(identity_of(version), folder="earlier"))
    before, model = standing(), MlflowClient().get_registered_model("stripes").description
    room = (mlflow_store / "mlflow.db").stat().st_size + 2**20
    large, folder = make_assessment(identity_of(version), accuracy=0.1, report=bytes(room + 1))
    # act
    with (
        pytest.raises(RegistryError, match="File too large"),
        marked_running(version),
        largest_file(room),
    ):
        record(version, large, folder)
    # assert
    assert standing() == (before if earlier else ({"governance.status": "pending"}, before[1]))
    assert MlflowClient().get_registered_model("stripes").description == model
    assert sorted(run.info.status for run in runs()) == ["FAILED", *(["FINISHED"] * earlier)]


def test_ctrl_c_while_recording_ends_the_run_and_leaves_the_version_as_it_was(
    version, make_assessment
):
    # arrange
    assessment, folder = make_assessment(identity_of(version))
    before = standing()
    # act
    with pytest.raises(KeyboardInterrupt), marked_running(version), interrupted_at("log_artifacts"):
        record(version, assessment, folder)
    # assert
    assert standing() == ({"governance.status": "pending"}, before[1])
    assert [run.info.status for run in runs()] == ["FAILED"]


@contextlib.contextmanager
def interrupted_at(function):
    """Ctrl-C, sent by a real signal, when a function of that name is called."""

    def watch(frame, event, _argument):
        if event == "call" and frame.f_code.co_name == function:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


def test_only_this_assessment_of_this_version_is_recorded(version, make_assessment, saved_model):
    # arrange
    assessment, folder = make_assessment(identity_of(version))
    other, _ = make_assessment(identity_of(version), accuracy=0.1, folder="other")
    stranger = dataclasses.replace(version, ref=dataclasses.replace(version.ref, created=1))
    # act / assert
    with pytest.raises(RegistryError, match="only registered"):
        record(resolve(str(saved_model)), assessment, folder)
    with pytest.raises(EvidenceError, match="another assessment"):
        record(version, other, folder)
    with pytest.raises(EvidenceError, match="not about"):
        record(stranger, assessment, folder)
    (folder / "report.pdf").write_bytes(b"other")
    with pytest.raises(EvidenceError, match=r"changed: report\.pdf"):
        record(version, assessment, folder)
    assert runs() == []


def test_names_of_metrics_stay_apart_and_are_such_as_mlflow_takes():
    names = ["a.recall.é", "a.recall.e", "a.recall._", "a.recall.<", "x" * 300, "x" * 301, "a/../b"]
    given = [metric_name(name) for name in names]
    assert len(set(given)) == len(names)
    assert all(len(f"{name}.high") <= 250 and "/" not in name for name in given)
    assert metric_name("performance.recall.cat 1") == "performance.recall.cat 1"
    # a class named like the end of another one's interval
    assert metric_name("a.recall.x.low") != f"{metric_name('a.recall.x')}.low"

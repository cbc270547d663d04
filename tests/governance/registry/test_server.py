"""A real server: what goes over HTTP is kept and read back like what does not."""

import dataclasses

import mlflow
import pytest
from mlflow import MlflowClient

from governance.errors import SubjectError
from governance.records.assessment import Assessment
from governance.registry import (
    fetch,
    lineage,
    marked_running,
    mismatches,
    record,
    resolve,
)
from governance.registry.opening import open_subject


@pytest.mark.usefixtures("mlflow_server")
def test_a_version_on_a_server_is_assessed_recorded_and_verified(
    log_model, policy, images_file, make_assessment, tmp_path
):
    # arrange: model and images lie on the server
    client = MlflowClient()
    logged = log_model("remote stripes")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(images_file), "validation")
    remote = dataclasses.replace(
        policy, validation=f"runs:/{run.info.run_id}/validation/stripes.npz"
    )
    # act
    version = resolve("models:/remote stripes/1")
    with marked_running(version):
        status = client.get_model_version(version.ref.name, "1").tags["governance.status"]
        subject = open_subject(version, remote, workspace=tmp_path / "workspace")
        assessment, folder = make_assessment(subject.identity)
        run_id = record(version, assessment, folder)
    kept = fetch(version, tmp_path / "kept")
    # assert: what was read
    assert status == "running"
    assert version.model_id == logged.model_id
    assert len(subject.validation) == 120
    # assert: what was written
    found = client.get_model_version(version.ref.name, "1")
    assert found.tags["governance.status"] == "approved"
    assert found.tags["governance.run_id"] == run_id
    assert "report.pdf" in found.description
    linked = {metric.key: metric for metric in client.get_logged_model(logged.model_id).metrics}
    assert linked["performance.accuracy"].value == 0.9
    assert linked["performance.accuracy"].run_id == run_id
    assert client.get_run(run_id).inputs.model_inputs[0].model_id == logged.model_id
    # assert: what is read back
    assert Assessment.load(kept) == assessment
    assert mismatches(version, kept) == ()
    client.set_registered_model_alias(version.ref.name, "champion", "1")
    later = dataclasses.replace(version.ref, version="2")
    before = lineage(dataclasses.replace(version, ref=later), policy).baseline
    assert before.verdict == "approved"
    with pytest.raises(SubjectError, match="it has 1"):
        resolve("models:/remote stripes/2")
    # assert: a file changed on the server
    client.log_artifact(run_id, str(images_file), "governance")
    assert "extra: stripes.npz" in mismatches(version, fetch(version, tmp_path / "again"))[0]

"""Folders of registered models and their records, on a governed server that writes once."""

import io
from contextlib import contextmanager

import assessed
import numpy as np
import pytest
import requests
from mlflow.exceptions import MlflowException

from governance.registry import ask
from mlflow_plugins.artifacts import SEALS, WriteOnceRepo
from mlflow_plugins.sealing import seal

pytestmark = pytest.mark.timeout(300)
ROUTE = "2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def address(governed_server):
    """Where the server answers."""
    return governed_server[0]


def place_of(location):
    """The path of an artifact URI below the server's artifacts."""
    return location.removeprefix("mlflow-artifacts:").lstrip("/")


def files(office, place):
    """What lies in a folder of the server, by path."""
    root = office.folder / "artifacts" / place
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def put(address, path, api="api", content=b"more"):
    """Upload a file as any client may; the path goes to the server as it is."""
    request = requests.Request("PUT", address, data=content).prepare()
    request.url = f"{address}/{api}/{ROUTE}/{path}"
    with requests.Session() as session:
        return session.send(request, timeout=30)


@contextmanager
def unchanged(office, place):
    """Expects that a folder has the same files afterwards."""
    before = files(office, place)
    assert before
    yield
    assert files(office, place) == before


def test_files_added_beside_an_approved_model_or_its_record_do_not_end_its_gate(
    office, address, tiny_subject, tmp_path
):
    # arrange
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    logged = assessed.log(tiny_subject.network.model, "sealed")
    uri, keys = "models:/sealed/1", office.folder / "keyring.toml"
    assessed.recorded(uri, tiny_subject.validation, office.assessor, tmp_path)
    answer = ask(uri, tmp_path / "before", keys=keys)
    assert answer.verdict == "approved"
    run = mlflow.get_run(answer.statement.run_id)
    model = place_of(mlflow.get_logged_model(logged.model_id).artifact_location)
    record = f"{place_of(run.info.artifact_uri)}/governance"
    # act
    with unchanged(office, model), unchanged(office, record):
        added = [
            put(address, f"{model}/data/MODEL.PT2"),
            put(address, f"{model}/more/deeper/file", "ajax-api"),
            put(address, f"{record}/more.pdf"),
            put(address, f"{model}/data/../MORE"),
            put(address, f"{model}/data/%2e%2e/MORE"),
            put(address, f"{model}/data/%252e%252e/MORE"),
            put(address, f"{model}/.artifact.uploading.more"),
            put(address, f"{model}//MORE"),
            put(address, f"{model.rpartition('/')[0]}/{SEALS}/other"),
            put(address, f"{model}/MLmodel"),
            requests.delete(f"{address}/api/{ROUTE}/{model}/MLmodel", timeout=30),
            requests.delete(f"{address}/api/{ROUTE}/{model.rpartition('/')[0]}", timeout=30),
            requests.post(
                f"{address}/api/2.0/mlflow-artifacts/mpu/create/{model}",
                json={"path": "data/more", "num_parts": 1},
                timeout=30,
            ),
            requests.post(
                f"{address}/ajax-api/2.0/mlflow/upload-artifact",
                params={"run_uuid": run.info.run_id, "path": "governance/more.pdf"},
                data=b"more",
                timeout=30,
            ),
        ]
        with pytest.raises(requests.HTTPError, match="its folder is sealed"):
            mlflow.MlflowClient().log_text(run.info.run_id, "more", "governance/more.txt")
    # assert
    codes = [answer.status_code for answer in added]
    assert codes[:3] == [403] * 3
    assert all(400 <= code < 500 or code == 501 for code in codes), codes
    assert "its folder is sealed" in added[0].json()["message"]
    assert ask(uri, tmp_path / "after", keys=keys).verdict == "approved"
    # the rest of the run takes what comes
    mlflow.MlflowClient().log_text(run.info.run_id, "more", "notes/more.txt")
    beside = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert beside == {
        "governance", "governance.intoto.jsonl", "governance.verdict.json", "metrics.json", "notes",
    }  # fmt: skip


def test_a_model_among_a_runs_artifacts_is_sealed_once_it_is_registered(
    office, address, tiny_subject, tmp_path
):
    # arrange: two steps, as in MLflow 2
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    mlflow.pytorch.save_model(
        tiny_subject.network.model, tmp_path / "saved", pip_requirements=["torch"],
        input_example=np.zeros((2, 1, 16, 16), dtype=np.float32),
    )  # fmt: skip
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "saved"), "model")
    place = f"{place_of(run.info.artifact_uri)}"
    assert put(address, f"{place}/model/notes.txt").status_code == 200
    # act
    first = mlflow.register_model(f"runs:/{run.info.run_id}/model", "two steps")
    again = mlflow.register_model(f"runs:/{run.info.run_id}/model", "two steps")
    # assert
    assert [first.version, again.version] == ["1", "2"]
    with unchanged(office, f"{place}/model"):
        assert put(address, f"{place}/model/more.txt").status_code == 403
    assert put(address, f"{place}/other/more.txt").status_code == 200
    names = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert names == {"model", "other"}


def test_nobody_stops_a_run_by_registering_its_folder(office, address):
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    client = mlflow.MlflowClient()
    client.create_registered_model("no model")
    with mlflow.start_run() as run:
        mlflow.log_text("first", "notes/first.txt")
        client.create_model_version("no model", run.info.artifact_uri, run.info.run_id)
        mlflow.log_text("second", "notes/second.txt")
    kept = files(office, place_of(run.info.artifact_uri))
    assert kept == {"notes/first.txt", "notes/second.txt"}
    assert address


def test_a_model_at_an_address_elsewhere_is_left_alone(monkeypatch):
    # as a plain registry of an older MLflow may hold it; today's refuses to register one
    monkeypatch.setenv("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")

    seal("https://models.example/retina")


@pytest.fixture
def repo(tmp_path):
    """A store with one sealed folder in it."""
    repo = WriteOnceRepo(f"worm://{tmp_path}/kept")
    repo.log_artifact_from_stream(io.BytesIO(b"first"), "MLmodel", "1/model")
    repo.seal("1/model")
    return repo


def add(repo, within, name="more"):
    repo.log_artifact_from_stream(io.BytesIO(b"more"), name, within)


@pytest.mark.parametrize("within", ["1/model", "1/model/data", "1/model/a/b"])
def test_a_sealed_folder_takes_nothing(repo, within):
    with pytest.raises(MlflowException, match="its folder is sealed") as caught:
        add(repo, within)

    assert caught.value.get_http_status_code() == 403
    assert [item.path for item in repo.list_artifacts("1/model")] == ["1/model/MLmodel"]


@pytest.mark.parametrize("within", ["1", "1/other", "1/models", "1/Model", None])
def test_what_lies_beside_a_sealed_folder_stays_open(repo, within):
    add(repo, within)

    prefix = f"{within}/" if within else ""
    assert f"{prefix}more" in {item.path for item in repo.list_artifacts(within)}


@pytest.mark.parametrize(
    ("root", "within"),
    [("1/model", None), ("1/model/data", "deeper"), ("1", "model"), ("link", "")],
)
def test_a_seal_holds_from_wherever_the_store_is_opened(repo, tmp_path, root, within):
    (tmp_path / "kept" / "link").symlink_to(tmp_path / "kept" / "1" / "model")
    inner = WriteOnceRepo(f"worm://{tmp_path}/kept/{root}")

    with pytest.raises(MlflowException, match="its folder is sealed"):
        add(inner, within or None)


def test_another_name_of_a_sealed_folder_is_the_same_folder(repo, tmp_path):
    (tmp_path / "kept" / "1" / "MODEL").symlink_to(tmp_path / "kept" / "1" / "model")

    with pytest.raises(MlflowException, match="its folder is sealed"):
        add(repo, "1/MODEL/data")


@pytest.mark.parametrize("name", [SEALS, SEALS.upper(), f"{SEALS} ", ".governance-\u017fealed"])
def test_nobody_writes_a_seal(repo, name):
    with pytest.raises(MlflowException, match="names of this store itself"):
        add(repo, f"1/{name}", "other")
    assert SEALS not in {item.path.rpartition("/")[2] for item in repo.list_artifacts("1")}


def test_a_seal_that_comes_while_a_file_is_written_holds(tmp_path):
    repo = WriteOnceRepo(f"worm://{tmp_path}/kept")
    add(repo, "model", "MLmodel")

    class SealedMeanwhile(io.BytesIO):
        """An upload during which the folder is sealed."""

        def read(self, *arguments):
            repo.seal("model")
            return super().read(*arguments)

    with pytest.raises(MlflowException, match="its folder is sealed"):
        repo.log_artifact_from_stream(SealedMeanwhile(b"late"), "late", "model")

    assert [path.name for path in (tmp_path / "kept" / "model").iterdir()] == ["MLmodel"]


def test_a_folder_around_a_sealed_one_may_be_sealed(repo):
    repo.seal("1")
    repo.seal("1/other")

    with pytest.raises(MlflowException, match="its folder is sealed"):
        add(repo, "1/other")
    add(repo, "2")

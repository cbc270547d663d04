"""A file that was written stays as it is, whichever of MLflow's ways is tried."""

import asyncio
import io
import threading
import time
from pathlib import Path

import mlflow
import pytest
import requests
import servers
import uvicorn
from fastapi import FastAPI
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.server.artifact_router import artifact_router
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_plugins.artifacts import WriteOnceRepo


@pytest.fixture
def repo(tmp_path):
    """A folder with one artifact in it."""
    found = get_artifact_repository(f"worm://{tmp_path}/kept")
    assert isinstance(found, WriteOnceRepo)
    found.log_artifact_from_stream(io.BytesIO(b"first"), "MLmodel", "model")
    return found


def content(repo):
    """What is kept, by path, leftovers included."""
    root = Path(repo.artifact_dir)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


async def chunks(*parts):
    for part in parts:
        yield part


def by_stream(repo, text, name):
    repo.log_artifact_from_stream(io.BytesIO(text), name, "model")


def by_async_stream(repo, text, name):
    asyncio.run(repo.log_artifact_from_async_stream(chunks(text[:2], text[2:]), name, "model"))


def by_file(repo, text, name, folder):
    (folder / name).write_bytes(text)
    repo.log_artifact(str(folder / name), "model")


def by_folder(repo, text, name, folder):
    (folder / "upload").mkdir(exist_ok=True)
    (folder / "upload" / name).write_bytes(text)
    repo.log_artifacts(str(folder / "upload"), "model")


@pytest.fixture(params=[by_stream, by_async_stream, by_file, by_folder])
def write(request, repo, tmp_path):
    """One of the ways to write an artifact."""
    ways = {by_file, by_folder}
    more = (tmp_path,) if request.param in ways else ()
    return lambda text, name: request.param(repo, text, name, *more)


def test_a_new_file_is_kept_whole(repo, write):
    write(b"second", "weights")

    assert content(repo) == {"model/MLmodel": b"first", "model/weights": b"second"}
    listed = [item.path for item in repo.list_artifacts("model")]
    assert listed == ["model/MLmodel", "model/weights"]


def test_another_file_of_the_same_name_is_refused_with_403(repo, write):
    with pytest.raises(MlflowException, match="model/MLmodel: exists") as caught:
        write(b"better", "MLmodel")

    assert caught.value.get_http_status_code() == 403
    assert content(repo) == {"model/MLmodel": b"first"}


def test_the_same_bytes_again_are_accepted(repo, write):
    write(b"first", "MLmodel")

    assert content(repo) == {"model/MLmodel": b"first"}


@pytest.mark.parametrize("path", ["model/MLmodel", "model", None])
def test_nothing_is_deleted(repo, path):
    with pytest.raises(MlflowException, match="written once") as caught:
        repo.delete_artifacts(path)

    assert caught.value.get_http_status_code() == 403
    assert content(repo) == {"model/MLmodel": b"first"}


def test_a_folder_of_folders_keeps_its_shape(repo, tmp_path):
    (tmp_path / "upload" / "a" / "b").mkdir(parents=True)
    (tmp_path / "upload" / "a" / "b" / "c.txt").write_bytes(b"deep")
    (tmp_path / "upload" / "top.txt").write_bytes(b"top")

    repo.log_artifacts(str(tmp_path / "upload"))

    assert content(repo) == {"model/MLmodel": b"first", "a/b/c.txt": b"deep", "top.txt": b"top"}


@pytest.mark.parametrize("path", ["../out", "/etc", "model/../../out"])
def test_no_path_leads_out_of_the_folder(repo, path, tmp_path):
    with pytest.raises(MlflowException):
        repo.log_artifact_from_stream(io.BytesIO(b"x"), "file", path)

    assert content(repo) == {"model/MLmodel": b"first"}
    assert [item.name for item in tmp_path.iterdir()] == ["kept"]


def test_a_file_in_the_place_of_a_folder_stays(repo):
    with pytest.raises(MlflowException, match="a file is there") as caught:
        repo.log_artifact_from_stream(io.BytesIO(b"x"), "y", "model/MLmodel")

    assert caught.value.get_http_status_code() == 403


def test_an_upload_that_breaks_off_leaves_nothing(repo):
    async def broken():
        yield b"ha"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(repo.log_artifact_from_async_stream(broken(), "half", "model"))

    assert content(repo) == {"model/MLmodel": b"first"}


def test_models_are_logged_registered_and_loaded_as_ever(mlflow_store, tmp_path):
    # arrange
    experiment = mlflow.create_experiment("kept", artifact_location=f"worm://{tmp_path}/worm")
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_text("once", "note.txt")
        # act
        with pytest.raises(MlflowException, match=r"note\.txt: exists"):
            mlflow.log_text("twice", "note.txt")
    # assert
    text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt")
    assert text == "once"
    assert [item.path for item in MlflowClient().list_artifacts(run.info.run_id)] == ["note.txt"]


@pytest.fixture
def server(repo, monkeypatch):
    """MLflow's own routes for artifacts over HTTP, with this folder behind them."""
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", f"worm://{repo.artifact_dir}")
    monkeypatch.setenv("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
    monkeypatch.setattr(handlers, "_artifact_repo", None)
    app = FastAPI()
    app.include_router(artifact_router)
    port = servers.free_port()
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=running.run)
    thread.start()
    for _ in range(600):
        if running.started:
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(10)


@pytest.mark.parametrize("api", ["api", "ajax-api"])
def test_uploads_over_http_are_written_once(server, repo, api):
    # act: MLflow's server writes uploads by the async stream
    place = f"{server}/{api}/2.0/mlflow-artifacts/artifacts/model"
    answers = [
        requests.put(f"{place}/{name}", data=data, timeout=30)
        for name, data in (("MLmodel", b"better"), ("MLmodel", b"first"), ("new", b"new"))
    ]
    # assert
    assert [answer.status_code for answer in answers] == [403, 200, 200]
    assert "written once" in answers[0].json()["message"]
    assert content(repo) == {"model/MLmodel": b"first", "model/new": b"new"}

"""Versions: every way to name a model is pinned, and an unknown one is told what there is."""

import mlflow
import pytest
from mlflow import MlflowClient

from governance.errors import RegistryError, SubjectError
from governance.registry import resolve
from governance.registry.materials import model_folder
from governance.registry.versions import Room, download, refusals, registered


@pytest.fixture
def stripes(mlflow_store, saved_model):
    """A model with two versions, the second one `champion`; the first has a LoggedModel."""
    client = MlflowClient()
    with mlflow.start_run() as run:
        logged = mlflow.initialize_logged_model(name="model", source_run_id=run.info.run_id)
    mlflow.finalize_logged_model(logged.model_id, "READY")
    client.create_registered_model("stripes")
    client.create_model_version(
        "stripes", f"models:/{logged.model_id}", run_id=run.info.run_id, model_id=logged.model_id
    )
    client.create_model_version("stripes", str(saved_model))
    client.set_registered_model_alias("stripes", "champion", "2")
    return logged


def test_a_version_is_found_with_the_model_behind_it(stripes):
    version = resolve("models:/stripes/1")
    assert (version.uri, version.ref.name, version.ref.version) == (
        "models:/stripes/1", "stripes", "1",
    )  # fmt: skip
    assert version.model_id == stripes.model_id
    assert version.run_id == stripes.source_run_id
    assert (
        version.ref.created == MlflowClient().get_model_version("stripes", "1").creation_timestamp
    )


def test_an_alias_is_pinned_to_its_version(stripes):
    version = resolve("models:/stripes@champion")
    assert version.uri == "models:/stripes/2"
    assert version.model_id is None


def test_a_name_may_hold_an_at_sign_as_in_mlflow(stripes, saved_model, tmp_path):
    client = MlflowClient()
    client.create_registered_model("team@stripes")
    client.create_model_version("team@stripes", str(saved_model))
    client.set_registered_model_alias("team@stripes", "champion", "1")

    for uri in ("models:/team@stripes/1", "models:/team@stripes@champion"):
        version = resolve(uri)
        assert (version.ref.name, version.ref.version) == ("team@stripes", "1")
        assert version.uri == "models:/team@stripes/1"
    assert (model_folder(version, tmp_path / "model") / "MLmodel").is_file()


def test_a_copy_of_a_version_leads_to_the_same_logged_model(stripes):
    # arrange
    client = MlflowClient()
    client.copy_model_version("models:/stripes/1", "production")
    client.create_registered_model("handmade")
    client.create_model_version("handmade", "models:/production/1")
    # act / assert
    assert resolve("models:/production/1").model_id == stripes.model_id
    assert resolve("models:/handmade/1").model_id == stripes.model_id
    client.delete_registered_model("production")
    assert resolve("models:/handmade/1").model_id is None


def test_a_logged_model_has_no_name(stripes):
    version = resolve(f"models:/{stripes.model_id}")
    assert version.ref is None
    assert version.run_id == stripes.source_run_id


def test_a_run_and_a_folder_have_no_name(stripes, saved_model, monkeypatch):
    run = resolve(f"runs:/{stripes.source_run_id}/model")
    monkeypatch.chdir(saved_model.parent)
    folder = resolve("model")
    assert (run.ref, run.run_id) == (None, stripes.source_run_id)
    assert (folder.ref, folder.uri) == (None, str(saved_model))


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("models:/spots/1", r"no registered model 'spots'; there are stripes"),
        ("models:/stripes/9", r"no version 9; it has 1, 2"),
        ("models:/stripes@best", r"no alias 'best'; it has champion"),
        ("models:/m-0123", r"no such logged model"),
        ("runs:/0123/model", r"no such run"),
        ("/no/such/folder", r"models:/name/version, .* are accepted"),
        ("models:/stripes/newest", r"are accepted"),
        ("models:/it's@x", r"no registered model \"it's\""),
        ("", r"are accepted"),
    ],
)
@pytest.mark.usefixtures("stripes")
def test_an_unknown_model_is_refused_with_what_there_is(uri, wanted):
    with pytest.raises(SubjectError, match=wanted):
        resolve(uri)


def test_a_model_made_anew_under_its_old_name_is_another_one(stripes, saved_model):
    # arrange
    client = MlflowClient()
    version = resolve("models:/stripes/2")
    client.delete_registered_model("stripes")
    client.create_registered_model("stripes")
    for _ in range(2):
        client.create_model_version("stripes", str(saved_model))
    # act / assert
    with pytest.raises(RegistryError, match="created anew"):
        registered(version)


def test_a_server_that_does_not_answer_is_said():
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    try:
        with pytest.raises(RegistryError, match="looking up the model: refused"):
            resolve("models:/stripes/1")
    finally:
        mlflow.set_tracking_uri(before)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("to http://bob:pw@host/api failed", "to http://host/api failed"),
        ("403 for url: https://s3/model?X-Amz-Signature=pw)", "403 for url: https://s3/model)"),
        ("no secret in it, mail a@b", "no secret in it, mail a@b"),
    ],
)
def test_a_refusal_gives_no_secret_of_an_address_away(told, kept):
    with pytest.raises(RegistryError) as caught, refusals("x"):
        raise OSError(told)

    assert str(caught.value) == f"x: refused: {kept}"


@pytest.mark.parametrize("room", [Room(2, 2**30, SubjectError), Room(99, 10, SubjectError)])
def test_more_than_there_is_room_for_is_not_downloaded(stripes, tmp_path, room):
    with pytest.raises(
        SubjectError, match=r"models:/stripes/2: \d+ files and folders of \d+ bytes"
    ):
        download("models:/stripes/2", tmp_path / "into", room)
    assert not (tmp_path / "into").exists()

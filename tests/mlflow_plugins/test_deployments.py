"""Another deployment target gets a model only if it passes, and then the files checked."""

import shutil
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import assessed
import mlflow
import pytest
import torch
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client, run_local
from mlflow.deployments.interface import plugin_store
from mlflow.exceptions import MlflowException

from governance.approval import PrivateKey

TARGET = '''
"""A target that copies what it is given to a folder and answers from there."""

import shutil
from pathlib import Path

import mlflow
import numpy as np
from mlflow.deployments import BaseDeploymentClient


def target_help():
    return "shelf:/<folder>"


def run_local(name, model_uri, flavor=None, config=None):
    return {"name": name, "model_uri": model_uri, "config": config}


class ShelfClient(BaseDeploymentClient):
    def _place(self, name):
        return Path(self.target_uri.removeprefix("shelf:")) / name

    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):
        if ":/" in model_uri:
            return {"name": name, "model_uri": model_uri, "flavor": flavor, "config": config}
        shutil.copytree(model_uri, self._place(name))
        return {"name": name, "model_uri": model_uri, "flavor": flavor, "config": config}

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        if model_uri is not None:
            self.delete_deployment(name)
            return self.create_deployment(name, model_uri, flavor, config)
        return {"name": name, "flavor": flavor, "config": config}

    def delete_deployment(self, name, config=None, endpoint=None):
        shutil.rmtree(self._place(name))

    def list_deployments(self, endpoint=None):
        return [{"name": item.name} for item in self._place("").iterdir()]

    def get_deployment(self, name, endpoint=None):
        return {"name": name, "files": sorted(p.name for p in self._place(name).iterdir())}

    def predict(self, deployment_name=None, inputs=None, endpoint=None):
        import torch

        model = mlflow.pytorch.load_model(str(self._place(deployment_name)))
        return model(torch.from_numpy(inputs)).detach().numpy()
'''


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The URI of a deployment target, installed as an entry point, and where it puts models."""
    site, place = tmp_path / "site", tmp_path / "shelf"
    place.mkdir()
    info = site / "shelf-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "shelf_target.py").write_text(textwrap.dedent(TARGET))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlflow.deployments]\nshelf = shelf_target\n")
    monkeypatch.syspath_prepend(site)
    before = dict(plugin_store.registry)
    plugin_store.register_entrypoints()
    yield f"shelf:{place}", place
    plugin_store.registry.clear()
    plugin_store.registry.update(before)
    sys.modules.pop("shelf_target", None)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key and its ring."""
    home = tmp_path_factory.mktemp("keys")
    key = PrivateKey.new(home / "key.pem")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    public = key.public(owner="worker", role="assessor", not_before=start)
    (home / "ring.toml").write_text(public.toml())
    return key, home / "ring.toml"


@pytest.fixture(scope="module")
def stripes(migrated_store, tiny_subject, keys, tmp_path_factory):
    """A model with an approved version, a rejected and a pending one; its LoggedModel.

    Tests share it, since logging a model takes seconds; none of them changes it.
    """
    home = tmp_path_factory.mktemp("registry")
    shutil.copy(migrated_store, home / "mlflow.db")
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        # Artifacts of a database without a server lie in the working directory.
        patch.chdir(home)
        mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
        mlflow.set_experiment("training")
        logged = assessed.log(tiny_subject.network.model, "stripes")
        source = MlflowClient().get_model_version("stripes", "1").source
        for _ in range(2):
            MlflowClient().create_model_version("stripes", source, model_id=logged.model_id)
        validation = tiny_subject.validation
        assessed.recorded("models:/stripes/1", validation, keys[0], home / "1")
        assessed.recorded("models:/stripes/2", validation, keys[0], home / "2", accuracy=0.1)
        MlflowClient().set_registered_model_alias("stripes", "champion", "1")
        yield logged
    mlflow.set_tracking_uri(before)


@pytest.mark.slow
def test_a_model_that_passes_is_deployed_and_answers(stripes, shelf, keys, tiny_subject):
    # arrange
    uri, place = shelf
    client = get_deploy_client(f"governed:/{uri}")
    # act
    answer = client.create_deployment(
        "live", "models:/stripes@champion", config={"governance.keys": str(keys[1]), "size": "big"}
    )
    # assert
    assert answer["governance"] == {"version": "models:/stripes/1", "signed_by": keys[0].id}
    assert answer["config"] == {"size": "big"}
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(range(4)))
    with torch.no_grad():
        expected = tiny_subject.network.model(inputs).numpy()
    assert client.predict("live", inputs.numpy()) == pytest.approx(expected, abs=1e-5)
    assert client.list_deployments() == [{"name": "live"}]
    assert "MLmodel" in client.get_deployment("live")["files"]
    # assert: what was handed over is gone, what the target made of it stays
    assert not Path(answer["model_uri"]).exists()
    client.delete_deployment("live")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("models:/stripes/2", "its verdict is rejected"),
        ("models:/stripes/3", "assess it first"),
        ("models:/stripes/9", "no version 9"),
        ("{model_id}", "not registered"),
        ("{run}", "not registered"),
    ],
)
def test_what_does_not_pass_reaches_no_target(stripes, shelf, model, why):
    # arrange
    uri, place = shelf
    client = get_deploy_client(f"governed:/{uri}")
    named = {
        "{model_id}": f"models:/{stripes.model_id}", "{run}": f"runs:/{stripes.run_id}/model"
    }.get(model, model)  # fmt: skip
    # act / assert
    for deploy in (
        lambda: client.create_deployment("live", named),
        lambda: client.update_deployment("live", named),
        lambda: run_local("governed", "live", named, config={"governance.target": uri}),
    ):
        with pytest.raises(MlflowException, match=why) as caught:
            deploy()
        assert caught.value.get_http_status_code() == 403
    assert list(place.iterdir()) == []


def test_a_deployment_is_updated_by_a_model_that_passes_or_without_one(stripes, shelf):
    client = get_deploy_client(f"governed:/{shelf[0]}")
    client.create_deployment("live", "models:/stripes/1")
    assert client.update_deployment("live", config={"size": "small"})["config"] == {"size": "small"}
    answer = client.update_deployment("live", "models:/stripes@champion", flavor="pytorch")
    assert answer["governance"]["version"] == "models:/stripes/1"
    assert answer["flavor"] == "pytorch"


def test_a_target_may_get_the_pinned_uri_or_a_folder_that_stays(stripes, shelf, tmp_path):
    # arrange
    client = get_deploy_client(f"governed:/{shelf[0]}")
    kept = tmp_path / "kept"
    # act
    by_uri = client.create_deployment(
        "a", "models:/stripes@champion", config={"governance.hand_over": "uri"}
    )
    by_folder = client.create_deployment(
        "b", "models:/stripes/1", config={"governance.folder": str(kept)}
    )
    # assert
    assert by_uri["model_uri"] == "models:/stripes/1"
    assert by_folder["model_uri"] == str(kept)
    assert (kept / "MLmodel").is_file()
    with pytest.raises(MlflowException, match="a new folder is accepted"):
        client.create_deployment("c", "models:/stripes/1", config={"governance.folder": str(kept)})


def test_a_model_is_run_locally_by_the_target_that_is_named(stripes, shelf):
    config = {"governance.target": shelf[0], "port": "1"}
    answer = run_local("governed", "live", "models:/stripes/1", config=config)
    assert answer["config"] == {"port": "1"}
    with pytest.raises(MlflowException, match=r"governance\.target=<target> is needed"):
        run_local("governed", "live", "models:/stripes/1")


def test_an_expired_signature_is_no_signature(stripes, shelf, keys, monkeypatch):
    client = get_deploy_client(f"governed:/{shelf[0]}")
    later = time.time() + 400 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(MlflowException, match="expired at"):
        client.create_deployment(
            "live", "models:/stripes/1", config={"governance.keys": str(keys[1])}
        )


@pytest.mark.parametrize("uri", ["governed", "governed:/", "governed:/governed:/x"])
def test_a_target_is_needed(uri):
    with pytest.raises(MlflowException, match="names no target"):
        get_deploy_client(uri)


def test_options_that_are_not_known_are_refused(shelf):
    client = get_deploy_client(f"governed:/{shelf[0]}")
    for config in ({"governance.kyes": "x"}, {"governance.hand_over": "trust"}):
        with pytest.raises(MlflowException, match="are accepted"):
            client.create_deployment("live", "models:/stripes/1", config=config)


def test_endpoints_whose_settings_may_name_models_are_refused(shelf):
    client = get_deploy_client(f"governed:/{shelf[0]}")
    for change in (client.create_endpoint, client.update_endpoint):
        with pytest.raises(MlflowException, match="name models unseen"):
            change("a", config={"served_entities": []})


def test_the_help_names_every_option():
    told = plugin_store["governed"].target_help()
    for option in ("keys", "hand_over", "folder", "target"):
        assert f"governance.{option}" in told

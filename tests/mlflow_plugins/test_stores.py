"""Which store is governed for which URI, and the one that stands before another server."""

import threading
from contextlib import suppress

import pytest
import sqlalchemy
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.rest_store import RestStore

from governance.approval import statement_digest, waiver_tag
from governance.approval.tags import APPROVAL, replaced_tag
from mlflow_plugins.registry_store import build


@pytest.fixture
def before_a_server(running_server, tmp_path, monkeypatch, new_office):
    """A governed store before a plain server, and its office."""
    monkeypatch.chdir(tmp_path)
    office = new_office(tmp_path)
    return build(f"governed+{running_server}"), office


def test_a_registry_behind_another_server_is_governed_as_well(before_a_server, tmp_path):
    store, office = before_a_server
    store.create_registered_model("behind", [RegisteredModelTag("governance.status", "x")])
    logged = store_client(store).create_logged_model("0")
    given = [ModelVersionTag("governance.status", "approved"), ModelVersionTag("a", "b")]
    version = store.create_model_version(
        "behind", f"models:/{logged.model_id}", tags=given, model_id=logged.model_id
    )

    assert version.tags == {"governance.status": "pending", "a": "b"}
    with pytest.raises(MlflowException, match="status is pending"):
        store.set_registered_model_alias("behind", "champion", "1")
    waiver = office.waiver(version)
    store.set_model_version_tag("behind", "1", ModelVersionTag(waiver_tag(waiver), waiver))
    token = office.verdict(version, waivers=(statement_digest(waiver),))
    store.set_model_version_tag("behind", "1", ModelVersionTag(APPROVAL, token))
    store.set_registered_model_alias("behind", "champion", "1")
    assert store.get_model_version_by_alias("behind", "champion").tags == {
        "a": "b",
        APPROVAL: token,
        waiver_tag(waiver): waiver,
        "governance.status": "approved",
        "governance.run_id": "0" * 32,
        "governance.digest": "sha256:" + "d" * 64,
        "governance.manifest": "sha256:" + "e" * 64,
        "governance.policy": f"Strict (sha256:{'c' * 64})",
    }
    store.delete_registered_model_alias("behind", "champion")
    assert store.rename_registered_model("behind", "before").name == "before"
    assert store.get_model_version("before", "1").tags == {
        "governance.status": "pending",
        "a": "b",
        APPROVAL: token,
        replaced_tag(token): "renamed",
    }

    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/governance-audit.db")
    with engine.connect() as connection:
        query = sqlalchemy.text("SELECT outcome FROM governance_audit ORDER BY id")
        found = [row.outcome for row in connection.execute(query)]
    engine.dispose()
    assert found == ["refused", "allowed", "allowed", "allowed", "allowed", "allowed"]


def test_behind_another_server_an_approval_that_ends_meanwhile_loses_the_alias(
    before_a_server, monkeypatch
):
    store, office = before_a_server
    store.create_registered_model("raced")
    logged = store_client(store).create_logged_model("0")
    version = store.create_model_version(
        "raced", f"models:/{logged.model_id}", model_id=logged.model_id
    )
    store.set_model_version_tag("raced", "1", ModelVersionTag(APPROVAL, office.verdict(version)))
    plain = RestStore.set_registered_model_alias

    def raced(store, name, alias, number):
        # Somebody who goes to the server behind waits for no lock of ours.
        store_client(store).set_model_version_tag(
            name, number, APPROVAL, office.revocation(version)
        )
        plain(store, name, alias, number)

    monkeypatch.setattr(RestStore, "set_registered_model_alias", raced)

    with pytest.raises(MlflowException, match="was revoked"):
        store.set_registered_model_alias("raced", "champion", "1")
    assert store.get_registered_model("raced").aliases == {}


def test_behind_another_server_those_of_one_folder_take_turns(before_a_server):
    store, office = before_a_server
    name = "turns"
    store.create_registered_model(name)
    logged = store_client(store).create_logged_model("0")
    version = store.create_model_version(
        name, f"models:/{logged.model_id}", model_id=logged.model_id
    )
    now = version.creation_timestamp // 1000
    tokens = [office.verdict(version, issued=now - age) for age in range(8)]
    start = threading.Barrier(len(tokens))

    def put(token):
        start.wait()
        with suppress(MlflowException):
            store.set_model_version_tag(name, "1", ModelVersionTag(APPROVAL, token))

    threads = [threading.Thread(target=put, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.get_model_version(name, "1").tags[APPROVAL] == tokens[0]


def store_client(store):
    """MLflow's client of the server behind the store."""
    from mlflow import MlflowClient  # noqa: PLC0415 - beside its use

    return MlflowClient(store.get_host_creds().host)


def test_with_workspaces_the_store_knows_them(migrated_store, tmp_path, monkeypatch, new_office):
    import shutil  # noqa: PLC0415 - beside its use

    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    new_office(tmp_path)
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")

    store = build(f"governed+sqlite:///{tmp_path}/mlflow.db")

    assert store.supports_workspaces
    assert type(store).__name__ == "GovernedWorkspaceStore"


def test_an_approval_of_one_workspace_is_none_in_another(
    migrated_store, tmp_path, monkeypatch, new_office
):
    import shutil  # noqa: PLC0415 - beside its use

    from mlflow.entities.model_registry import ModelVersionTag  # noqa: PLC0415 - seconds
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds
    from mlflow.utils.workspace_context import ServerWorkspaceContext  # noqa: PLC0415 - seconds

    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    office = new_office(tmp_path)
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    store = build(f"governed+sqlite:///{tmp_path}/mlflow.db")
    tokens = {}
    for place in ("left", "right"):
        with ServerWorkspaceContext(place):
            store.create_registered_model("m")
            tokens[place] = office.verdict(store.create_model_version("m", "source"))

    with ServerWorkspaceContext("left"):
        store.set_model_version_tag("m", "1", ModelVersionTag(APPROVAL, tokens["left"]))
        store.set_registered_model_alias("m", "champion", "1")
    with ServerWorkspaceContext("right"):
        with pytest.raises(MlflowException, match="carries no signed statement"):
            store.set_registered_model_alias("m", "champion", "1")
        with pytest.raises(MlflowException, match="the statement is about"):
            store.set_model_version_tag("m", "1", ModelVersionTag(APPROVAL, tokens["left"]))
        assert store.get_registered_model("m").aliases == {}
    with ServerWorkspaceContext("left"):
        assert set(store.get_registered_model("m").aliases) == {"champion"}

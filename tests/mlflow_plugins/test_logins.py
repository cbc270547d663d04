"""A server with MLflow's basic authentication: who was refused, and who made a version."""

import re
import shutil
from pathlib import Path

import assessed
import pytest
import requests
import servers
import sqlalchemy
from lanes import needs

from governance import registry as records
from governance.errors import RegistryError
from governance.registry.permissions import missing_permissions

PASSWORD = "a long password for tests"  # noqa: S105 - of a server that lives for a minute


@pytest.fixture(scope="module")
@needs("server")
def server(migrated_store, tmp_path_factory, new_office):
    """A server that asks for a login, and its office."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    folder = tmp_path_factory.mktemp("logins")
    shutil.copy(migrated_store, folder / "mlflow.db")
    office = new_office(folder)
    options = (
        *("--registry-store-uri", f"governed+sqlite:///{folder}/mlflow.db"),
        *("--app-name", "basic-auth"),
    )
    rules = Path(mlflow.__file__).parent / "server" / "auth" / "basic_auth.ini"
    # Else a tenth of a second and more goes into the hash of the password, at every request.
    cached = re.sub(r"(?m)^# (auth_cache_ttl_seconds = )0", r"\g<1>600", rules.read_text())
    (folder / "auth.ini").write_text(cached)
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "only for tests",
    }
    with servers.mlflow_server(folder, *options, environment=environment) as address:
        yield address, office


@pytest.fixture
def login(server, new_registry, monkeypatch):
    """The registry as somebody sees it who is made known to the server first."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    address, office = server

    def as_(name):
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        if name != "admin":
            requests.post(
                f"{address}/api/2.0/mlflow/users/create",
                json={"username": name, "password": PASSWORD},
                auth=("admin", PASSWORD),
                timeout=60,
            ).raise_for_status()
            monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
        return new_registry(MlflowClient(address, address), office, address)

    return as_


def test_who_was_refused_is_named_in_the_answer_and_in_the_audit(login):
    registry = login("ann")
    version = registry.register()

    assert registry.tags(version) == {"governance.status": "pending", "governance.author": "ann"}
    with registry.refused("champion", "refused to ann"):
        registry.client.set_registered_model_alias(version.name, "champion", "1")
    with registry.refused("ann made", "given by someone else"):
        registry.waive(version)

    engine = sqlalchemy.create_engine(f"sqlite:///{registry.office.folder}/mlflow.db")
    with engine.connect() as connection:
        query = sqlalchemy.text('SELECT DISTINCT "user", outcome FROM governance_audit')
        assert [tuple(row) for row in connection.execute(query)] == [("ann", "refused")]
    engine.dispose()


def test_the_administrator_is_refused_like_anybody(login):
    registry = login("admin")
    version = registry.register()

    with registry.refused("refused to admin"):
        registry.client.set_registered_model_alias(version.name, "champion", "1")
    registry.approve(version)
    registry.client.set_registered_model_alias(version.name, "champion", "1")


def test_what_a_workers_login_lacks_is_named_and_granting_it_is_enough(
    server, login, monkeypatch, tiny_subject, tmp_path
):
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    # arrange: ann's model, and a worker who may only read
    address, office = server
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    try:
        login("bert")
        mlflow.set_experiment("training of bert")
        assessed.log(tiny_subject.network.model, "of bert")
        login("worker")
        lacking = missing_permissions()
        with (
            pytest.raises(RegistryError, match="403"),
            records.marked_running(records.resolve("models:/of bert/1"), key=office.assessor),
        ):
            pytest.fail("the status was set")

        # act: the grants that the line names, by who may give them
        for kind in ("registered_model", "logged_model"):
            requests.post(
                f"{address}/api/3.0/mlflow/users/permissions/grant",
                json={"username": "worker", "resource_type": kind, "resource_id": "*",
                      "permission": "EDIT"},
                auth=("admin", PASSWORD),
                timeout=60,
            ).raise_for_status()  # fmt: skip
        granted = missing_permissions()
        version = assessed.recorded(
            "models:/of bert/1", tiny_subject.validation, office.assessor, tmp_path
        )
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not the password")
        with pytest.raises(RegistryError, match="does not accept the login"):
            missing_permissions()
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        assert missing_permissions() is None
    finally:
        mlflow.set_tracking_uri(before)

    # assert
    assert "the login 'worker' lacks EDIT on registered_model and logged_model '*'" in lacking
    assert "grant_user_permission('worker', 'registered_model', '*', 'EDIT')" in lacking
    assert granted is None
    assert version.ref.name == "of bert"

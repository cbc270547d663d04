"""A server with MLflow's basic authentication: who was refused, and who made a version."""

import shutil

import pytest
import requests
import servers
import sqlalchemy
from lanes import needs

PASSWORD = "a long password for tests"  # noqa: S105 - of a server that lives for a minute


@pytest.fixture(scope="module")
@needs("server")
def server(migrated_store, tmp_path_factory, new_office):
    """A server that asks for a login, and its office."""
    folder = tmp_path_factory.mktemp("logins")
    shutil.copy(migrated_store, folder / "mlflow.db")
    office = new_office(folder)
    options = (
        *("--registry-store-uri", f"governed+sqlite:///{folder}/mlflow.db"),
        *("--app-name", "basic-auth"),
    )
    environment = {
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

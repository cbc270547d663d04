"""A governed registry on a server with webhooks, and databases for ledgers."""

import shutil

import pytest
import servers
from lanes import needs
from workers import Site, log_models, new_office

SHARED = "a secret of the tests' webhook"


@pytest.fixture(scope="session")
@needs("postgresql")
def postgresql_place(tmp_path_factory):
    """The address of a PostgreSQL of the tests' own."""
    with servers.postgresql(tmp_path_factory.mktemp("postgresql")) as place:
        yield place


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def ledger_url(request, tmp_path):
    """Of a database for a ledger; tests that share one name registries of their own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return f"postgresql+pg8000://{request.getfixturevalue('postgresql_place')}"


@pytest.fixture
def office(tmp_path, policy_text):
    """An office of the test's own."""
    folder = tmp_path / "office"
    folder.mkdir()
    return new_office(folder, policy_text)


WEBHOOKS = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}


@pytest.fixture(scope="session")
@needs("server", "worker")
def site(migrated_store, tmp_path_factory, policy_text, tiny_subject):
    """A governed server for all tests of the worker, each with models of its own name."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    folder = tmp_path_factory.mktemp("site")
    shutil.copy(migrated_store, folder / "mlflow.db")
    office = new_office(folder, policy_text)
    (folder / "secret").write_text(SHARED)
    registry = f"governed+sqlite:///{folder}/mlflow.db"
    with servers.mlflow_server(
        folder, "--registry-store-uri", registry, environment=WEBHOOKS
    ) as address:
        good, bad = log_models(address, tiny_subject)
        yield Site(address, office, good, bad, MlflowClient(address, address))

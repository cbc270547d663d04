"""An office that signs, and governed registries: in this process, on a server, on PostgreSQL."""

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import servers
from cryptography.fernet import Fernet
from lanes import needs

from governance.approval import Keyring, PrivateKey, Statement, sign, waiver_tag
from governance.approval.tags import APPROVAL
from governance.records.version_ref import VersionRef

START = datetime(2026, 1, 1, tzinfo=UTC)
SHA = "sha256:"
FIXED = int(START.timestamp())
#: What lets the server deliver to a receiver of the tests, at once, and keep its secret.
WEBHOOKS = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
    "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
}


@dataclass(frozen=True)
class Office:
    """The keys of a registry, and what is signed with them."""

    folder: Path
    assessor: PrivateKey
    approver: PrivateKey

    @classmethod
    def in_(cls, folder):
        """New keys, their ring and the rules of the server."""
        office = cls(
            folder, PrivateKey.new(folder / "assessor.pem"), PrivateKey.new(folder / "ann.pem")
        )
        worker = office.assessor.public(owner="worker", role="assessor", not_before=START)
        ann = office.approver.public(owner="ann", role="approver", not_before=START)
        (folder / "keyring.toml").write_text(worker.toml() + ann.toml())
        (folder / "governance.toml").write_text('keyring = "keyring.toml"\n')
        return office

    @property
    def ring(self):
        """As it is now."""
        return Keyring.load(self.folder / "keyring.toml")

    def verdict(self, version, *, key=None, **changes):
        """A signed verdict about a version of MLflow's."""
        now = int(time.time())
        fields = {
            "kind": "verdict", **about(version), "issued": now, "expires": now + 1000,
            "verdict": "approved", "artifact_digest": SHA + "a" * 64,
            "model_digest": SHA + "b" * 64, "policy_fixed": FIXED,
            "policy_title": "Strict", "policy_digest": SHA + "c" * 64, "run_id": "0" * 32,
            "assessment_digest": SHA + "d" * 64, "manifest": SHA + "e" * 64,
        }  # fmt: skip
        fields["ref"] = replace(fields["ref"], registry=changes.pop("registry", ""))
        return sign(Statement(**{**fields, **changes}), key or self.assessor)

    def waiver(self, version, *, key=None, **changes):
        """A signed waiver of a version of MLflow's."""
        now = int(time.time())
        fields = {
            "kind": "waiver", **about(version), "issued": now, "expires": now + 1000,
            "metric": "performance.accuracy", "bound": 0.5, "detail": "a pilot",
        }  # fmt: skip
        return sign(Statement(**{**fields, **changes}), key or self.approver)

    def revocation(self, version, **changes):
        """A signed revocation of a version of MLflow's."""
        now = int(time.time())
        fields = {
            "kind": "revocation", **about(version), "issued": now, "expires": now + 10**8,
            "detail": "leaked training data",
        }  # fmt: skip
        return sign(Statement(**{**fields, **changes}), self.approver)


def about(version):
    """What binds a statement to a version of MLflow's."""
    return {"ref": VersionRef.of(version), "source": version.source}


@dataclass(frozen=True)
class Registry:
    """A governed registry as a client sees it, and the office whose signatures it takes."""

    client: object
    office: Office
    address: str | None = None
    model: str = field(default_factory=lambda: f"model {uuid4().hex[:8]}")

    def register(self, name=None, **options):
        """A new version, of a model that is made if there is none; as MLflow returns it."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

        name = name or self.model
        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self.office.folder}/model"
        if self.address is not None:
            # A server takes no path of a client.
            experiment = self.client.create_experiment(uuid4().hex)  # theirs, whoever is logged in
            logged = self.client.create_logged_model(experiment)
            source, options = f"models:/{logged.model_id}", {**options, "model_id": logged.model_id}
        return self.client.create_model_version(name, source, **options)

    def approve(self, version, **changes):
        """Put a signed verdict on a version."""
        token = self.office.verdict(version, **changes)
        self.client.set_model_version_tag(version.name, version.version, APPROVAL, token)
        return token

    def waive(self, version, **changes):
        """Put a signed waiver on a version."""
        token = self.office.waiver(version, **changes)
        self.client.set_model_version_tag(version.name, version.version, waiver_tag(token), token)
        return token

    def tags(self, version):
        """Of a version now."""
        return self.client.get_model_version(version.name, version.version).tags

    @contextmanager
    def refused(self, *words):
        """Expects a refusal, 403, that says all the words."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

        with pytest.raises(MlflowException) as caught:
            yield
        assert caught.value.error_code == "PERMISSION_DENIED"
        assert caught.value.get_http_status_code() == 403
        missing = [word for word in words if word not in str(caught.value)]
        assert not missing, str(caught.value)


@pytest.fixture(scope="session")
def new_office():
    """Makes keys, their ring and the rules of a server in a folder."""
    return Office.in_


@pytest.fixture(scope="session")
def new_registry():
    """Makes what a client sees of a governed registry."""
    return Registry


@pytest.fixture(scope="session")
@needs("server")
def governed_server(migrated_store, tmp_path_factory):
    """A server whose registry is governed and whose artifacts are written once, and its office."""
    folder = tmp_path_factory.mktemp("governed")
    shutil.copy(migrated_store, folder / "mlflow.db")
    office = Office.in_(folder)
    registry = f"governed+sqlite:///{folder}/mlflow.db"
    artifacts = f"worm://{folder}/artifacts"
    options = ("--registry-store-uri", registry, "--artifacts-destination", artifacts)
    with servers.mlflow_server(folder, *options, environment=WEBHOOKS) as address:
        yield address, office


@pytest.fixture
def office(governed_server, tmp_path, monkeypatch):
    """The office of the server that MLflow's calls go to."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    address, office = governed_server
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    mlflow.set_experiment("training")
    yield office
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
@needs("postgresql")
def governed_postgresql(tmp_path_factory):
    """The URIs of a governed registry on PostgreSQL and of the plain one, and the office."""
    folder = tmp_path_factory.mktemp("postgresql")
    with servers.postgresql(folder) as place:
        yield f"postgresql+pg8000://{place}", Office.in_(folder)


def in_process(uri, office, monkeypatch):
    """A client of a governed registry, opened in the folder of its rules."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    monkeypatch.chdir(office.folder)
    client = MlflowClient(tracking_uri=uri, registry_uri=f"governed+{uri}")
    client.search_registered_models(max_results=1)
    return Registry(client, office)


@pytest.fixture
def registry(migrated_store, tmp_path, monkeypatch):
    """A governed registry of its own, in this process."""
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    return in_process(f"sqlite:///{tmp_path}/mlflow.db", Office.in_(tmp_path), monkeypatch)


@pytest.fixture
def served(registry, monkeypatch):
    """MLflow's own server over that registry, in this process: makes clients of it."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it
    from mlflow.server import ARTIFACT_ROOT_ENV_VAR, app, handlers  # noqa: PLC0415
    from mlflow.server import BACKEND_STORE_URI_ENV_VAR as BACKEND  # noqa: PLC0415
    from mlflow.server import REGISTRY_STORE_URI_ENV_VAR as REGISTRY  # noqa: PLC0415
    from mlflow.tracking._model_registry import utils  # noqa: PLC0415

    # A server sets both.
    monkeypatch.setattr(utils, "_registry_uri", utils._registry_uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "")
    uri, before = f"sqlite:///{registry.office.folder}/mlflow.db", mlflow.get_tracking_uri()
    monkeypatch.setenv(BACKEND, uri)
    monkeypatch.setenv(REGISTRY, f"governed+{uri}")
    monkeypatch.setenv(ARTIFACT_ROOT_ENV_VAR, f"worm://{registry.office.folder}/artifacts")
    monkeypatch.setattr(handlers, "_tracking_store", None)
    monkeypatch.setattr(handlers, "_model_registry_store", None)
    yield app.test_client
    mlflow.set_tracking_uri(before)


#: What they start is asked for by name, which no hook sees.
@pytest.fixture
def on_postgresql(governed_postgresql, monkeypatch):
    """A governed registry on PostgreSQL, in this process."""
    return in_process(*governed_postgresql, monkeypatch)


PLACES = [
    "process",
    pytest.param("server", marks=pytest.mark.server),
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@pytest.fixture(params=PLACES)
def anywhere(request):
    """A governed registry: in this process, over HTTP, on PostgreSQL."""
    if request.param == "process":
        return request.getfixturevalue("registry")
    if request.param == "postgresql":
        return request.getfixturevalue("on_postgresql")
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    address, office = request.getfixturevalue("governed_server")
    return Registry(MlflowClient(address, address), office, address)


@pytest.fixture(autouse=True)
def quiet():
    """No retries that wait: a refusal is an answer."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

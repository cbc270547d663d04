"""What the doctor says of the statements that versions carry."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient
from sqlalchemy import create_engine

from governance.approval import Keyring, PrivateKey, statement_digest
from governance.approval import sign as sign_statement
from governance.records.version_ref import VersionRef
from governance.registry import resolve
from governance.registry.doctor.contradictions import audited
from governance.registry.doctor.standing import standing
from governance.registry.listing import ListedVersion
from governance.registry.signing import not_assessable, put_statement
from governance.registry.versions import APPROVAL, ModelVersion
from mlflow_plugins import audit


@pytest.fixture
def key(tmp_path):
    return PrivateKey.new(tmp_path / "worker.pem")


@pytest.fixture
def signed(mlflow_store, key):
    """A registered version that carries a statement of the key, with what is changed in it."""

    def sign(**changes):
        client = MlflowClient()
        client.create_registered_model("stripes")
        client.create_model_version("stripes", source="s3://models/stripes")
        version = resolve("models:/stripes/1")
        statement = not_assessable(version, "no images", changes.pop("now", time.time()))
        put_statement(version, replace(statement, **changes), key)

    return sign


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, "ok", "1 signed statements verify with the keyring"),
        ({"now": 1e9}, "warning", "1 of 1 signed statements expired"),
        (
            {"waivers": ("f" * 64,)},
            "warning",
            "1 of 1 signed statements rest on waivers that do not count any more",
        ),
    ],
)
def test_what_became_of_a_statement_is_named(signed, key, changes, state, words):
    start = datetime.now(UTC) - timedelta(days=20000)
    ring = Keyring((key.public(owner="worker", role="assessor", not_before=start),))
    signed(**changes)

    found = standing(ring, time.time())

    (signatures,) = [item for item in found if item.about == "signatures"]
    assert (signatures.state, signatures.found) == (state, words)


@pytest.fixture
def in_workspace(tmp_path, key):
    """A version of a workspace with a statement, and the audit in which another or it stands."""
    ref = VersionRef(name="stripes", version="1", created=7, workspace="team a")
    version = ModelVersion(uri="models:/stripes/1", ref=ref, source="s3://models/stripes")
    token = sign_statement(not_assessable(version, "no images", time.time()), key)
    entry = ListedVersion(version=version, tags={APPROVAL: token})
    database = f"sqlite:///{tmp_path}/audit.db"
    engine = create_engine(database)
    audit.prepare(engine)

    def accepted(digest):
        audit.append(
            engine,
            audit.AuditEntry(
                action="set_model_version_tag", model="stripes", version="1", created=7,
                alias=APPROVAL, outcome="allowed", reason="", token=digest,
            ),
        )  # fmt: skip
        return audited((entry,), database)

    yield accepted, statement_digest(token)
    engine.dispose()


def test_the_audit_is_compared_in_a_workspace_too(in_workspace):
    accepted, digest = in_workspace

    (same,) = accepted(digest)
    (other,) = accepted("0" * 64)

    assert (same.state, same.found) == (
        "ok",
        "1 versions carry the statement that was accepted last",
    )
    assert other.state == "problem"
    assert "models:/stripes/1" in other.found


def test_no_database_is_made_where_the_audit_is_not(tmp_path):
    (answer,) = audited((), f"sqlite:///{tmp_path}/none.db")

    assert answer.state == "warning"
    assert "cannot be read" in answer.found
    assert list(tmp_path.iterdir()) == []


def test_an_alias_is_excepted_only_as_it_is_written(signed):
    signed()
    MlflowClient().set_registered_model_alias("stripes", "candidate", "1")
    (before,) = [item for item in standing(None, time.time()) if item.about == "aliases in use"]
    MlflowClient().set_registered_model_alias("stripes", "Challenger", "1")
    (after,) = [item for item in standing(None, time.time()) if item.about == "aliases in use"]

    assert before.state == "ok"
    assert after.state == "problem"
    assert "models:/stripes@Challenger" in after.found

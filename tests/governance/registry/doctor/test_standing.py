"""What the doctor says of the statements that versions carry."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient

from governance.approval import Keyring, PrivateKey
from governance.registry import resolve
from governance.registry.doctor.standing import standing
from governance.registry.signing import not_assessable, put_statement


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
        ({}, "ok", "1 signed statements verify with the ring"),
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

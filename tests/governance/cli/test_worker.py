"""The commands `worker` and `sweep`: what they refuse before anything starts, and one sweep."""

import json
import logging
from datetime import UTC, datetime

import pytest

from governance.approval import PrivateKey


@pytest.fixture
def files(tmp_path, policy_text):
    """Options that name a worker's files."""
    key = PrivateKey.new(tmp_path / "key.pem")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ring = key.public(owner="worker", role="assessor", not_before=start)
    (tmp_path / "ring.toml").write_text(ring.toml())
    (tmp_path / "policy.toml").write_text(policy_text)
    (tmp_path / "worker.toml").write_text(
        '[[worker.policies]]\nmodels = "none like this"\npolicy = "policy.toml"\n'
    )
    yield (
        *("--config", tmp_path / "worker.toml", "--signing-key", tmp_path / "key.pem"),
        *("--keys", tmp_path / "ring.toml", "--ledger", f"sqlite:///{tmp_path}/ledger.db"),
    )
    logging.getLogger("governance.worker").handlers.clear()


@pytest.mark.parametrize("address", ["8080", "host:", ":8080", "host:http", "host:99999"])
def test_an_address_that_is_none_is_refused(governance, files, address):
    for option in ("--listen", "--monitoring"):
        answer = governance("worker", *files, option, address)

        assert answer.code == 2
        assert f"{option} {address}: HOST:PORT is accepted" in answer.err


def test_a_secret_needs_a_listener_and_some_length(governance, files, tmp_path):
    (tmp_path / "secret").write_text("short")
    (tmp_path / "good").write_text("long enough to be kept")

    short = governance(
        "worker", *files, "--listen", "127.0.0.1:0", "--webhook-secret-file", tmp_path / "secret"
    )
    deaf = governance("worker", *files, "--webhook-secret-file", tmp_path / "good")
    absent = governance("worker", *files, "--webhook-secret-file", tmp_path / "absent")

    open_to_all = governance("worker", *files, "--listen", "127.0.0.1:0")

    assert (short.code, deaf.code, absent.code, open_to_all.code) == (2, 2, 2, 2)
    assert "at least 16" in short.err
    assert "both are needed to receive webhooks" in deaf.err
    assert "both are needed to receive webhooks" in open_to_all.err
    assert "cannot be read as a secret" in absent.err


@pytest.mark.slow
@pytest.mark.worker
def test_a_sweep_leaves_nothing_unsigned_and_finds_nothing_the_second_time(
    governance, files, mlflow_store, saved_model
):
    # A store of its own: a sweep signs what stands on every version.
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    MlflowClient().create_registered_model("stripes")
    MlflowClient().create_model_version("stripes", str(saved_model))

    first = governance("sweep", *files, "--json")
    second = governance("sweep", *files)

    found = json.loads(first.out)
    assert first.code == 0
    assert found["done"] == 1
    assert (found["unfinished"], found["waiting"]) == (0, 0)
    assert second.out.startswith("done: 0, unfinished: 0, waiting: 0, unapproved aliases: ")
    assert all(json.loads(line)["event"] for line in first.err.splitlines() if line[:1] == "{")

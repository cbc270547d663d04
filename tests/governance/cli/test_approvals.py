"""`governance keys`, `waive`, `revoke`, and `assess --signing-key`."""

import json
import os
import pwd
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from governance.approval import Keyring, read
from governance.approval.tags import APPROVAL, WAIVER


@pytest.fixture
def keys(store, governance):
    """An assessor's and an approver's key and their ring, in the working directory."""
    for name, role in (("worker", "assessor"), ("ann", "approver")):
        made = governance(
            *("keys", "new", f"{name}.pem", "--owner", name, "--role", role), "--keys", "ring.toml"
        )
        assert made.code == 0, made.err


def last_day(days):
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def waive(governance, uri, **options):
    stated = {
        "metric": "performance.accuracy", "bound": "0.5", "reason": "a pilot",
        "expires": last_day(30), "key": "ann.pem", "keys": "ring.toml",
    }  # fmt: skip
    pairs = ((f"--{key}", value) for key, value in {**stated, **options}.items())
    return governance("waive", uri, *(item for pair in pairs for item in pair))


def tags(uri):
    return MlflowClient().get_model_version("stripes", uri.rpartition("/")[2]).tags


def test_keys_are_made_and_listed(store, keys, governance):
    told = json.loads(governance("keys", "list", "ring.toml", "--json").out)["keys"]

    assert [(item["owner"], item["role"]) for item in told] == [
        ("worker", "assessor"), ("ann", "approver"),
    ]  # fmt: skip
    assert "ann" in governance("keys", "list", "ring.toml").out


def test_a_key_is_not_made_twice(store, keys, governance):
    again = governance(
        *("keys", "new", "ann.pem", "--owner", "x", "--role", "assessor", "--keys", "ring.toml")
    )

    assert again.code == 40
    assert "never overwritten" in again.err
    assert len(ring().keys) == 2


def ring():
    return Keyring.load(Path("ring.toml"))


def test_what_is_not_approved_is_not_countersigned(keys, new_version, governance):
    told = governance("countersign", new_version(), "--key", "ann.pem", "--keys", "ring.toml")

    assert told.code == 30
    assert "no assessment of it stands" in told.out


def test_a_root_key_signs_the_ring(keys, governance):
    new = governance(*("keys", "new", "root.pem", "--owner", "security", "--role", "root"),
                     "--keys", "root.toml", "--algorithm", "p256")  # fmt: skip

    signed = governance("keys", "sign", "ring.toml", "--key", "root.pem")

    assert (new.code, signed.code) == (0, 0), new.err + signed.err
    assert "version 1 of ring.toml" in signed.out
    told = json.loads(governance("keys", "list", "root.toml", "--json").out)
    assert (told["signed"], told["version"], len(told["keys"])) == (True, 1, 2)
    assert "not signed" in governance("keys", "list", "ring.toml").out


def test_nobody_without_a_name_gets_a_key(store, governance):
    told = governance(
        *("keys", "new", "k.pem", "--owner", " ", "--role", "assessor"), "--keys", "r"
    )

    assert told.code == 2
    assert "--owner" in told.err


def test_a_waiver_is_put_on_its_version(keys, new_version, governance):
    uri = new_version()

    told = waive(governance, uri)

    assert told.code == 0, told.err
    assert "performance.accuracy is waived up to 0.5" in told.out
    (token,) = (value for key, value in tags(uri).items() if key.startswith(WAIVER))
    said = read(token, ring(), time.time()).statement
    assert datetime.fromtimestamp(said.expires, UTC).date().isoformat() == last_day(30)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"expires": "2031-01-01"}, "90 days"),
        ({"expires": "2026-01-01"}, "other order"),
        ({"metric": "performance.*"}, "no pattern"),
        ({"reason": " "}, "no reason"),
        ({"bound": "nan"}, "finite"),
        ({"key": "worker.pem"}, "of the role"),
    ],
)
def test_a_waiver_that_is_too_wide_is_refused(keys, new_version, governance, options, says):
    uri = new_version()

    told = waive(governance, uri, **options)

    assert told.code == 40
    assert says in told.err
    assert not any(key.startswith(WAIVER) for key in tags(uri))


def test_a_revocation_is_signed(keys, new_version, governance):
    uri = new_version()

    told = governance("revoke", uri, "--reason", "leaked images", "--key", "ann.pem")

    assert told.code == 0, told.err
    assert read(tags(uri)[APPROVAL], ring(), time.time()).statement.detail == "leaked images"
    assert tags(uri)["governance.status"] == "rejected"


@pytest.mark.slow
def test_an_assessment_is_signed_and_judged_with_the_waivers_that_count(
    keys, new_version, governance, policy_text
):
    strict = policy_text.replace("at_least = 0.5", 'at_least = 0.999\non = "interval"')
    Path("policy.toml").write_text(strict)
    uri = new_version()
    assert waive(governance, uri).code == 0
    assess = ("assess", uri, "--policy", "policy.toml", "--signing-key", "worker.pem")

    without = governance(*assess)
    told = governance(*assess, "--keys", "ring.toml", "--json")

    assert without.code == 10, without.err
    assert told.code == 0, told.err
    assert "waived" in {item["outcome"] for item in json.loads(told.out)["findings"]}
    said = read(tags(uri)[APPROVAL], ring(), time.time()).statement
    assert (said.verdict, len(said.waivers)) == ("approved", 1)
    assert governance("gate", uri, "--keys", "ring.toml").code == 0
    second = governance("countersign", uri, "--key", "ann.pem", "--keys", "ring.toml")
    assert (second.code, "signed by ann, worker" in second.out) == (0, True), second.err
    gate = json.loads(governance("gate", uri, "--keys", "ring.toml", "--json").out)
    assert len(gate["signature"]["keys"]) == 2


def test_a_key_without_an_owner_is_that_of_the_login_name(governance, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("USER", raising=False)
    answer = governance("keys", "new", "k.pem", "--role", "approver", "--keys", "ring.toml")
    assert answer.code == 0
    (key,) = Keyring.load(tmp_path / "ring.toml").keys
    assert key.owner == pwd.getpwuid(os.getuid()).pw_name

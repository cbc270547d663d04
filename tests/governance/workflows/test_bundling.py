"""Bundling: from a version in MLflow to one file that is verified, and replayed, without it."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from mlflow import MlflowClient

from governance.approval import PrivateKey
from governance.approval.bundles import opened_bundle
from governance.approval.tags import APPROVAL
from governance.records.assessment import Assessment
from governance.registry import record, resolve

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def keyring(tmp_path):
    """An assessor's key, and a ring with it."""
    key = PrivateKey.new(tmp_path / "key.pem")
    public = key.public(owner="worker", role="assessor", not_before=START)
    (tmp_path / "ring.toml").write_text(public.toml())
    return key, tmp_path / "ring.toml"


@pytest.fixture
def signed(assessed, new_version, keyring, tmp_path):
    """A version whose recorded verdict was signed as the worker signs it."""
    version = resolve(new_version())
    found = Assessment.load(assessed.folder)
    again = replace(found, identity=replace(found.identity, uri=version.uri, ref=version.ref))
    again.save(tmp_path / "record")
    record(version, again, tmp_path / "record", key=keyring[0])
    return version.uri


def test_a_bundle_from_mlflow_verifies_and_is_replayed(
    governance, signed, keyring, tmp_path, monkeypatch
):
    bundle, ring = tmp_path / "stripes.zip", keyring[1]

    written = governance("bundle", signed, "--out", bundle, "--keys", ring)
    verified = governance("verify", bundle, "--ring", ring)
    again = governance("replay", bundle, "--sample", "1%", "--seed", "5", "--json")

    assert (written.code, written.err) == (0, "")
    assert verified.code == 0, verified.out
    assert [line.split()[0] for line in verified.out.splitlines()[:-1]] == ["ok"] * 5
    assert verified.out.endswith(f"{signed}: ✓ approved\n")
    assert json.loads(again.out)["outcome"] == "reproduced"


def test_a_revocation_is_in_the_bundle_made_after_it(governance, signed, keyring, tmp_path):
    # arrange
    approver = PrivateKey.new(tmp_path / "approver.pem")
    public = approver.public(owner="Ann", role="approver", not_before=START)
    ring = tmp_path / "both.toml"
    ring.write_text(keyring[1].read_text() + "\n" + public.toml())
    # act
    governance("revoke", signed, "--reason", "scanner marks", "--key", tmp_path / "approver.pem")
    written = governance("bundle", signed, "--out", tmp_path / "revoked.zip", "--keys", ring)
    answer = governance("verify", tmp_path / "revoked.zip", "--ring", ring)
    # assert
    assert written.code == 0, written.err
    assert answer.code == 10


def test_a_bundle_holds_no_weights_and_nothing_but_our_tags(governance, signed, tmp_path):
    name, number = signed.removeprefix("models:/").split("/")
    MlflowClient().set_model_version_tag(name, number, "team.note", "private")

    governance("bundle", signed, "--out", tmp_path / "x.zip")

    found = opened_bundle(tmp_path / "x.zip")
    assert set(found.model) <= {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"}
    assert any(path.endswith(".pt2") for path in found.model_files)
    assert APPROVAL in found.version.tags
    assert "team.note" not in found.version.tags
    assert found.made <= datetime.fromtimestamp(time.time() + 1, UTC).isoformat()

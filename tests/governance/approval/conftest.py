"""An assessor, an approver, the ring that knows both, and a verdict to sign."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from governance.approval import Keyring, PrivateKey, Statement
from governance.records.version_ref import VersionRef

START = datetime(2026, 1, 1, tzinfo=UTC)
SHA = "sha256:"
FIXED = int(START.timestamp())
NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())


@pytest.fixture(scope="session")
def assessor(tmp_path_factory):
    return PrivateKey.new(tmp_path_factory.mktemp("keys") / "assessor.pem")


@pytest.fixture(scope="session")
def approver(tmp_path_factory):
    return PrivateKey.new(tmp_path_factory.mktemp("keys") / "approver.pem")


@pytest.fixture(scope="session")
def ring(assessor, approver):
    return Keyring(
        (
            assessor.public(owner="worker", role="assessor", not_before=START),
            approver.public(owner="Ann", role="approver", not_before=START),
        )
    )


OF_VERSION = ("registry", "workspace", "name", "version", "created")
REF = VersionRef(name="digits", version="3", created=1_700_000_000_000)


def referred(changes):
    """Changes to a statement, of which those to its version are put into its reference."""
    of_version = {name: changes[name] for name in OF_VERSION if name in changes}
    others = {name: value for name, value in changes.items() if name not in of_version}
    return {"ref": replace(REF, **of_version), **others}


@pytest.fixture(scope="session")
def verdict():
    """Makes an approval of version 3 of `digits`."""

    def make(**changes):
        fields = {
            "kind": "verdict", "source": "models:/m-1", "issued": NOW - 10, "expires": NOW + 1000,
            "verdict": "approved", "artifact_digest": SHA + "a" * 64,
            "model_digest": SHA + "b" * 64, "policy_fixed": FIXED,
            "policy_title": "Strict", "policy_digest": SHA + "c" * 64, "run_id": "0" * 32,
            "assessment_digest": SHA + "d" * 64, "manifest": SHA + "e" * 64,
        }  # fmt: skip
        return Statement(**{**fields, **referred(changes)})

    return make


@pytest.fixture(scope="session")
def waiver():
    """Makes a waiver of one metric of version 3 of `digits`."""

    def make(**changes):
        fields = {
            "kind": "waiver", "source": "models:/m-1", "issued": NOW - 10, "expires": NOW + 1000,
            "metric": "performance.accuracy", "bound": 0.8, "detail": "pilot with ten users",
        }  # fmt: skip
        return Statement(**{**fields, **referred(changes)})

    return make

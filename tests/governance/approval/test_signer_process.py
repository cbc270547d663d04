"""The signer: it signs what it has judged again itself, for those it knows, and nothing else."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import versions
from signers import serving

from governance.approval import Keyring, PrivateKey, Statement, decode, read, sign
from governance.approval.attestations import attestations, signed
from governance.approval.remote_keys import RemoteKey
from governance.approval.signed_statements import payload_of
from governance.approval.signing_requests import Grounds
from governance.approval.verdict_claims import claims
from governance.errors import ApprovalError
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.policy import Policy
from governance.records.serialisation import canonical
from governance.records.version_ref import VersionRef

REF = VersionRef(name="tiny", version="3", created=5, registry="production")
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def key(tmp_path):
    return PrivateKey.new(tmp_path / "assessor.pem")


@pytest.fixture
def remote(key, tmp_path):
    with serving(key, tmp_path / "signer.sock") as found:
        yield found


POLICY = """
title = "Strict"
[model]
channels = "grey"
mean = [0.5]
std = [0.5]
[validation]
data = "v"
[[expectations]]
metric = "performance.accuracy"
at_least = 0.5
"""


@pytest.fixture
def assessed():
    """An approved assessment of the version, whose numbers were drawn."""
    found = versions.record("3")
    policy = Policy.loads(POLICY, where="policy.toml")
    return replace(
        found,
        identity=replace(
            found.identity, ref=REF, digest=f"sha256:{'1' * 64}",
            artifact_digest=f"sha256:{'2' * 64}",
        ),
        validation=replace(found.validation, digest=f"sha256:{'3' * 64}"),
        policy=policy,
        decision=judge(policy, found.evidence),
    )  # fmt: skip


def kept(assessment, folder):
    """The assessment as it is read back, and its grounds."""
    assessment.save(folder)
    return Assessment.load(folder), grounds_of(folder)


def grounds_of(folder):
    return Grounds(
        record=(folder / "assessment.json").read_text(),
        manifest=(folder / "manifest.json").read_text(),
    )


def digest(text):
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def verdict(assessment, grounds, **changes):
    now = int(time.time())
    fields = {
        "kind": "verdict", "ref": REF, "source": "models:/m-1", "issued": now,
        "expires": now + 1000, "policy_fixed": now,
        **claims(assessment, run_id="0" * 32, record=digest(grounds.record),
                 manifest=digest(grounds.manifest)),
    }  # fmt: skip
    return Statement(**{**fields, **changes})


def progress(status="pending", **changes):
    now = int(time.time())
    fields = {"kind": "verdict", "ref": REF, "source": "models:/m-1", "issued": now,
              "expires": now + 1000, "verdict": status}  # fmt: skip
    return Statement(**{**fields, **changes})


def refused(remote, statement, grounds=None, *words):
    """Expects that nothing is signed, for a reason with all the words."""
    with pytest.raises(ApprovalError) as caught:
        sign(statement, remote.on(grounds or Grounds()))
    for word in words:
        assert word in str(caught.value)


def test_a_verdict_that_follows_from_its_record_is_signed(remote, key, assessed, tmp_path):
    found, grounds = kept(assessed, tmp_path / "record")
    said = verdict(found, grounds)

    token = sign(said, remote.on(grounds))

    public = key.public(owner="signer", role="assessor", not_before=START)
    assert read(token, Keyring((public,), registry="production"), time.time()).statement == said
    assert remote.id == key.id
    assert remote.public(owner="signer", role="assessor", not_before=START) == public


def test_statements_for_other_tools_are_signed_beside_their_verdict(
    remote, key, assessed, tmp_path
):
    found, grounds = kept(assessed, tmp_path / "record")
    said = verdict(found, grounds)
    beside = replace(grounds, verdict=payload_of(said).decode())

    lines = signed(found, said, remote.on(beside)).splitlines()

    assert len(lines) == len(attestations(found, said)) > 1
    assert lines == signed(found, said, key).splitlines()
    refused(remote, replace(said, run_id="1" * 32), beside, "does not follow")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"verdict": "rejected"}, "verdict"),
        ({"model_digest": f"sha256:{'9' * 64}"}, "model digest"),
        ({"policy_digest": f"sha256:{'9' * 64}"}, "policy digest"),
        ({"assessment_digest": f"sha256:{'9' * 64}"}, "assessment digest"),
        ({"waivers": ("9" * 64,)}, "waivers"),
        ({"run_id": None}, "run"),
        ({"detail": "a word of mine"}, "free text"),
        ({"ref": replace(REF, version="4")}, "another version"),
        ({"ref": replace(REF, registry="staging")}, "registry"),
        ({"ref": replace(REF, created=6)}, "another created"),
        ({"issued": 1_700_000_000, "expires": 1_700_000_100, "policy_fixed": 1_700_000_000},
         "is issued at"),
    ],
)  # fmt: skip
def test_a_verdict_that_says_something_else_is_refused(remote, assessed, tmp_path, changes, word):
    found, grounds = kept(assessed, tmp_path / "record")

    refused(remote, verdict(found, grounds, **changes), grounds, word)


def test_a_record_whose_verdict_does_not_follow_from_its_evidence_is_refused(
    remote, assessed, tmp_path
):
    worse = replace(assessed.decision.findings[0], outcome="unmet")
    made_up = replace(
        assessed, decision=replace(assessed.decision, verdict="rejected", findings=(worse,))
    )
    found, grounds = kept(made_up, tmp_path / "record")

    refused(remote, verdict(found, grounds), grounds, "judged again, gives approved")


@pytest.mark.parametrize("part", ["record", "manifest"])
def test_a_record_that_is_damaged_or_of_another_manifest_is_refused(
    remote, assessed, tmp_path, part
):
    found, grounds = kept(assessed, tmp_path / "record")
    said = verdict(found, grounds)
    for text in ("", "{", "[" * 100_000, "null", "{}", getattr(grounds, part) + " "):
        refused(remote, said, replace(grounds, **{part: text}))


def test_what_cannot_even_be_encoded_ends_no_signer(remote, assessed, tmp_path):
    found, grounds = kept(assessed, tmp_path / "record")
    lone = "\ud800"
    data = json.loads(grounds.record)
    for record in (lone, grounds.record + lone, json.dumps({**data, "created": lone})):
        refused(remote, verdict(found, grounds), replace(grounds, record=record))
    refused(remote, progress("running", policy_fixed=-(10**17)), None)

    assert decode(sign(progress(), remote)).verdict == "pending"


def test_only_what_needs_no_record_is_signed_without_one(remote, assessed, tmp_path):
    found, grounds = kept(assessed, tmp_path / "record")
    now = int(time.time())
    fixed = {"policy_title": "T", "policy_digest": f"sha256:{'4' * 64}", "policy_fixed": now}

    for said in (
        progress(),
        progress("running", issued=now, **fixed),
        progress("undetermined", detail="no policy applies"),
    ):
        assert decode(sign(said, remote)) == said
    refused(remote, verdict(found, grounds), None, "approved without a record")
    refused(remote, progress("rejected"), None, "rejected without a record")
    refused(remote, progress("undetermined"), None, "without a reason")
    refused(remote, progress(detail="a word of mine"), None, "detail")
    refused(remote, progress(model_digest=f"sha256:{'1' * 64}"), None, "model digest")
    refused(remote, progress("running", **{**fixed, "policy_fixed": now - 60}), None, "fixed at")


def test_what_people_sign_is_refused(remote):
    now = int(time.time())
    about = {"ref": REF, "source": "s", "issued": now, "expires": now + 1000, "detail": "why"}

    refused(remote, Statement(kind="revocation", **about), None, "is a revocation")
    waiver = Statement(kind="waiver", metric="performance.accuracy", bound=0.1, **about)
    refused(remote, waiver, None, "is a waiver")


def test_bytes_that_are_no_statement_are_refused(remote):
    for payload in (b"", b"{}", b'{"_type":"x"}', b"\xff", b"hello", canonical({"a": 1})):
        with pytest.raises((ApprovalError, UnicodeDecodeError)):
            remote.sign(b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload))
    with pytest.raises(ApprovalError):
        remote.sign(b"a message of any kind")


def test_a_verdict_is_put_back_only_if_this_key_signed_it(remote, key, assessed, tmp_path):
    found, grounds = kept(assessed, tmp_path / "record")
    now = int(time.time())
    said = verdict(found, grounds, issued=now - 100, policy_fixed=now - 100)
    again = replace(said, issued=now)

    assert decode(sign(again, remote.on(Grounds(before=sign(said, key))))) == again
    other = PrivateKey.new(tmp_path / "other.pem")
    refused(remote, again, Grounds(before=sign(said, other)), "not in the keyring")
    worse = replace(again, verdict="rejected")
    refused(remote, worse, Grounds(before=sign(said, key)), "puts back")


def test_a_key_may_be_held_to_some_policies(key, assessed, tmp_path):
    found, grounds = kept(assessed, tmp_path / "record")
    with serving(key, tmp_path / "a.sock", policies=frozenset({found.policy.digest})) as remote:
        sign(verdict(found, grounds), remote.on(grounds))
    with serving(key, tmp_path / "b.sock", policies=frozenset({"sha256:other"})) as remote:
        refused(remote, verdict(found, grounds), grounds, "does not sign under")


def test_users_who_are_not_named_get_no_answer(key, tmp_path):
    path = tmp_path / "signer.sock"
    with (
        pytest.raises(ApprovalError, match="no signer answers"),
        serving(key, path, users={os.geteuid() + 1}),
    ):
        pytest.fail("it answered")


def test_a_client_that_hangs_or_sends_nonsense_keeps_nobody_out(key, tmp_path, monkeypatch):
    monkeypatch.setattr("governance.approval.signer_process.SECONDS", 0.5)
    path = tmp_path / "signer.sock"
    with serving(key, path) as remote:
        for first in (b"", b"\x00" * 7, (2**62).to_bytes(8, "big"), b"\x00" * 7 + b"\x01{"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.connect(str(path))
                connection.sendall(first)
                began = time.monotonic()
                assert decode(sign(progress(), remote)).verdict == "pending"
                assert time.monotonic() - began < 5


BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "mlflow", "matplotlib", "weasyprint"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
from governance.cli import main
sys.argv[0] = "governance"
main()
"""


def test_the_command_signs_without_torch_or_mlflow_until_it_is_told_to_end(key, assessed, tmp_path):
    public = key.public(owner="worker", role="assessor", not_before=START)
    (tmp_path / "ring.toml").write_text('registry = "production"\n' + public.toml())
    path = tmp_path / "signer.sock"
    command = [
        *(sys.executable, "-c", BLOCKED, "signer", "--signing-key", tmp_path / "assessor.pem"),
        *("--keys", tmp_path / "ring.toml", "--socket", path),
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    try:
        until = time.monotonic() + 60
        while not path.is_socket() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        found, grounds = kept(assessed, tmp_path / "record")
        sign(verdict(found, grounds), RemoteKey.at(path).on(grounds))
        # nobody of this user reads its memory, where the key is
        assert os.geteuid() == 0 or not os.access(f"/proc/{process.pid}/mem", os.R_OK)
        assert (tmp_path / "log").read_text().count('"event": "signed"') == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["started", "signed", "ended"]
    assert lines[1]["version"] == "models:/tiny/3"
    assert not path.exists()

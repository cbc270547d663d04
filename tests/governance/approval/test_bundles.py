"""Bundles: what an auditor's ring, time and machine make of a file that anybody may have made."""

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from governance.approval import Keyring, Statement, sign, waiver_tag, waivers_among
from governance.approval.attestations import signed as attested
from governance.approval.auditing import verified_bundle
from governance.approval.bundles import Bundle, opened_bundle, recorded
from governance.approval.signed_rings import RingFiles
from governance.approval.standing import RegisteredVersion
from governance.approval.tags import APPROVAL, REPLACED, RUN, replaced_tag
from governance.approval.verdict_claims import claims
from governance.errors import EvidenceError
from governance.records.assessment import Assessment, attach
from governance.records.bundle_files import combined, packed, unpacked
from governance.records.decision import judge
from governance.records.evidence import Evidence, Measurement, Table
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.policy import Policy
from governance.records.version_ref import VersionRef

NOW = 1_780_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
RUN_ID = "0" * 32
REF = VersionRef(name="digits", version="3", created=1_700_000_000_000)
MODEL = {"MLmodel": b"flavors: {}\n", "requirements.txt": b"torch\n"}
HASHES = {
    **{path: hashlib.sha256(content).hexdigest() for path, content in MODEL.items()},
    "data/model.pt2": "a" * 64,
}
POLICY = """\
title = "Strict"
[validation]
data = "digits.npz"
[[expectations]]
metric = "performance.accuracy"
at_least = 0.9
"""


def assessment_of(accuracy=0.95, waivers=()):
    """The record of an assessment, judged from one number."""
    policy = Policy.loads(POLICY, where="policy.toml")
    table = Table(name="classes", caption="c", columns=("class", "n"), rows=(("seven", 12),))
    evidence = Evidence(
        analysis="performance", about="How often.", parameters={}, seed=0, seconds=1.0,
        device="cpu", measurement=Measurement(metrics={"accuracy": accuracy}, tables=(table,)),
    )  # fmt: skip
    unasked = [
        replace(evidence, analysis=name, measurement=Measurement(metrics={"x": 1.0}))
        for name in ("alpha", "beta")
    ]
    found = (evidence, *unasked)
    return Assessment(
        identity=ModelIdentity(
            uri=REF.uri, ref=REF, digest="sha256:" + "b" * 64, artifact_digest=combined(HASHES),
            format="pt2", parameters=1,
        ),
        validation=ValidationIdentity(
            location="digits.npz", digest="sha256:" + "c" * 64, images=12, class_names=("seven",),
            class_counts=(12,),
        ),
        policy=policy, evidence=found, decision=judge(policy, found, waivers),
        environment={"torch": "2"}, created="2026-05-28T12:00:00+00:00", waivers=waivers,
    )  # fmt: skip


def files_of(assessment, folder):
    """The files of its folder, with a report."""
    assessment.save(folder)
    attach(folder, {"report.html": b"<p>"})
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def made(assessor, ring, tmp_path):
    """Makes the bundle of a signed verdict on a record."""

    def make(assessment=None, tags=None, **changes):
        assessment = assessment or assessment_of()
        record = files_of(assessment, tmp_path / f"record {time.monotonic_ns()}")
        said = Statement(
            **{
                "kind": "verdict", "ref": REF, "source": "models:/m-1", "issued": NOW - 10,
                "expires": NOW + 1_000, "policy_fixed": NOW - 20,
                **claims(
                    assessment, run_id=RUN_ID, record=digest(record["assessment.json"]),
                    manifest=digest(record["manifest.json"]),
                ),
                **changes,
            }
        )  # fmt: skip
        held = {APPROVAL: sign(said, assessor), RUN: RUN_ID, **(tags or {})}
        return Bundle(
            version=RegisteredVersion(ref=REF, source="models:/m-1", tags=held, authors=("Bob",)),
            made="2026-05-28T12:00:00+00:00",
            record=record,
            model_files=HASHES,
            model=MODEL,
            attestations=attested(assessment, said, assessor),
            ring=RingFiles(where="ring", keys="\n".join(k.toml() for k in ring.keys).encode()),
        )

    return make


@pytest.fixture
def sent(tmp_path):
    """Writes a bundle's files to a file, as they are or changed on the way; opens it again."""

    def send(bundle, change=lambda _files: None):
        path = tmp_path / f"sent {time.monotonic_ns()}.zip"
        path.write_bytes(bundle.packed())
        files = unpacked(path)
        change(files)
        path.write_bytes(packed(files))
        return opened_bundle(path)

    return send


def texts(found, state):
    return [check.text for check in found.checks if check.state == state]


def test_a_bundle_of_a_signed_approval_verifies(made, sent, ring):
    found = verified_bundle(sent(made()), ring, NOW)

    assert (found.verdict, found.differs, found.exit_code(40)) == ("approved", False, 0)
    assert [(check.about, check.state) for check in found.checks] == [
        (about, "ok") for about in ("statement", "record", "model", "agreement", "attestations")
    ]


def test_the_same_bundle_has_the_same_bytes(made):
    bundle = made()
    backwards = replace(
        bundle,
        record=dict(reversed(bundle.record.items())),
        model_files=dict(reversed(bundle.model_files.items())),
    )

    assert bundle.packed() == backwards.packed()


def test_a_bundle_comes_back_whole(made, sent):
    bundle = made()

    again = sent(bundle)

    assert again == replace(bundle, ring=replace(bundle.ring, where=again.ring.where))
    assert recorded(again) == assessment_of()


def test_an_honest_rejection_verifies_and_is_one(made, sent, ring):
    found = verified_bundle(sent(made(assessment_of(accuracy=0.5))), ring, NOW)

    assert (found.verdict, found.differs, found.exit_code(40)) == ("rejected", False, 10)


@pytest.mark.parametrize(
    ("at", "verdict", "doubt"),
    [
        (NOW, "approved", []),
        (NOW + 999, "approved", []),
        (NOW + 1_000, "undetermined", ["expired at"]),
    ],
)
def test_a_statement_counts_at_the_time_asked_for(made, sent, ring, at, verdict, doubt):
    found = verified_bundle(sent(made()), ring, at)

    assert found.verdict == verdict
    assert len(texts(found, "doubt")) == len(doubt)
    assert all(part in text for part, text in zip(doubt, texts(found, "doubt"), strict=True))


def test_before_it_was_signed_a_statement_is_none(made, sent, ring):
    found = verified_bundle(sent(made()), ring, NOW - 10_000)

    assert found.exit_code(40) == 40


def test_a_revocation_in_the_bundle_rejects(made, sent, ring, approver):
    revoked = Statement(
        kind="revocation", ref=REF, source="models:/m-1", issued=NOW - 5, expires=NOW + 10**8,
        detail="reads eights by their scanner",
    )  # fmt: skip

    bundle = made(tags={APPROVAL: sign(revoked, approver)})
    found = verified_bundle(sent(bundle), ring, NOW)

    assert (found.verdict, found.exit_code(40)) == ("rejected", 10)


def test_a_statement_that_was_replaced_approves_nothing(made, sent, ring):
    token = made().version.tags[APPROVAL]
    bundle = made(tags={replaced_tag(token): "f" * 64})
    assert any(name.startswith(REPLACED) for name in sent(bundle).version.tags)

    found = verified_bundle(sent(bundle), ring, NOW)

    assert (found.verdict, found.exit_code(40)) == ("undetermined", 30)


def test_a_waiver_counts_by_its_own_signature_alone(made, sent, ring, approver):
    # arrange: an accuracy that is too low and is waived
    waived = Statement(
        kind="waiver", ref=REF, source="models:/m-1", issued=NOW - 1_000_000, expires=NOW + 5_000,
        metric="performance.accuracy", bound=0.8, detail="pilot",
    )  # fmt: skip
    token = sign(waived, approver)
    tags = {waiver_tag(token): token}
    about = {"ref": REF, "source": "models:/m-1"}
    counting, _ = waivers_among(tags, ring, NOW, authors=("Bob",), **about)
    passed = assessment_of(accuracy=0.85, waivers=counting)
    # act
    found = verified_bundle(sent(made(passed, tags=tags)), ring, NOW)
    without = verified_bundle(sent(made(passed)), ring, NOW)
    # assert
    assert (found.verdict, texts(found, "differs")) == ("approved", [])
    assert without.verdict == "undetermined"


def test_nothing_counts_that_another_ring_signed(made, sent, approver):
    other = Keyring((approver.public(owner="Ann", role="approver", not_before=START),))

    found = verified_bundle(sent(made()), other, NOW)

    assert found.exit_code(40) == 40
    assert any("is not in the keyring" in text for text in texts(found, "differs"))


def test_a_revoked_key_approves_nothing_and_the_rings_are_said_to_differ(made, sent, ring):
    revoked = Keyring(tuple(replace(key, revoked=START) for key in ring.keys))

    found = verified_bundle(sent(made()), revoked, NOW)

    assert found.exit_code(40) == 40
    assert any("yours was used" in text for text in texts(found, "ok"))


# changed on the way


def edit(name, before, after):
    def change(files):
        assert before in files[name]
        files[name] = files[name].replace(before, after)

    return change


def forge_record(files):
    """A whole, consistent record of a better number, with every digest of its own."""
    for name in [name for name in files if name.startswith("record/")]:
        del files[name]
    with TemporaryDirectory() as scratch:
        better = files_of(assessment_of(accuracy=0.99), Path(scratch) / "forged")
    files.update({f"record/{name}": content for name, content in better.items()})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (forge_record, "the assessment digest that was signed is sha256:"),
        (edit("record/assessment.json", b"0.95", b"0.99"), "changed: assessment.json"),
        (edit("record/report.html", b"<p>", b"<b>"), "changed: report.html"),
        (lambda files: files.pop("record/report.html"), "missing: report.html"),
        (lambda files: files.update({"record/more.txt": b""}), "extra: more.txt"),
        (lambda files: files.pop("record/manifest.json"), "so this is not an assessment"),
        (edit("model/requirements.txt", b"torch", b"evil"), "requirements.txt is not the file"),
        (lambda files: files.update({"model/more": b""}), "more is not the file"),
        (edit("model/files.json", b"a" * 64, b"0" * 64), "the files listed have the digest"),
        (edit("bundle.json", b'"version": "3"', b'"version": "4"'), "its version is"),
        (edit("bundle.json", b"models:/m-1", b"models:/m-2"), "its source is"),
        (edit("bundle.json", RUN_ID.encode(), b"1" * 32), "the run id that was signed"),
        (lambda files: files.update({"attestations.jsonl": b"{}\n"}), "line 1"),
        (lambda files: files.pop("attestations.jsonl"), "that follow from the record are missing"),
        (lambda files: files.update({"ring/keyring.toml": b"keys = 1"}), "ring/keyring.toml"),
    ],
)
def test_whatever_was_changed_on_the_way_is_named(made, sent, ring, change, said):
    found = verified_bundle(sent(made(), change), ring, NOW)

    assert found.differs
    assert (found.exit_code(40), found.verdict) == (40, "undetermined")
    assert any(said in text for text in texts(found, "differs")), texts(found, "differs")
    assert not any(tempfile.gettempdir() in check.text for check in found.checks)


def test_a_verdict_that_does_not_follow_from_its_evidence_is_found(made, sent, ring):
    poor, good = assessment_of(accuracy=0.5), assessment_of()

    found = verified_bundle(sent(made(replace(poor, decision=good.decision))), ring, NOW)

    assert found.exit_code(40) == 40
    assert any("judged again" in text for text in texts(found, "differs"))


def test_without_a_statement_nothing_is_approved(made, sent, ring):
    unsigned = sent(made(), lambda files: files.update({"statements.jsonl": b""}))

    found = verified_bundle(unsigned, ring, NOW)

    assert (found.verdict, found.differs) == ("undetermined", False)
    assert any("carries no signed statement" in text for text in texts(found, "doubt"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.pop("bundle.json"), "holds no bundle.json"),
        (edit("bundle.json", b'"schema": 1', b'"schema": 2'), "schema 2; 1 is accepted"),
        (edit("bundle.json", b'"tags"', b'"tugs"'), "unknown key"),
        (lambda files: files.update({"bundle.json": b"[" * 10_000}), "cannot be read"),
        (lambda files: files.update({"statements.jsonl": b"{}\n"}), "line 1: no signed"),
        (lambda files: files.update({"statements.jsonl": b"\xff"}), "no list of envelopes"),
        (
            lambda files: files.update({"statements.jsonl": files["statements.jsonl"] * 2}),
            "line 2: one statement of a kind",
        ),
        (lambda files: files.update({"model/files.json": b"[]"}), "paths with their sha256"),
        (lambda files: files.update({"run.sh": b"rm"}), "is no part of a bundle"),
    ],
)
def test_what_is_no_bundle_is_refused(made, sent, change, said):
    with pytest.raises(EvidenceError, match=said):
        sent(made(), change)


def test_no_damage_of_a_file_in_a_bundle_approves_or_ends_in_a_traceback(made, sent, ring):
    whole, chance = made(), random.Random(0)  # noqa: S311 - of a test

    def damage(files):
        # Nothing signed says who made a version, and when the bundle was made.
        name = chance.choice(sorted(set(files) - {"ring/keyring.toml", "bundle.json"}))
        content = bytearray(files[name])
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
        files[name] = bytes(content)

    for _ in range(60):
        try:
            found = verified_bundle(sent(whole, damage), ring, NOW)
        except EvidenceError:
            continue
        # Base64 has other spellings of the same bytes.
        assert found.exit_code(40) != 0 or found.assessment == recorded(whole)


# by the command, in a process of its own


BLOCKED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"mlflow", "torch", "matplotlib", "scipy", "pandas"}:
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Absent())
sys.path.insert(0, sys.argv.pop(1))
from governance.cli import main
main()
"""


@pytest.fixture
def verify(ring, tmp_path):
    """Verifies a file as an auditor without MLflow and torch does: code, output, seconds."""
    path = tmp_path / "auditor.toml"
    path.write_text("\n".join(key.toml() for key in ring.keys))

    def run(file, *options):
        began = time.monotonic()
        ended = subprocess.run(
            [
                *(sys.executable, "-I", "-c", BLOCKED, str(Path(__file__).parents[3])),
                *("verify", str(file), "--ring", str(path), *options),
            ],
            cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return ended, time.monotonic() - began

    return run


def test_an_auditor_verifies_offline_without_mlflow_and_torch(made, verify, tmp_path):
    (tmp_path / "digits.zip").write_bytes(made().packed())

    ended, seconds = verify(tmp_path / "digits.zip", "--at", "2026-05-28T20:26:40")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("models:/digits/3: ✓ approved\n")
    # Under 3 s where nothing else runs; a machine that is shared may take its time.
    assert seconds < 30


def test_what_differs_is_listed_and_ends_with_40(made, verify, tmp_path):
    files = unpacked(_kept(tmp_path / "whole.zip", made().packed()))
    edit("record/report.html", b"<p>", b"<b>")(files)
    path = _kept(tmp_path / "changed.zip", packed(files))

    ended, _ = verify(path, "--at", "2026-05-28T20:26:40", "--json")

    assert ended.returncode == 40
    found = json.loads(ended.stdout)
    assert [item["text"] for item in found["checks"] if item["state"] == "differs"] == [
        "record: changed: report.html"
    ]


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("absent.zip", 2, "does not exist"),
        ("junk.zip", 40, "is no bundle"),
    ],
)
def test_what_cannot_be_verified_never_ends_in_a_traceback(verify, tmp_path, file, code, said):
    (tmp_path / "junk.zip").write_bytes(b"junk")

    ended, _ = verify(tmp_path / file)

    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def _kept(path, content):
    path.write_bytes(content)
    return path

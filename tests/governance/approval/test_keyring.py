"""Keyrings: read as they are written, bounded, and of keys that nobody can forge for."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.approval import Keyring, PrivateKey
from governance.approval.printable import unprintable
from governance.errors import ApprovalError

START = datetime(2026, 1, 1, tzinfo=UTC)


@given(owner=st.text(min_size=1, max_size=200).filter(lambda text: text.strip()))
def test_a_ring_is_read_as_it_is_written_unless_letters_of_a_name_are_hidden(assessor, owner):
    key = replace(
        assessor.public(owner=owner, role="approver", not_before=START),
        not_after=START + timedelta(days=2),
        revoked=START + timedelta(days=1),
    )
    if unprintable(owner):
        with pytest.raises(ApprovalError):
            Keyring.read(key.toml().encode(errors="surrogatepass"), "ring")
        return

    (found,) = Keyring.read(key.toml().encode(), "ring").keys
    assert (found.id, found.owner, found.role) == (key.id, owner, "approver")
    assert (found.not_before, found.not_after, found.revoked) == (
        key.not_before, key.not_after, key.revoked,
    )  # fmt: skip


def test_keys_are_added_at_the_end_and_remarks_stay(tmp_path, assessor, approver):
    path = tmp_path / "ring.toml"
    path.write_text("# whom we trust\n")

    Keyring.add(path, assessor.public(owner="worker", role="assessor", not_before=START))
    ring = Keyring.add(path, approver.public(owner="Ann", role="approver", not_before=START))

    assert path.read_text().startswith("# whom we trust\n")
    assert [key.owner for key in ring.keys] == ["worker", "Ann"]
    assert [key.id for key in Keyring.load(path).keys] == [key.id for key in ring.keys]
    assert os.listdir(tmp_path) == ["ring.toml"]  # noqa: PTH208 - names are the point


def test_a_key_has_one_role(assessor, tmp_path):
    path = tmp_path / "ring.toml"
    Keyring.add(path, assessor.public(owner="worker", role="assessor", not_before=START))

    with pytest.raises(ApprovalError, match="stand twice"):
        Keyring.add(path, assessor.public(owner="Ann", role="approver", not_before=START))
    assert len(Keyring.load(path).keys) == 1


def test_all_problems_of_a_ring_are_told_at_once(tmp_path, assessor):
    good = assessor.public(owner="worker", role="assessor", not_before=START).toml()
    bad = '[[keys]]\npublic = "AAAA"\nowner = " "\nrole = "king"\nnot_before = 2026-01-01\nx = 1\n'
    path = tmp_path / "ring.toml"
    path.write_text(good + bad)

    with pytest.raises(ApprovalError) as refused:
        Keyring.load(path)
    text = str(refused.value)
    assert all(f"keys[1].{what}" in text for what in ("public", "owner", "role", "not_before", "x"))
    assert "keys[0]" not in text


@pytest.mark.parametrize(
    "text", ["", "keys = 3", "[[keys]]\n[other]", "keys = [1]", "[", "keys=[]"]
)
def test_what_is_no_ring_is_refused(tmp_path, text):
    path = tmp_path / "ring.toml"
    path.write_text(text)

    with pytest.raises(ApprovalError):
        Keyring.load(path)


def test_a_missing_ring_is_refused(tmp_path):
    with pytest.raises(ApprovalError, match="cannot be read"):
        Keyring.load(tmp_path / "none.toml")


def test_times_of_any_zone_are_the_same_moment(tmp_path, assessor):
    east = START.astimezone(timezone(timedelta(hours=5)))
    path = tmp_path / "ring.toml"
    path.write_text(assessor.public(owner="w", role="assessor", not_before=east).toml())

    assert Keyring.load(path).keys[0].not_before == START


def test_a_ring_of_an_editor_that_marks_utf_8_is_read_and_keeps_its_keys(
    tmp_path, assessor, approver
):
    path = tmp_path / "keys.toml"
    first = assessor.public(owner="ann", role="assessor", not_before=START)
    path.write_text("\ufeff" + first.toml(), encoding="utf-8")

    assert [key.owner for key in Keyring.load(path).keys] == ["ann"]
    second = approver.public(owner="bob", role="approver", not_before=START)
    assert [key.owner for key in Keyring.add(path, second).keys] == ["ann", "bob"]


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_both_kinds_of_keys_stand_in_a_ring(tmp_path, algorithm):
    key = PrivateKey.new(tmp_path / "key.pem", algorithm)
    public = key.public(owner="Ann", role="approver", not_before=START)

    (found,) = Keyring.read(public.toml().encode(), "ring").keys

    assert (found.id, found.owner) == (key.id, "Ann")


@pytest.mark.parametrize(
    "owner", ["ann\u202enna", "a\u200bnn", "a\\u0007nn", "e\u0301ve", "x" * 201]
)
def test_an_owner_whose_name_does_not_show_as_it_is_stands_in_no_ring(assessor, owner):
    text = assessor.public(owner="Ann", role="approver", not_before=START).toml()

    with pytest.raises(ApprovalError, match="owner"):
        Keyring.read(text.replace("Ann", owner).encode(), "ring")


def test_a_ring_names_its_registry_and_its_version(assessor):
    table = assessor.public(owner="Ann", role="approver", not_before=START).toml()

    ring = Keyring.read(f'registry = "production"\nversion = 3\n{table}'.encode(), "ring")

    assert (ring.registry, ring.version) == ("production", 3)
    for head in (
        "registry = 3",
        "registry = 'a\\u202Eb'".replace("'", '"'),
        "version = -1",
        "x = 1",
    ):
        with pytest.raises(ApprovalError):
            Keyring.read(f"{head}\n{table}".encode(), "ring")


def test_a_ring_has_the_limits_of_every_other_file():
    with pytest.raises(ApprovalError, match="ring: not valid TOML: more than 32 lists or tables"):
        Keyring.read(b"keys = " + b"[" * 33 + b"]" * 33, "ring")


def test_a_large_ring_is_refused_before_it_is_parsed(tmp_path):
    (tmp_path / "ring.toml").write_text("#" * 300_000)

    with pytest.raises(ApprovalError, match="at most 262144 are accepted"):
        Keyring.load(tmp_path / "ring.toml")


@pytest.mark.parametrize("text", ["a" + ".a" * 100_000 + " = 1", "a = " + "[" * 40 + "]" * 40])
def test_a_ring_beyond_the_limits_of_toml_is_refused_before_it_is_parsed(text):
    begun = time.process_time()
    with pytest.raises(ApprovalError, match=r"ring\.toml: not valid TOML: .*more than 32"):
        Keyring.read(text.encode(), "ring.toml")
    assert time.process_time() - begun < 5


def test_a_pipe_is_no_ring_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "ring.toml")

    with pytest.raises(ApprovalError, match="no plain file"):
        Keyring.load(tmp_path / "ring.toml")

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from governance.approval import Keyring, PrivateKey
from governance.errors import ApprovalError

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_new_key_is_its_owners_alone(tmp_path):
    key = PrivateKey.new(tmp_path / "key.pem")

    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert (tmp_path / "key.pem").read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert PrivateKey.load(tmp_path / "key.pem").id == key.id


def test_a_key_is_never_overwritten(tmp_path):
    PrivateKey.new(tmp_path / "key.pem")
    before = (tmp_path / "key.pem").read_bytes()

    with pytest.raises(ApprovalError, match="never overwritten"):
        PrivateKey.new(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before


def test_a_key_is_not_written_through_a_link(tmp_path):
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere.pem")

    with pytest.raises(ApprovalError):
        PrivateKey.new(tmp_path / "link.pem")
    assert not (tmp_path / "elsewhere.pem").exists()


@pytest.mark.parametrize(
    ("mode", "taken"), [(0o600, True), (0o400, True), (0o440, True), (0o644, False), (0o660, False)]
)
def test_a_key_that_others_could_take_is_refused(tmp_path, mode, taken):
    PrivateKey.new(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)

    if taken:
        assert PrivateKey.load(tmp_path / "key.pem")
    else:
        with pytest.raises(ApprovalError, match="permissions"):
            PrivateKey.load(tmp_path / "key.pem")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----", b"\x00\xff", b"ssh-rsa"])
def test_what_is_no_key_is_refused(tmp_path, content):
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(ApprovalError, match="no private key"):
        PrivateKey.load(path)


def test_a_key_of_another_kind_is_refused(tmp_path):
    other = generate_private_key(SECP256R1())
    path = tmp_path / "key.pem"
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)

    with pytest.raises(ApprovalError, match="no Ed25519 key"):
        PrivateKey.load(path)


def test_a_missing_key_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(ApprovalError, match="governance keys new"):
        PrivateKey.load(tmp_path / "none.pem")


def test_a_key_does_not_show_itself(assessor):
    assert "secret" not in repr(assessor)


@given(owner=st.text(min_size=1).filter(lambda text: text.strip() and "\x7f" not in text))
def test_a_ring_is_read_as_it_is_written(assessor, owner):
    lone = any(0xD800 <= ord(letter) <= 0xDFFF for letter in owner)
    key = replace(
        assessor.public(owner=owner, role="approver", not_before=START),
        not_after=START + timedelta(days=2),
        revoked=START + timedelta(days=1),
    )
    if lone:
        return
    import tomllib  # noqa: PLC0415 - beside its use

    (found,) = Keyring.from_data(tomllib.loads(key.toml()), "ring").keys
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

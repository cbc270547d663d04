import os
import stat
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from governance.approval import PrivateKey
from governance.approval.public_keys import verifies
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
    other = generate_private_key(SECP384R1())
    path = tmp_path / "key.pem"
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)

    with pytest.raises(ApprovalError, match="no Ed25519 key and no P-256 key"):
        PrivateKey.load(path)


def test_a_missing_key_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(ApprovalError, match="governance keys new"):
        PrivateKey.load(tmp_path / "none.pem")


def test_a_key_does_not_show_itself(assessor):
    assert "secret" not in repr(assessor)


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_what_a_key_signs_its_public_half_verifies(tmp_path, algorithm):
    made = PrivateKey.new(tmp_path / "key.pem", algorithm)
    key = PrivateKey.load(tmp_path / "key.pem")
    public = key.public(owner="Ann", role="approver", not_before=START).public

    assert made.id == key.id
    assert verifies(public, key.sign(b"said"), b"said")
    assert not verifies(public, key.sign(b"said"), b"other")
    assert os.listdir(tmp_path) == ["key.pem"]  # noqa: PTH208 - nothing is left beside it


def test_a_key_behind_a_link_is_refused(tmp_path):
    PrivateKey.new(tmp_path / "key.pem")
    (tmp_path / "link.pem").symlink_to(tmp_path / "key.pem")

    with pytest.raises(ApprovalError, match="is a link"):
        PrivateKey.load(tmp_path / "link.pem")


def test_a_pipe_and_a_folder_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.pem", 0o600)
    (tmp_path / "folder.pem").mkdir(0o700)

    for name in ("pipe.pem", "folder.pem"):
        with pytest.raises(ApprovalError, match=r"no plain file"):
            PrivateKey.load(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_of_another_user_is_refused(tmp_path):
    PrivateKey.new(tmp_path / "key.pem")
    os.chown(tmp_path / "key.pem", 12_345, -1)

    with pytest.raises(ApprovalError, match="belongs to user 12345"):
        PrivateKey.load(tmp_path / "key.pem")


def test_a_large_file_is_no_key(tmp_path):
    (tmp_path / "key.pem").write_bytes(b"-" * 20_000)
    (tmp_path / "key.pem").chmod(0o600)

    with pytest.raises(ApprovalError, match="16384 are accepted"):
        PrivateKey.load(tmp_path / "key.pem")

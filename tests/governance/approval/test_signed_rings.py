"""Signed rings: the ring counts that the root keys signed, in a version that only rises."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from governance.approval import Keyring, PrivateKey, load_ring
from governance.approval.signed_rings import check_not_older, sign_ring
from governance.errors import ApprovalError

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def place(tmp_path, assessor):
    """A folder with two root keys, one of which is needed, and a ring that nobody has signed."""
    for name in ("one", "two"):
        key = PrivateKey.new(tmp_path / f"{name}.pem").public(
            owner=name, role="root", not_before=START
        )
        Keyring.add(tmp_path / "root.toml", key, head='ring = "ring.json"\n')
    worker = assessor.public(owner="worker", role="assessor", not_before=START)
    Keyring.add(tmp_path / "ring.toml", worker, head='registry = "production"\n')
    return tmp_path


@pytest.fixture
def signs(place):
    """Signs the ring with the key of that name."""
    return lambda name="one": sign_ring(
        place / "ring.toml", PrivateKey.load(place / f"{name}.pem"), place / "ring.json"
    )


def test_a_signed_ring_is_read_through_the_file_of_root_keys(place, signs):
    signs()

    ring = load_ring(place / "root.toml")

    assert (ring.signed, ring.version, ring.registry) == (True, 1, "production")
    assert [key.owner for key in ring.keys] == ["worker"]
    assert not load_ring(place / "ring.toml").signed


def test_a_ring_that_changed_gets_the_next_version_and_one_that_did_not_another_signature(
    place, signs, approver
):
    assert [signs().version, signs("two").version] == [1, 1]
    assert len(json.loads((place / "ring.json").read_text())["signatures"]) == 2
    Keyring.add(
        place / "ring.toml", approver.public(owner="Ann", role="approver", not_before=START)
    )

    assert signs().version == 2
    assert len(load_ring(place / "root.toml").keys) == 2
    assert Keyring.load(place / "ring.toml").version == 2
    assert len(json.loads((place / "ring.json").read_text())["signatures"]) == 1


def test_as_many_owners_as_are_needed_have_to_sign(place, signs):
    root = place / "root.toml"
    root.write_text("threshold = 2\n" + root.read_text())
    signs()

    with pytest.raises(ApprovalError, match="signed by 1 owners of root keys; 2 are needed"):
        load_ring(root)
    signs("two")
    assert load_ring(root).signed


def test_two_keys_of_one_owner_are_one_owner(place, signs):
    root = place / "root.toml"
    root.write_text("threshold = 2\n" + root.read_text().replace('"two"', '"One"'))
    signs()
    signs("two")

    with pytest.raises(ApprovalError, match="signed by 1 owners"):
        load_ring(root)


def test_a_ring_that_no_root_key_signed_does_not_count(place, signs):
    signs()
    PrivateKey.new(place / "thief.pem")
    (place / "ring.json").unlink()
    signs("thief")

    with pytest.raises(ApprovalError, match="not in the keyring"):
        load_ring(place / "root.toml")


def test_a_ring_that_was_changed_after_it_was_signed_does_not_count(place, signs):
    signs()
    data = json.loads((place / "ring.json").read_text())
    for change in ({"payload": data["payload"][:-8] + "AAAAAAA="}, {"payloadType": "text/plain"}):
        (place / "ring.json").write_text(json.dumps({**data, **change}))
        with pytest.raises(ApprovalError, match=r"the keyring ring\.json"):
            load_ring(place / "root.toml")


def test_a_statement_is_no_ring(place, verdict):
    from governance.approval import sign  # noqa: PLC0415 - of another kind of payload

    (place / "ring.json").write_text(sign(verdict(), PrivateKey.load(place / "one.pem")))

    with pytest.raises(ApprovalError, match="payloadType"):
        load_ring(place / "root.toml")


def test_a_revoked_root_key_signs_nothing(place, signs):
    signs()
    root = place / "root.toml"
    ended = [replace(key, revoked=START) for key in Keyring.load(root).keys]
    root.write_text('ring = "ring.json"\n' + "\n".join(key.toml() for key in ended))

    with pytest.raises(ApprovalError, match="was revoked"):
        load_ring(root)


def test_without_the_signed_ring_nothing_counts(place):
    with pytest.raises(ApprovalError, match=r"ring\.json: cannot be read"):
        load_ring(place / "root.toml")


def test_roots_and_others_stand_in_files_of_their_own(place, assessor):
    worker = assessor.public(owner="worker", role="assessor", not_before=START)

    with pytest.raises(ApprovalError, match="all are of the role root"):
        Keyring.add(place / "root.toml", worker)


def test_an_older_ring_is_refused_and_another_one_of_the_same_version(place, signs):
    signs()
    ring = load_ring(place / "root.toml")

    check_not_older(ring, 1, ring.digest)
    check_not_older(replace(ring, version=2), 1, "another")
    for version, digest in ((1, "another"), (2, ring.digest), (2, "another")):
        with pytest.raises(ApprovalError, match="a later one is accepted"):
            check_not_older(ring, version, digest)

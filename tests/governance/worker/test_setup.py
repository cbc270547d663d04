"""A worker's files are checked before it touches the registry."""

import pytest

from governance.approval import Keyring, PrivateKey
from governance.approval.signed_rings import sign_ring
from governance.errors import ApprovalError, HostError, PolicyError
from governance.worker.setup import prepare


def prepared(office, **changes):
    given = {
        "file": office.folder / "worker.toml",
        "signing_key": office.folder / "assessor.pem",
        "keys": office.folder / "keyring.toml",
        "ledger": f"sqlite:///{office.folder}/ledger.db",
        **changes,
    }
    return prepare(**given)


@pytest.mark.worker
def test_a_worker_is_ready_with_its_key_in_the_ring(office, store):
    resources = prepared(office)

    assert resources.key.id == office.assessor.id
    assert {key.owner for key in resources.ring.keys} == {"worker", "ann"}
    assert [key.owner for key in prepared(office, keys=None).ring.keys] == ["this worker"]


@pytest.mark.worker
def test_a_key_that_does_not_count_is_refused(office, store, tmp_path):
    other = tmp_path / "other.toml"
    start = office.ring.keys[0].not_before
    other.write_text(office.approver.public(owner="ann", role="approver", not_before=start).toml())

    with pytest.raises(ApprovalError, match="not in the ring"):
        prepared(office, keys=other)
    with pytest.raises(ApprovalError, match="one of the role assessor is accepted"):
        prepared(office, signing_key=office.folder / "ann.pem")


@pytest.mark.worker
def test_a_worker_takes_no_older_ring_than_one_that_a_worker_had(office, store):
    folder = office.folder
    root, ring, signed = (folder / name for name in ("root.toml", "keyring.toml", "ring.json"))
    key = PrivateKey.new(folder / "root.pem")
    start = office.ring.keys[0].not_before
    public = key.public(owner="security", role="root", not_before=start)
    Keyring.add(root, public, head='ring = "ring.json"\n')
    sign_ring(ring, key, signed)
    first = signed.read_bytes()
    ring.write_text(f"# another remark\n{ring.read_text()}")
    sign_ring(ring, key, signed)

    assert [prepared(office, keys=root).ring.version for _ in range(2)] == [2, 2]
    signed.write_bytes(first)
    with pytest.raises(ApprovalError, match="version 1, and version 2 was in use before"):
        prepared(office, keys=root)


@pytest.mark.worker
def test_a_machine_that_cannot_do_the_work_is_refused_at_the_start(office, store):
    office.terms('user = "nobody at all"')

    with pytest.raises(HostError, match="user = 'nobody at all'"):
        prepared(office)


def test_a_policy_that_is_wrong_is_refused_at_the_start(office, store):
    (office.folder / "policy.toml").write_text('title = "x"\ncolour = "red"\n')

    with pytest.raises(PolicyError, match="colour"):
        prepared(office)

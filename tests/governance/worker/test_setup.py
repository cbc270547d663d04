"""A worker's files are checked before it touches the registry."""

import ctypes

import pytest
from signers import serving
from walls import forbid_namespaces, namespaces_work

from governance.approval import Keyring, PrivateKey
from governance.approval.signed_rings import sign_ring
from governance.errors import ApprovalError, HostError, PolicyError, SubjectError
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
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
    assert {key.owner for key in resources.ring.keys} == {"worker", "ann"}
    assert [key.owner for key in prepared(office, keys=None).ring.keys] == ["this worker"]


@pytest.mark.worker
def test_a_key_that_does_not_count_is_refused(office, store, tmp_path):
    other = tmp_path / "other.toml"
    start = office.ring.keys[0].not_before
    other.write_text(office.approver.public(owner="ann", role="approver", not_before=start).toml())

    with pytest.raises(ApprovalError, match="not in the keyring"):
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
def test_the_key_is_in_a_file_or_with_a_signer(office, store, tmp_path):
    with serving(office.assessor, tmp_path / "signer.sock", registry=""):
        resources = prepared(office, signing_key=None, signer=tmp_path / "signer.sock")
        assert resources.key.id == office.assessor.id
        with pytest.raises(SubjectError, match="one of them is needed"):
            prepared(office, signer=tmp_path / "signer.sock")
    with pytest.raises(SubjectError, match="one of them is needed"):
        prepared(office, signing_key=None)
    with pytest.raises(ApprovalError, match="no signer answers"):
        prepared(office, signing_key=None, signer=tmp_path / "signer.sock")


@pytest.mark.worker
def test_a_machine_that_cannot_do_the_work_is_refused_at_the_start(office, store):
    office.terms("memory_gib = 1e20")

    with pytest.raises(HostError, match="memory_gib"):
        prepared(office)


@pytest.mark.worker
def test_a_worker_says_at_its_start_what_is_not_confined(office, store, tmp_path, monkeypatch):
    forbid_namespaces(tmp_path, monkeypatch)
    said = []
    monkeypatch.setattr(
        "governance.worker.setup.log", lambda event, **about: said.append((event, about))
    )

    prepared(office)

    assert [event for event, _ in said] == ["not confined", "not confined"]
    assert [about["what"].partition(":")[0] for _, about in said] == ["files", "processes"]


@pytest.mark.worker
def test_a_worker_whose_policy_allows_pickles_does_not_start_without_confinement(
    office, store, tmp_path, monkeypatch
):
    office.allow_pickles()
    if namespaces_work():
        prepared(office)
    forbid_namespaces(tmp_path, monkeypatch)

    with pytest.raises(HostError, match="allow_pickle: loading a pickle runs any code") as caught:
        prepared(office)

    assert [problem.partition(":")[0] for problem in caught.value.problems[1:]] == [
        "files", "processes",
    ]  # fmt: skip


@pytest.mark.worker
def test_a_key_that_every_assessment_could_read_is_refused(office, store, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(office.folder))

    with pytest.raises(HostError, match=r"assessor\.pem: lies in .*, which every assessment can"):
        prepared(office)


def test_a_policy_that_is_wrong_is_refused_at_the_start(office, store):
    (office.folder / "policy.toml").write_text('title = "x"\ncolour = "red"\n')

    with pytest.raises(PolicyError, match="colour"):
        prepared(office)

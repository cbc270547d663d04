"""What is signed about a version: on a plain registry, and on one that takes nothing else."""

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from governance.approval import Keyring, PrivateKey, decode, read, sign
from governance.approval.attestations import disagreeing
from governance.approval.tags import APPROVAL, replaced_tag
from governance.errors import ApprovalError, RegistryError
from governance.registry import (
    fetch,
    marked_running,
    mismatches,
    record,
    resolve,
    revoke,
    waive,
    waivers,
)
from governance.registry.opening import open_subject
from governance.registry.recording import ATTESTATIONS
from governance.registry.signing import (
    authors,
    countersign_approval,
    in_progress,
    not_assessable,
    put_statement,
    resumed,
    verdict_of,
)

DAY = 24 * 3600


@dataclasses.dataclass(frozen=True)
class Keys:
    """An assessor's, an approver's, and the ring that knows both."""

    assessor: PrivateKey
    approver: PrivateKey
    ring: Keyring


@pytest.fixture
def keys(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    assessor, approver = (PrivateKey.new(folder / name) for name in ("a.pem", "b.pem"))
    for key, owner, role in ((assessor, "worker", "assessor"), (approver, "ann", "approver")):
        public = key.public(owner=owner, role=role, not_before=start)
        ring = Keyring.add(folder / "keyring.toml", public)
    return Keys(assessor, approver, ring)


@pytest.fixture(params=["plain", "governed"])
def registry(request, mlflow_store, keys, monkeypatch):
    """The kind of registry that MLflow's calls go to."""
    if request.param == "governed":
        (mlflow_store / "governance.toml").write_text('keyring = "keys/keyring.toml"\n')
        uri = f"governed+sqlite:///{mlflow_store}/mlflow.db"
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", uri)
    return request.param


@pytest.fixture
def version(registry, saved_model):
    client = MlflowClient()
    client.create_registered_model("stripes")
    client.create_model_version("stripes", str(saved_model))
    return resolve("models:/stripes/1")


@pytest.fixture
def assessed(version, policy, make_assessment, tmp_path):
    """Makes an assessment of the version, of that accuracy, judged with those waivers."""

    def make(**options):
        subject = open_subject(version, policy, workspace=tmp_path / "workspace")
        return make_assessment(subject.identity, **options)

    return make


def recorded(version, assessment, folder, key):
    """Record it as an assessment does, while the version is `running`."""
    with marked_running(version, key=key):
        return record(version, assessment, folder, key=key)


def tags():
    return MlflowClient().get_model_version("stripes", "1").tags


@pytest.mark.slow
def test_a_verdict_is_signed_and_says_all_the_tags(version, keys, assessed):
    assessment, folder = assessed()

    run_id = recorded(version, assessment, folder, keys.assessor)

    said = read(tags()[APPROVAL], keys.ring, time.time()).statement
    assert (said.verdict, said.run_id) == ("approved", run_id)
    assert said.assessment_digest == tags()["governance.digest"] == assessment.digest
    assert said.manifest == tags()["governance.manifest"]
    assert said.artifact_digest == assessment.identity.artifact_digest
    assert said.model_digest == assessment.identity.digest
    assert tags()["governance.status"] == "approved"
    assert said.expires - said.issued == 365 * DAY


@pytest.mark.slow
def test_the_evidence_is_signed_too_and_follows_from_the_record(version, keys, assessed, tmp_path):
    assessment, folder = assessed()
    run_id = recorded(version, assessment, folder, keys.assessor)

    place = MlflowClient().download_artifacts(run_id, ATTESTATIONS, str(tmp_path))

    said = read(tags()[APPROVAL], keys.ring, time.time()).statement
    lines = Path(place).read_text()
    assert list(disagreeing(lines, assessment, said, keys.ring)) == []
    assert len(lines.splitlines()) == 2 * len(assessment.evidence) + 1


@pytest.mark.slow
def test_the_policy_is_fixed_and_signed_before_anything_is_measured(
    version, keys, assessed, policy
):
    assessment, folder = assessed()
    with marked_running(version, key=keys.assessor, policy=policy) as fixed:
        running = read(tags()[APPROVAL], keys.ring, time.time()).statement
        record(version, assessment, folder, key=keys.assessor, policy_fixed=fixed)

    said = read(tags()[APPROVAL], keys.ring, time.time()).statement
    assert (running.verdict, running.policy_digest) == ("running", policy.digest)
    assert said.policy_fixed == running.policy_fixed == fixed <= said.issued
    assert said.policy_digest == policy.digest


@pytest.mark.slow
def test_what_was_recorded_is_verified(version, keys, assessed, tmp_path):
    assessment, folder = assessed()
    recorded(version, assessment, folder, keys.assessor)

    assert mismatches(version, fetch(version, tmp_path / "fetched")) == ()


@pytest.mark.parametrize("registry", ["governed"], indirect=True)
def test_a_governed_registry_takes_no_verdict_without_a_key(version, assessed):
    assessment, folder = assessed()

    with pytest.raises(RegistryError, match="the status is pending"):
        record(version, assessment, folder)
    with pytest.raises(RegistryError, match="--signing-key"), marked_running(version):
        pytest.fail("was let in")
    assert tags() == {"governance.status": "pending"}


def test_while_assessed_a_version_is_running_and_then_what_it_was(version, keys):
    with marked_running(version, key=keys.assessor):
        assert tags()["governance.status"] == "running"

    assert tags()["governance.status"] == "pending"


@pytest.mark.slow
def test_a_verdict_is_put_back_signed_anew(version, keys, assessed):
    recorded(version, *assessed(), keys.assessor)
    before = decode(tags()[APPROVAL])

    with pytest.raises(KeyboardInterrupt), marked_running(version, key=keys.assessor):  # noqa: PT012
        assert tags()["governance.status"] == "running"
        raise KeyboardInterrupt

    after = read(tags()[APPROVAL], keys.ring, time.time()).statement
    assert after.issued >= before.issued
    assert dataclasses.replace(after, issued=before.issued, replaces=before.replaces) == before
    assert tags()["governance.status"] == "approved"


class Interrupted:
    """A key that something else comes before, just as it is asked to sign."""

    def __init__(self, key, happens):
        self.key, self.happens = key, happens

    def __getattr__(self, name):
        return getattr(self.key, name)

    def on(self, _grounds):
        self.happens()
        return self


@pytest.mark.parametrize("registry", ["governed"], indirect=True)
def test_a_verdict_that_comes_in_while_the_status_is_put_back_is_not_undone(version, keys):
    def happens():
        put_statement(version, not_assessable(version, "broken", time.time()), keys.assessor)

    with (
        pytest.raises(RegistryError, match="replaces another statement"),
        marked_running(version, key=Interrupted(keys.assessor, happens)),
    ):
        pass

    assert tags()["governance.status"] == "undetermined"


def test_somebody_else_countersigns_once_the_key_of_another_one_was_revoked(
    version, keys, assessed
):
    approved = verdict_of(
        version, assessed()[0], run_id="0" * 32, record="sha256:" + "1" * 64,
        manifest="sha256:" + "2" * 64, now=time.time(),
    )  # fmt: skip
    put_statement(version, approved, keys.assessor)
    assert countersign_approval(version, keys.approver, keys.ring) == ("ann", "worker")

    file = keys_folder(version) / "keyring.toml"
    file.write_text(f"{file.read_text()}revoked = {datetime.now(UTC).isoformat()}\n")
    bob = PrivateKey.new(keys_folder(version) / "bob.pem")
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    ring = Keyring.add(file, bob.public(owner="bob", role="approver", not_before=start))

    assert countersign_approval(version, bob, ring) == ("bob", "worker")
    signers = read(tags()[APPROVAL], ring, time.time()).signers
    assert {key.owner for key in signers} == {"bob", "worker"}


def test_what_someone_else_put_there_is_not_signed(version, keys, assessed):
    thief = PrivateKey.new(keys_folder(version) / "thief.pem")
    assessment, _ = assessed()
    forged = verdict_of(
        version, assessment, run_id="0" * 32, record="sha256:" + "1" * 64,
        manifest="sha256:" + "2" * 64, now=time.time(),
    )  # fmt: skip

    for found in ({APPROVAL: sign(forged, thief)}, {APPROVAL: "nonsense"}, {}):
        assert resumed(version, found, keys.assessor, time.time()).verdict == "pending"
    elsewhere = dataclasses.replace(forged, ref=dataclasses.replace(forged.ref, version="9"))
    token = sign(elsewhere, keys.assessor)
    assert resumed(version, {APPROVAL: token}, keys.assessor, time.time()).verdict == "pending"
    token = sign(forged, keys.assessor)
    found = {APPROVAL: token, replaced_tag(token): "renamed"}
    assert resumed(version, found, keys.assessor, time.time()).verdict == "pending"


def keys_folder(_version):
    return Path.cwd() / "keys"


def test_what_could_not_be_assessed_is_signed_with_the_error(version, keys):
    put_statement(
        version, not_assessable(version, "out of memory\n" * 999, time.time()), keys.assessor
    )

    said = read(tags()[APPROVAL], keys.ring, time.time()).statement
    assert said.verdict == "undetermined"
    assert said.detail.startswith("out of memory")
    assert said.run_id is None


def test_a_status_is_no_verdict(version):
    with pytest.raises(RegistryError, match="needs a record"):
        in_progress(version, "approved", time.time())


def test_a_waiver_is_kept_and_counts(version, keys):
    until = int(time.time()) + 30 * DAY

    tag = waive(
        version, metric="performance.accuracy", bound=0.3, reason="pilot", until=until,
        key=keys.approver, ring=keys.ring,
    )  # fmt: skip

    assert tag in tags()
    (found,), problems = waivers(version, keys.ring)
    assert (found.metric, found.bound, found.approver, found.expires, problems) == (
        "performance.accuracy", 0.3, "ann", until, (),
    )  # fmt: skip


@pytest.mark.slow
def test_an_approval_ends_with_its_waiver(version, keys, assessed, policy):
    from governance.records.decision import judge  # noqa: PLC0415 - beside its use

    until = int(time.time()) + 30 * DAY
    waive(
        version, metric="performance.accuracy", bound=0.3, reason="pilot", until=until,
        key=keys.approver, ring=keys.ring,
    )  # fmt: skip
    counting, _ = waivers(version, keys.ring)
    plain, _ = assessed(accuracy=0.4)
    assert plain.decision.verdict == "rejected"
    waived = dataclasses.replace(
        plain,
        waivers=counting,
        decision=judge(policy, plain.evidence, counting),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    folder = keys_folder(version).parent / "waived"
    waived.save(folder)

    recorded(version, waived, folder, keys.assessor)

    said = read(tags()[APPROVAL], keys.ring, time.time()).statement
    assert (said.verdict, said.expires) == ("approved", until)
    assert said.waivers == (counting[0].token,)
    assert mismatches(version, fetch(version, folder.parent / "fetched")) == ()


@pytest.mark.parametrize("registry", ["plain"], indirect=True)
def test_a_record_that_rests_on_a_waiver_of_another_time_does_not_stand(version, keys, assessed):
    from governance.records.waiver import Waiver  # noqa: PLC0415 - beside its use

    late = Waiver(
        metric="performance.accuracy", bound=0.3, reason="pilot", approver="ann",
        issued=int(time.time()), expires=int(time.time()) + DAY, token="0" * 64,
    )  # fmt: skip
    plain, _ = assessed()  # made, it says, in January
    folder = keys_folder(version).parent / "dated"
    dated = dataclasses.replace(plain, waivers=(late,))
    dated.save(folder)
    record(version, dated, folder)

    (problem,) = mismatches(version, folder)
    assert "did not hold then" in problem


def test_nobody_waives_what_they_trained(registry, keys, saved_model):
    client = MlflowClient()
    with mlflow.start_run() as run:
        mlflow.set_tag("mlflow.user", "Ann")
    client.create_registered_model("stripes")
    client.create_model_version("stripes", str(saved_model), run_id=run.info.run_id)
    version = resolve("models:/stripes/1")

    assert "Ann" in authors(version)
    with pytest.raises(ApprovalError, match="given by someone else"):
        waive(
            version, metric="performance.accuracy", bound=0.3, reason="pilot",
            until=int(time.time()) + DAY, key=keys.approver, ring=keys.ring,
        )  # fmt: skip


@pytest.mark.slow
def test_a_revoked_version_is_rejected(version, keys, assessed):
    recorded(version, *assessed(), keys.assessor)

    revoke(version, "trained on leaked images", keys.approver)

    assert tags()["governance.status"] == "rejected"
    assert (
        read(tags()[APPROVAL], keys.ring, time.time() + 10 * 365 * DAY).statement.kind
        == "revocation"
    )


@pytest.mark.slow
@pytest.mark.parametrize("registry", ["governed"], indirect=True)
def test_an_assessor_revokes_nothing_on_a_governed_registry(version, keys):
    with pytest.raises(RegistryError, match="of the role"):
        revoke(version, "because", keys.assessor)

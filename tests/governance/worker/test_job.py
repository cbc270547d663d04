"""One version from its lease to a signed record; a confined process runs in test_loop.py."""

import hashlib
import json
import time
from dataclasses import replace
from uuid import uuid4

import pytest
import torch
from signers import serving
from walls import forbid_namespaces

from governance import registry
from governance.approval import decode
from governance.approval.tags import APPROVAL
from governance.errors import RegistryError, SubjectError
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.policy import Expectation, Policy
from governance.records.serialisation import canonical
from governance.registry import listing
from governance.registry.recording import experiment
from governance.registry.signing import revoke, waive
from governance.registry.status import leave_undetermined
from governance.registry.versions import pinned
from governance.worker import sweep
from governance.worker.config import PolicyRule, WorkerConfig
from governance.worker.counts import Counts
from governance.worker.job import Resources, work
from governance.worker.job_database import JobDatabase
from governance.worker.loop import Loop
from governance.worker.request import Request
from governance.worker.sandbox import ProcessResult
from governance.workflows import printing
from governance.workflows.assessing import measure

ACCURATE = Expectation(metric="performance.accuracy", at_least=0.5)


@pytest.fixture
def resources(store, office):
    rule = PolicyRule(models="stripes", policy=office.folder / "policy.toml")
    jobs = JobDatabase(f"sqlite:///{office.folder}/ledger.db", "site")
    yield Resources(
        jobs=jobs,
        config=WorkerConfig(rules=(rule,)),
        key=office.assessor,
        ring=office.ring,
    )
    jobs.close()


def leased(resources, uri, *, failed=0):
    """A lease on a version that failed so often before."""
    version = registry.resolve(uri)
    entry = listing.listed(version.ref.name, version.ref.version)
    assert resources.jobs.offer(entry.version.ref, "pending")
    for _ in range(failed):
        resources.jobs.fail(resources.jobs.claim("me", 60), "it crashed")
    return resources.jobs.claim("me", 60)


def statement(lease):
    tags = listing.listed(lease.key.name, lease.key.version).tags
    return decode(tags["governance.approval"]), tags


def test_a_version_that_is_gone_is_done_without_a_verdict(resources, new_version):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    uri = new_version()
    lease = leased(resources, uri)
    MlflowClient().delete_model_version("stripes", uri.rpartition("/")[2])

    outcome = work(lease, resources)

    assert (outcome.state, outcome.verdict, outcome.why) == ("done", None, "the version is gone")
    assert resources.jobs.find(lease.key).state == "done"


def test_a_recreated_version_is_another_one(resources, new_version):
    lease = leased(resources, new_version())
    other = replace(lease, key=replace(lease.key, created=1))
    resources.jobs.offer(other.key, "pending")
    other = resources.jobs.claim("me", 60)

    assert work(other, resources).why == "the version is gone"


def test_after_the_last_attempt_the_version_is_undetermined_with_the_error(
    resources, office, new_version, tmp_path
):
    lease = leased(resources, new_version(), failed=3)

    outcome = work(lease, resources)

    said, tags = statement(lease)
    assert (outcome.state, outcome.verdict) == ("done", "undetermined")
    assert said.detail == "3 attempts failed; the last one: it crashed"
    assert tags["governance.status"] == said.verdict == "undetermined"
    assert resources.jobs.find(lease.key).verdict == "undetermined"
    answer = registry.ask(str(lease.key), tmp_path, keys=office.folder / "keyring.toml")
    assert answer.verdict == "undetermined"
    assert "could not be assessed: 3 attempts failed" in answer.reasons[0]
    assert "could not be assessed" in registry.ask(str(lease.key), tmp_path).reasons[0]
    found = listing.listed("stripes", lease.key.version)
    assert sweep.need(found, resources.ring, time.time(), resources.config) is None


@pytest.mark.worker
def test_where_even_undetermined_is_refused_it_is_tried_again_later(
    resources, new_version, monkeypatch
):
    def refuse(*_anything):
        raise RegistryError("403")

    monkeypatch.setattr("governance.worker.job.leave_undetermined", refuse)
    lease = leased(resources, new_version(), failed=3)

    outcome = work(lease, resources)

    assert (outcome.state, resources.jobs.find(lease.key).attempts) == ("again", 4)
    assert resources.jobs.claim("me", 60) is None  # else it would do nothing but that


def test_what_was_revoked_meanwhile_is_left_alone(resources, office, new_version, monkeypatch):
    uri = new_version()
    lease = leased(resources, uri)

    def revoked_while_it_fails(*_anything):
        revoke(registry.resolve(uri), "leaked", office.approver)
        raise SubjectError("no model")

    monkeypatch.setattr("governance.worker.measuring.gather", revoked_while_it_fails)

    assert work(lease, resources).state == "back"
    assert statement(lease)[0].kind == "revocation"
    assert work(resources.jobs.claim("me", 60), resources).why == "it was done before"


@pytest.mark.worker
def test_what_cannot_be_looked_up_is_undetermined_after_its_attempts(
    resources, new_version, monkeypatch
):
    def refuse(_version):
        raise RegistryError("its model cannot be looked up: 500")

    monkeypatch.setattr("governance.worker.job.with_model_id", refuse)
    resources = replace(resources, config=replace(resources.config, retry_seconds=0.001))
    lease = leased(resources, new_version())

    outcomes = [work(lease, resources)]
    while outcomes[-1].state == "again":
        outcomes.append(work(claimed(resources), resources))

    assert [item.state for item in outcomes] == ["again", "again", "again", "done"]
    assert {item.cause for item in outcomes[:3]} == {"registry"}
    said, _ = statement(lease)
    assert (said.verdict, said.detail) == (
        "undetermined", "3 attempts failed; the last one: its model cannot be looked up: 500",
    )  # fmt: skip


@pytest.fixture
def register():
    """Registers a version of a model of its own, which leaves the shared registry with the test."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    client, names = MlflowClient(), []

    def register(name, source):
        client.create_registered_model(name)
        names.append(name)
        return pinned(client.create_model_version(name, source))

    yield register
    for name in names:
        client.delete_registered_model(name)


def measured_here(request, folder, _config, *, interrupted, ask):
    """As a confined process does it with the request in its folder, in the process of a test."""
    assert not interrupted()
    assert ask is None
    request.save(folder)
    there = Request.load(folder)
    found = measure(there.materials, there.policy, device=there.device, lineage=there.lineage)
    found.save(folder / "assessment")
    return ProcessResult(kind="assessed")


@pytest.mark.worker
def test_a_damaged_record_fails_its_version_and_not_the_worker(
    resources, recorded, new_version, register, tmp_path, monkeypatch
):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    # The worker itself reads the record. A wall and printed reports would take half a minute more.
    monkeypatch.setattr("governance.worker.sandbox.run", measured_here)
    monkeypatch.setattr("governance.workflows.assessing.print_reports", lambda *_: {})
    # arrange: a version to be compared with one whose record has no time, between two others
    client, before = MlflowClient(), registry.resolve(recorded(ACCURATE))
    spoil(before, registry.fetch(before, tmp_path / "record"))
    client.set_registered_model_alias("stripes", "champion", before.ref.version)
    versions = []
    try:
        source = client.get_model_version("stripes", before.ref.version).source
        for make in (
            lambda: register(f"other {uuid4().hex}", source),
            lambda: registry.resolve(new_version()),
            lambda: register(f"other {uuid4().hex}", source),
        ):
            versions.append(make())
            assert resources.jobs.offer(versions[-1].ref, "pending")
        resources = replace(resources, config=replace(resources.config, retry_seconds=0.001))

        # act
        counts = Counts()
        loop = Loop(resources, poll=1, counts=counts)
        until, outcomes = time.monotonic() + 300, []
        while any(resources.jobs.find(item.ref).state != "done" for item in versions):
            outcomes += loop._work_off()
            assert time.monotonic() < until
    finally:
        client.delete_registered_model_alias("stripes", "champion")

    # assert
    verdicts = [resources.jobs.find(item.ref).verdict for item in versions]
    assert verdicts == ["undetermined", "approved", "undetermined"]
    texts = [decode(listing.listed(item.ref.name, item.ref.version).tags[APPROVAL]).detail
             for item in versions]  # fmt: skip
    assert "no policy applies" in texts[0]
    assert "no policy applies" in texts[2]
    assert counts.value("governance_assessment_seconds_count") == 3
    assert counts.value("governance_oldest_job_seconds") == 0


class BrokenSite:
    """A portfolio that cannot be made; counts how often it was asked for."""

    folder, asked = "site", 0

    def renew(self):
        self.asked += 1
        return "the disk is full"


def test_a_portfolio_is_made_after_each_verdict_and_its_failure_ends_nothing(
    resources, register, saved_model, caplog
):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    # arrange: two versions without a policy, and one that is gone
    site, client = BrokenSite(), MlflowClient()
    first, gone, last = (register(f"other {uuid4().hex}", str(saved_model)) for _ in range(3))
    for version in (first, gone, last):
        assert resources.jobs.offer(version.ref, "pending")
    client.delete_model_version(gone.ref.name, gone.ref.version)
    caplog.set_level("INFO", logger="governance.worker")
    # act
    loop = Loop(replace(resources, site=site), poll=1, counts=Counts())
    outcomes = tuple(loop._work_off())
    # assert
    assert sorted(item.verdict or "" for item in outcomes) == ["", "undetermined", "undetermined"]
    assert site.asked == 2
    told = [json.loads(line) for line in caplog.messages]
    failures = [item for item in told if item["event"] == "portfolio not made"]
    assert [item["error"] for item in failures] == ["the disk is full"] * 2
    for version in (first, last):
        assert resources.jobs.find(version.ref).state == "done"


def spoil(version, folder):
    """Write into the record of a version that it was made at no time at all, digests included."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    record = folder / "assessment.json"
    data = json.loads(record.read_bytes())
    record.write_bytes(canonical({**data, "created": "AAAA"}))
    manifest = folder / "manifest.json"
    files = json.loads(manifest.read_bytes())
    files["files"]["assessment.json"] = hashlib.sha256(record.read_bytes()).hexdigest()
    manifest.write_bytes(canonical(files))
    client = MlflowClient()
    tags = listing.listed(version.ref.name, version.ref.version).tags
    client.log_artifacts(tags["governance.run_id"], str(folder), "governance")
    for tag, path in (("digest", record), ("manifest", manifest)):
        digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        assert f"governance.{tag}" in tags
        client.set_model_version_tag(
            version.ref.name, version.ref.version, f"governance.{tag}", digest
        )


@pytest.mark.worker
def test_a_failure_nobody_thought_of_is_told_without_its_text(resources, new_version, monkeypatch):
    def stumble(_version):
        raise ValueError("the content of some file")

    monkeypatch.setattr("governance.worker.job.with_model_id", stumble)
    lease = leased(resources, new_version())

    outcome = work(lease, resources)

    assert (outcome.state, outcome.cause) == ("again", "defect")
    assert outcome.why.startswith("an internal error: ValueError in test_job.py, line ")
    assert resources.jobs.find(lease.key).error == outcome.why
    assert "the content of some file" in outcome.trace


@pytest.mark.worker
def test_a_deleted_experiment_is_noticed_before_anything_is_measured(
    resources, new_version, monkeypatch
):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    client, uri = MlflowClient(), new_version()
    home = experiment(client, "governance/stripes")

    def too_late(*_anything):
        pytest.fail("it was measured")

    monkeypatch.setattr("governance.worker.measuring.gather", too_late)
    client.delete_experiment(home)
    try:
        outcome = work(leased(resources, uri), resources)
    finally:
        client.restore_experiment(home)

    assert (outcome.state, outcome.cause) == ("again", "registry")
    assert "the experiment 'governance/stripes' was deleted" in outcome.why
    assert f"mlflow experiments restore --experiment-id {home}" in outcome.why


def test_a_model_whose_name_holds_an_at_sign_gets_its_verdict(
    resources, store, saved_model, register
):
    found = register(f"team@{uuid4().hex}", str(saved_model))
    assert resources.jobs.offer(found.ref, "pending")
    lease = resources.jobs.claim("me", 60)

    assert work(lease, resources).verdict == "undetermined"
    assert "no policy applies" in statement(lease)[0].detail


def test_a_key_that_another_process_holds_signs_what_a_worker_signs(
    office, new_version, assessed, tmp_path
):
    # arrange: what was measured of a version
    version, found = registry.resolve(new_version()), Assessment.load(assessed.folder)
    again = replace(found, identity=replace(found.identity, uri=version.uri, ref=version.ref))
    again.save(tmp_path / "record")

    def said():
        return decode(listing.listed("stripes", version.ref.version).tags[APPROVAL])

    with serving(office.assessor, tmp_path / "signer.sock", registry="") as key:
        # act / assert: recorded, interrupted, and given up
        with registry.marked_running(version, key=key):
            assert said().verdict == "running"
            registry.record(version, again, tmp_path / "record", key=key)
        assert said().verdict == again.decision.verdict == "approved"
        answer = registry.ask(version.uri, tmp_path / "gate", keys=office.folder / "keyring.toml")
        assert answer.verdict == "approved"
        before = said()
        with pytest.raises(KeyboardInterrupt), registry.marked_running(version, key=key):
            raise KeyboardInterrupt
        assert replace(said(), issued=before.issued, replaces=before.replaces) == before
        leave_undetermined(version, "it crashed", key)
        assert (said().verdict, said().detail) == ("undetermined", "it crashed")


def test_without_a_policy_it_is_undetermined_at_once(resources, new_version):
    nothing = replace(resources, config=replace(resources.config, rules=()))
    lease = leased(nothing, new_version())

    outcome = work(lease, nothing)

    assert outcome.verdict == "undetermined"
    assert "no policy applies to models named 'stripes'" in statement(lease)[0].detail


def test_what_a_killed_worker_recorded_is_not_done_again(resources, new_version):
    first = leased(resources, new_version(), failed=3)
    work(first, resources)
    resources.jobs.offer(first.key, "pending")
    again = resources.jobs.claim("me", 60)

    outcome = work(again, resources)

    assert (outcome.state, outcome.why) == ("done", "it was done before")


def test_a_lease_that_another_worker_took_over_records_nothing(resources, new_version):
    lease = leased(resources, new_version(), failed=3)
    resources.jobs.renew(lease, -1)
    taken = resources.jobs.claim("another", 60)

    outcome = work(lease, resources)

    assert outcome.state == "lost"
    assert "governance.approval" not in listing.listed("stripes", lease.key.version).tags
    assert resources.jobs.renew(taken, 60)


@pytest.mark.worker
def test_a_worker_told_to_end_hands_the_version_back_as_it_was(resources, new_version):
    resources.stop.set()
    lease = leased(resources, new_version())

    outcome = work(lease, resources)

    job = resources.jobs.find(lease.key)
    assert (outcome.state, job.state, job.attempts) == ("back", "waiting", 0)
    assert statement(lease)[0].verdict == "pending"


def test_an_attempt_is_not_counted_while_the_registry_is_away(resources, new_version):
    import mlflow  # noqa: PLC0415 - seconds

    lease = leased(resources, new_version())
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    try:
        outcome = work(lease, resources)
    finally:
        mlflow.set_tracking_uri(before)

    job = resources.jobs.find(lease.key)
    assert (outcome.state, job.state, job.attempts) == ("back", "waiting", 0)


@pytest.mark.worker
@pytest.mark.parametrize("fault", ["confinement", "pickle", "device", "disk"])
def test_a_fault_of_the_machine_is_no_attempt_and_no_statement(
    resources, office, new_version, tmp_path, monkeypatch, fault
):
    # arrange: as after the last attempt but one
    config = {"confinement": {"confinement": "required"}, "pickle": {},
             "device": {"device": "cuda"}, "disk": {}}[fault]  # fmt: skip
    if fault == "device" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    if fault in {"confinement", "pickle"}:
        forbid_namespaces(tmp_path, monkeypatch)
    if fault == "pickle":
        office.allow_pickles()
    if fault == "disk":
        # the worker's own file that it writes next lies on a full disk
        save = Request.save

        def on_a_full_disk(self, folder):
            (folder / "policy.toml").symlink_to("/dev/full")
            save(self, folder)

        monkeypatch.setattr(Request, "save", on_a_full_disk)
    resources = replace(
        resources,
        config=replace(resources.config, retry_seconds=0.001, **config),
    )
    lease = leased(resources, new_version(), failed=2)

    # act
    for _ in range(3):
        outcome = work(lease, resources)
        job = resources.jobs.find(lease.key)
        assert (outcome.state, job.state, job.attempts) == ("back", "waiting", 2)
        lease = claimed(resources)

    # assert: it still waits, and the reason was told
    said, tags = statement(lease)
    assert said.verdict == tags["governance.status"] == "pending"
    words = {
        "confinement": "No permissions to create new namespace",
        "pickle": "this machine cannot shut a pickle in",
        "device": "torch finds no GPU here",
        "disk": "No space left on device",
    }
    assert words[fault] in outcome.why


def claimed(resources):
    """The next lease, once it is due."""
    until = time.monotonic() + 30
    while (lease := resources.jobs.claim("me", 60)) is None:
        assert time.monotonic() < until
    return lease


@pytest.fixture
def waived(resources, office, new_version, assessed, tmp_path, policy_text):
    """A version that was rejected, and whose one unmet expectation was waived since."""
    strict = "performance.recall_worst"
    expected = ["[[expectations]]", f"metric = '{strict}'", "at_least = 0.9999", ""]
    text = policy_text + "\n".join(expected)
    office.folder.joinpath("policy.toml").write_text(text)
    policy = Policy.loads(text, where="policy.toml")
    version = registry.resolve(new_version())
    found = Assessment.load(assessed.folder)
    worse = [_with_recall(item, 0.8) for item in found.evidence]
    measured = replace(
        found, policy=policy, evidence=tuple(worse), decision=judge(policy, worse),
        identity=replace(
            found.identity, uri=version.uri, ref=version.ref
        ),
    )  # fmt: skip
    assert measured.decision.verdict == "rejected"
    measured.save(tmp_path / "record")
    registry.record(version, measured, tmp_path / "record", key=resources.key)
    entry = listing.listed("stripes", version.ref.version)
    assert sweep.need(entry, resources.ring, time.time(), resources.config) is None
    waive(
        version, metric=strict, bound=0.75, reason="a pilot",
        until=int(time.time()) + 86_400, key=office.approver,
        ring=office.ring,
    )  # fmt: skip
    return version


@pytest.mark.slow
def test_a_made_up_record_is_not_judged_again(resources, waived, tmp_path, monkeypatch):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    # arrange: another consistent record, under the tags that anyone may write
    tags = listing.listed("stripes", waived.ref.version).tags
    found = Assessment.load(registry.fetch(waived, tmp_path / "true"))
    made_up = replace(found, created="2026-01-01T00:00:00+00:00")
    made_up.save(tmp_path / "made up")
    registry.record(waived, made_up, tmp_path / "made up")
    assert registry.mismatches(waived, registry.fetch(waived, tmp_path / "again")) == ()
    token = tags["governance.approval"]
    MlflowClient().set_model_version_tag(
        "stripes", waived.ref.version, "governance.approval", token
    )

    def measured_anew(*_anything):
        raise SubjectError("measured anew")

    monkeypatch.setattr("governance.worker.measuring.gather", measured_anew)

    # act
    outcome = work(leased(resources, waived.uri), resources)

    # assert
    assert (outcome.verdict, outcome.why) == ("undetermined", "measured anew")


@pytest.mark.worker
def test_a_new_waiver_is_judged_from_the_record_without_running_anything(
    resources, office, waived, tmp_path
):
    version = waived
    entry = listing.listed("stripes", version.ref.version)
    assert sweep.need(entry, resources.ring, time.time(), resources.config).why == "waivers changed"
    lease = leased(resources, version.uri)

    outcome = work(lease, resources)

    assert (outcome.state, outcome.verdict) == ("done", "approved")
    said, tags = statement(lease)
    assert len(said.waivers) == 1
    assert said.run_id == tags["governance.run_id"]
    answer = registry.ask(version.uri, tmp_path / "gate", keys=office.folder / "keyring.toml")
    assert answer.verdict == "approved"
    assert (
        sweep.need(
            listing.listed("stripes", version.ref.version),
            resources.ring,
            time.time(),
            resources.config,
        )
        is None
    )


@pytest.mark.worker
def test_a_verdict_is_recorded_though_its_reports_cannot_be_printed(
    resources, waived, tmp_path, monkeypatch
):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    monkeypatch.setattr(printing, "MEMORY", 2**24)

    outcome = work(leased(resources, waived.uri), resources)

    assert (outcome.state, outcome.verdict) == ("done", "approved")
    assert "the reports were not printed: printing the report failed" in outcome.why
    # Of what the printer wrote, which may hold a model's words, nothing is published.
    run = MlflowClient().get_run(statement_of(waived).run_id)
    assert run.data.tags["governance.unprinted"] == (
        "the reports could not be printed; the worker's log says why"
    )
    kept = registry.fetch(waived, tmp_path / "kept")
    assert not (kept / "report.pdf").exists()
    assert Assessment.load(kept).decision.verdict == "approved"


def statement_of(version):
    tags = listing.listed(version.ref.name, version.ref.version).tags
    return decode(tags["governance.approval"])


def _with_recall(evidence, value):
    if evidence.analysis != "performance":
        return evidence
    found = evidence.measurement
    metrics = {**found.metrics, "recall_worst": value}
    intervals = {k: v for k, v in found.intervals.items() if k != "recall_worst"}
    return replace(evidence, measurement=replace(found, metrics=metrics, intervals=intervals))

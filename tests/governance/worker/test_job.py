"""One version from its lease to a signed record; a confined process runs in test_loop.py."""

import time
from dataclasses import replace

import pytest
import torch
from walls import forbid_namespaces

from governance import registry
from governance.approval import decode
from governance.errors import RegistryError, SubjectError
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.policy import Policy
from governance.registry import listing
from governance.registry.signing import revoke, waive
from governance.worker import sweep
from governance.worker.config import PolicyRule, WorkerConfig
from governance.worker.job import Resources, work
from governance.worker.job_database import JobDatabase
from governance.worker.request import Request
from governance.workflows import printing


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
    assert sweep.need(entry, resources.ring, time.time(), resources.config) == "waivers changed"
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

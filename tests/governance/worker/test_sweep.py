"""What needs work: nothing is believed but a statement that is signed, bound and in time."""

import time
from dataclasses import replace

import pytest

from governance import registry
from governance.approval import sign
from governance.approval.tags import APPROVAL, STATUS
from governance.records.version_ref import VersionRef
from governance.registry import listing
from governance.registry.listing import ListedVersion
from governance.registry.signing import in_progress, not_assessable, verdict_of
from governance.registry.versions import ModelVersion
from governance.worker import sweep
from governance.worker.config import PolicyRule, WorkerConfig
from governance.worker.job_database import JobDatabase

NOW = 1_800_000_000
REF = VersionRef(name="a", version="1", created=5)
HERE = ModelVersion(uri=REF.uri, ref=REF, source="models:/m-1")


def entry(statement, key, *, version=HERE, status=None, **tags):
    token = {} if statement is None else {APPROVAL: sign(statement, key)}
    return ListedVersion(version=version, tags={**token, STATUS: status or "undetermined", **tags})


def said(**changes):
    return replace(not_assessable(HERE, "it crashed", NOW), **changes)


def test_a_statement_that_stands_needs_no_work(office):
    assert sweep.need(entry(said(), office.assessor), office.ring, NOW, WorkerConfig()) is None


def test_what_nobody_signed_needs_work_whatever_its_tags_say(office):
    found = entry(None, office.assessor, status="approved")

    assert sweep.need(found, office.ring, NOW, WorkerConfig()).why == "no signed statement"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ref": replace(REF, name="b")}, "invalid statement"),
        ({"ref": replace(REF, version="2")}, "invalid statement"),
        ({"ref": replace(REF, created=6)}, "invalid statement"),
        ({"source": "models:/m-2"}, "invalid statement"),
        ({"expires": NOW + 1}, "expired"),
        ({"issued": NOW + 1000, "expires": NOW + 2000}, "invalid statement"),
    ],
)
def test_a_statement_about_something_or_some_time_else_needs_work(office, changes, why):
    assert (
        sweep.need(
            entry(said(**changes), office.assessor), office.ring, NOW + 1, WorkerConfig()
        ).why
        == why
    )


def test_a_statement_signed_by_another_is_invalid(office):
    assert (
        sweep.need(entry(said(), office.approver), office.ring, NOW, WorkerConfig()).why
        == "invalid statement"
    )


def test_nonsense_is_invalid_and_not_expired(office):
    found = ListedVersion(version=HERE, tags={APPROVAL: "nonsense", STATUS: "approved"})

    assert sweep.need(found, office.ring, NOW, WorkerConfig()).why == "invalid statement"


@pytest.mark.parametrize("status", ["pending", "running"])
def test_what_waits_or_was_left_running_needs_work(office, status):
    found = entry(in_progress(HERE, status, NOW), office.assessor, status=status)

    assert sweep.need(found, office.ring, NOW, WorkerConfig()).why == "pending"


def test_a_status_that_differs_from_what_was_signed_needs_work(office):
    found = entry(said(), office.assessor, status="approved")

    assert sweep.need(found, office.ring, NOW, WorkerConfig()).why == "status changed"


def test_what_a_person_revoked_is_left_alone(office):
    revoked = replace(said(), kind="revocation", verdict=None, detail="leaked data")
    found = entry(revoked, office.approver, status="rejected")

    assert sweep.need(found, office.ring, NOW, WorkerConfig()) is None
    assert not sweep.approves(found, office.ring, NOW)


def test_what_had_no_policy_needs_work_once_a_rule_fits(office):
    found = entry(said(detail="no policy applies to models named 'a'"), office.assessor)
    rule = PolicyRule(models="a", policy=office.folder / "policy.toml")

    assert sweep.need(found, office.ring, NOW, WorkerConfig()) is None
    assert (
        sweep.need(found, office.ring, NOW, WorkerConfig(rules=(rule,))).why
        == "a policy applies now"
    )


@pytest.fixture
def ledger(tmp_path):
    opened = JobDatabase(f"sqlite:///{tmp_path}/ledger.db", "site")
    yield opened
    opened.close()


def test_champions_are_worked_on_first_and_then_what_else_is_in_use(mlflow_store, ledger, office):
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    client, config = MlflowClient(), WorkerConfig()
    for name, alias in {"b": "shadow", "c": "Champion", "d": "candidate", "e": None}.items():
        client.create_registered_model(name)
        client.create_model_version(name, "source")
        if alias is not None:
            client.set_registered_model_alias(name, alias, "1")

    for entries in (sweep.in_use(listing.models(), config), listing.newest()):
        list(sweep.offer(entries, ledger, office.ring, config))

    order = []
    while lease := ledger.claim("here", 60):
        order.append(lease.key.name)
    assert order == ["c", "b", "e", "d"]


@pytest.fixture
def approved(store, new_version, assessed, office):
    """Two new versions of `stripes`: the first with a signed approval, the second with a forged."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    from governance.records.assessment import Assessment  # noqa: PLC0415

    found = Assessment.load(assessed.folder)
    first, second = (registry.resolve(new_version()) for _ in range(2))
    statement = verdict_of(
        first,
        found,
        run_id="0" * 32,
        record=found.digest,
        manifest="sha256:" + "0" * 64,
        now=time.time(),
    )
    for version in (first, second):
        for name, value in {APPROVAL: sign(statement, office.assessor), STATUS: "approved"}.items():
            MlflowClient().set_model_version_tag(version.ref.name, version.ref.version, name, value)
    return first, second


def listed(version):
    return listing.listed(version.ref.name, version.ref.version)


def test_a_sweep_queues_what_needs_work_and_queues_it_once(approved, ledger, office):
    first, second = map(listed, approved)

    queued = list(sweep.offer([first, second], ledger, office.ring, WorkerConfig()))

    assert queued == [(second.version.ref, "invalid statement")]
    assert list(sweep.offer([first, second], ledger, office.ring, WorkerConfig())) == []


def audit(ledger, office, **config):
    told = []
    (model,) = (item for item in listing.models() if item.name == "stripes")
    bare = sweep.audit(
        [model],
        ledger,
        office.ring,
        WorkerConfig(**config),
        lambda _event, **about: told.append(about),
    )
    return bare, told


@pytest.fixture
def aliases(approved):
    """A protected alias on each, and one that promises nothing."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds

    first, second = approved
    client = MlflowClient()
    # The registry is that of all tests of a process: what they left is put aside.
    before = dict(client.get_registered_model("stripes").aliases)
    for alias in before:
        client.delete_registered_model_alias("stripes", alias)
    client.set_registered_model_alias("stripes", "champion", first.ref.version)
    client.set_registered_model_alias("stripes", "prod", second.ref.version)
    client.set_registered_model_alias("stripes", "candidate", second.ref.version)
    yield lambda: set(client.get_registered_model("stripes").aliases)
    for alias in ("champion", "prod", "candidate"):
        client.delete_registered_model_alias("stripes", alias)
    for alias, number in before.items():
        client.set_registered_model_alias("stripes", alias, number)


def test_an_alias_that_no_approval_covers_is_told(aliases, approved, ledger, office):
    bare, told = audit(ledger, office)

    assert bare == 1
    assert told == [
        {"model": "stripes", "version": approved[1].ref.version, "alias": "prod", "removed": False}
    ]
    assert aliases() == {"champion", "prod", "candidate"}


def test_it_is_removed_where_the_terms_say_so_but_not_while_its_version_waits(
    aliases, approved, ledger, office
):
    key = approved[1].ref
    ledger.offer(key, "invalid statement")
    assert audit(ledger, office, remove_aliases=True)[0] == 1
    assert "prod" in aliases()

    ledger.finish(ledger.claim("me", 60), "rejected")
    assert audit(ledger, office, remove_aliases=True)[0] == 1

    assert aliases() == {"champion", "candidate"}
    assert audit(ledger, office, remove_aliases=True) == (0, [])

"""The ledger: one worker at a time, nothing lost, whatever the database."""

import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest

from governance.errors import RegistryError
from governance.records.version_ref import VersionRef
from governance.worker.job_database import DONE, LEASED, WAITING, JobDatabase


def key(version=1, created=5):
    return VersionRef(name="retina", version=str(version), created=created)


@pytest.fixture
def ledger(ledger_url):
    opened = JobDatabase(ledger_url, uuid4().hex)
    yield opened
    opened.close()


def test_a_version_is_queued_once_leased_once_and_done_once(ledger):
    assert ledger.claim("me", 60) is None
    assert ledger.offer(key(), "pending")
    assert not ledger.offer(key(), "pending")

    lease = ledger.claim("me", 60)

    assert (lease.key.differences(key()), lease.attempts, lease.reason) == ((), 0, "pending")
    assert ledger.claim("another", 60) is None
    assert not ledger.offer(key(), "expired")
    assert ledger.find(key()).owner == "me"
    assert ledger.finish(lease, "approved", run_id="a" * 32)
    assert ledger.find(key()).verdict == "approved"
    assert dict(ledger.states()) == {WAITING: 0, LEASED: 0, DONE: 1}


def test_the_newest_ring_is_remembered_for_a_registry(ledger, ledger_url):
    assert ledger.newest_ring() is None
    for version, digest in ((2, "b"), (10, "c"), (3, "d"), (10, "e")):
        ledger.saw_ring(version, digest)

    assert ledger.newest_ring() == (10, "c")
    other = JobDatabase(ledger_url, uuid4().hex)
    assert other.newest_ring() is None
    other.close()


def test_the_age_of_the_version_queued_longest_is_known_until_it_is_done(ledger):
    assert ledger.oldest() == 0
    ledger.offer(key(1), "pending")
    time.sleep(0.2)
    ledger.offer(key(2), "pending")

    first = ledger.claim("me", 60)
    assert 0.2 <= ledger.oldest() < 60
    ledger.finish(first, "approved")
    ledger.finish(ledger.claim("me", 60), "approved")
    assert ledger.oldest() == 0


def test_a_recreated_model_is_another_version(ledger):
    assert ledger.offer(key(created=5), "pending")
    assert ledger.offer(key(created=6), "pending")

    assert {ledger.claim("me", 60).key.created for _ in range(2)} == {5, 6}


def test_a_lease_names_the_registry_and_the_workspace_of_its_ledger(ledger_url):
    registry = uuid4().hex
    ledger = JobDatabase(ledger_url, registry, "team-a")
    ledger.offer(key(), "pending")

    assert ledger.claim("me", 60).key == replace(key(), registry=registry, workspace="team-a")
    ledger.close()


def test_workspaces_of_one_registry_do_not_meet(ledger_url):
    registry = uuid4().hex
    plain, *teams = (JobDatabase(ledger_url, registry, name) for name in ("", "team-a", "team-b"))
    teams[0].offer(key(), "pending")

    assert plain.claim("me", 60) is None
    assert teams[1].claim("me", 60) is None
    assert teams[1].find(key()) is None
    assert teams[0].find(key()).state == WAITING
    for ledger in (plain, *teams):
        ledger.close()


def test_registries_in_one_database_do_not_meet(ledger, ledger_url):
    ledger.offer(key(), "pending")
    other = JobDatabase(ledger_url, uuid4().hex)

    assert other.claim("me", 60) is None
    assert other.find(key()) is None
    other.close()


def test_a_failed_attempt_counts_and_waits(ledger):
    ledger.offer(key(), "pending")
    lease = ledger.claim("me", 60)

    assert ledger.fail(lease, "it crashed\0 with a NUL and \udcff", delay=1000)

    assert ledger.claim("me", 60) is None
    found = ledger.find(key())
    assert (found.state, found.attempts) == (WAITING, 1)
    assert found.error == "it crashed� with a NUL and ?"


def test_a_lease_that_was_handed_back_does_not_count_as_an_attempt(ledger):
    ledger.offer(key(), "pending")
    lease = ledger.claim("me", 60)

    assert ledger.hand_back(lease)

    again = ledger.claim("another", 60)
    assert (again.attempts, again.error) == (0, None)
    assert again.token != lease.token


def test_a_lease_that_ran_out_is_taken_over_and_its_worker_can_change_nothing(ledger):
    ledger.offer(key(), "pending")
    lost = ledger.claim("me", -1)

    taken = ledger.claim("another", 60)

    assert (taken.attempts, taken.error) == (1, "the worker me was lost")
    assert not ledger.renew(lost, 60)
    assert not ledger.finish(lost, "approved")
    assert not ledger.fail(lost, "no")
    assert not ledger.hand_back(lost)
    assert ledger.renew(taken, 60)
    assert ledger.find(key()).state == LEASED


def test_a_lease_that_was_renewed_is_not_taken_over(ledger):
    ledger.offer(key(), "pending")
    lease = ledger.claim("me", -1)

    assert ledger.renew(lease, 60)

    assert ledger.claim("another", 60) is None


def test_what_was_done_is_done_again_after_a_pause(ledger):
    ledger.offer(key(), "pending")
    lease = ledger.claim("me", 60)
    ledger.fail(lease, "once")
    ledger.finish(ledger.claim("me", 60), "approved")

    assert ledger.offer(key(), "expired", again_after=1000)
    assert ledger.claim("me", 60) is None
    found = ledger.find(key())
    assert (found.state, found.reason, found.attempts) == (WAITING, "expired", 0)


def test_the_longest_waiting_comes_first(ledger):
    for version in (3, 1, 2):
        ledger.offer(key(version), "pending")
        time.sleep(0.002)  # by the clock of the database

    assert [ledger.claim("me", 60).key.version for _ in range(3)] == ["3", "1", "2"]


def test_many_threads_share_the_versions_without_doing_one_twice(ledger):
    for version in range(40):
        ledger.offer(key(version), "pending")

    def work(owner):
        taken = []
        while (lease := ledger.claim(owner, 60)) is not None:
            taken.append(lease.key.version)
            assert ledger.finish(lease, "approved")
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [item for part in pool.map(work, map(str, range(8))) for item in part]

    assert Counter(taken) == Counter(str(version) for version in range(40))


OFFERING = """
import sys
from governance.records.version_ref import VersionRef
from governance.worker.job_database import JobDatabase
ledger = JobDatabase(sys.argv[1], sys.argv[2])
print(sum(ledger.offer(VersionRef(name="m", version=str(i), created=1), "w") for i in range(50)))
taken = 0
while (lease := ledger.claim("me", 60)) is not None:
    taken += ledger.finish(lease, "approved")
print(taken)
"""


def test_processes_that_open_a_new_ledger_at_once_share_its_versions(ledger_url):
    registry = uuid4().hex
    command = [sys.executable, "-c", OFFERING, ledger_url, registry]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=120) for process in running]

    assert [process.returncode for process in running] == [0, 0, 0], answers
    offered, taken = zip(*(map(int, out.split()) for out, _ in answers), strict=True)
    # What one has done already, another one's offer opens again.
    assert sum(offered) >= 50
    assert sum(taken) == sum(offered)


def test_a_database_that_is_none_is_refused_without_its_password(tmp_path):
    with pytest.raises(RegistryError, match="a URL such as"):
        JobDatabase("nonsense", "site")
    with pytest.raises(RegistryError) as caught:
        JobDatabase("postgresql+pg8000://ann:sesame@127.0.0.1:1/none", "site")

    assert "sesame" not in str(caught.value)
    assert "ann" in str(caught.value)


def test_a_table_that_vanishes_is_a_registry_error(tmp_path):
    ledger = JobDatabase(f"sqlite:///{tmp_path}/ledger.db", "site")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("drop table governance_jobs")

    with pytest.raises(RegistryError, match=r"job database sqlite.*claiming: no such table"):
        ledger.claim("me", 60)
    ledger.close()

"""Loop: looks into the registry and works on versions that wait, until it is told to end."""

import itertools
import os
import socket
import time
from collections.abc import Iterator
from threading import Event, Lock, Thread

from governance.errors import RegistryError
from governance.registry import listing
from governance.registry.listing import ListedVersion
from governance.worker import sweep
from governance.worker.counts import Counts
from governance.worker.job import JobOutcome, Resources, work
from governance.worker.job_database import Lease
from governance.worker.log import log
from governance.worker.sandbox import confinement

__all__ = ["Loop"]

#: Milliseconds that a version may become visible later than one that was made after it.
OVERLAP = 300_000
#: Polls that may fail, and seconds that one may take, before the worker calls itself unhealthy.
MISSED, PATIENCE = 3, 30.0
DUE = 5.0  # seconds between looks for attempts that have become due
ERROR, TRACE = 500, 8000  # characters of an error and of a traceback in a line


class Loop:
    """One thread that looks into the registry, and the main one that works on what it found.

    Args:
        resources: Job database, configuration and keys.
        poll: Seconds between looks at new versions.
        counts: Numbers for `/metrics`.
    """

    def __init__(self, resources: Resources, *, poll: float, counts: Counts) -> None:
        self._resources, self._poll, self._counts = resources, poll, counts
        self._woken, self._found, self._lock = Event(), Event(), Lock()
        self._seen = 0  # milliseconds since 1970: the newest version that was looked at
        self._swept: float | None = None
        self._blind = False  # whether nobody looks into the registry any more
        self._answered = self._tried = time.monotonic()
        self._lease: Lease | None = None
        self.owner = f"{socket.gethostname()}:{os.getpid()}"

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    def end(self) -> None:
        """Let `run` return as soon as what is under way has been stopped."""
        self._resources.stop.set()
        self._woken.set()
        self._found.set()

    def healthy(self) -> bool:
        """Whether the registry answered lately."""
        return self._lately(self._answered)

    def alive(self) -> bool:
        """Whether the registry was asked lately, whatever it answered."""
        return self._lately(max(self._tried, self._answered))

    def _lately(self, moment: float) -> bool:
        return time.monotonic() - moment < MISSED * self._poll + PATIENCE

    def run(self) -> None:
        """Work until `end` is called.

        Raises:
            RegistryError: If a defect ended the thread that looks; its traceback was written.
        """
        stop = self._resources.stop
        self._counts.put("governance_confinement_gaps", len(confinement().gaps))
        log(
            "started", owner=self.owner, registry=listing.place(), ledger=self._resources.jobs.place
        )
        Thread(target=self._watch, name="watch", daemon=True).start()
        while not stop.is_set():
            # Cleared first: what is found while it works makes it work on.
            self._found.clear()
            try:
                for outcome in self._work_off():
                    if outcome.state == "back":
                        break  # the registry is away, or the end was asked for
            except RegistryError as error:
                log("refused", error=str(error)[:ERROR])
            if not stop.is_set():
                # Second attempts become due without anybody saying so.
                self._found.wait(min(self._poll, DUE))
        log("ended", owner=self.owner)
        if self._blind:
            raise RegistryError("the thread that looks into the registry ended by a defect")

    def once(self) -> tuple[JobOutcome, ...]:
        """Look at everything, and work on all that is due; what became of it.

        Raises:
            RegistryError: If registry or job database refuse.
        """
        self._everything()
        return tuple(self._work_off())

    def give_up(self) -> None:
        """Hand back whatever is leased, from another thread; for the end of patience."""
        with self._lock:
            lease, self._lease = self._lease, None
        if lease is not None:
            try:
                self._resources.jobs.hand_back(lease)
                log("back", version=str(lease.key), why="no time to finish")
            except RegistryError as error:
                log("lease left to run out", version=str(lease.key), error=str(error)[:ERROR])

    def _watch(self) -> None:
        stop = self._resources.stop
        try:
            while not stop.is_set():
                # Cleared first: what wakes it while it looks makes it look again.
                self._woken.clear()
                try:
                    self._look()
                except RegistryError as error:
                    self._counts.add("governance_polls_total", outcome="failed")
                    log("not read", error=str(error)[:ERROR])
                self._tried = time.monotonic()
                self._woken.wait(self._poll)
        finally:
            self._blind = not stop.is_set()
            self.end()

    def _look(self) -> None:
        """At what waits and what is new; now and then at everything."""
        due = self._resources.config.sweep_minutes * 60
        if self._swept is None or time.monotonic() - self._swept >= due:
            self._everything()
        else:
            seen = self._seen - OVERLAP
            fresh = itertools.takewhile(
                lambda entry: entry.version.registered_as.created >= seen, listing.newest()
            )
            self._offer(itertools.chain(listing.pending(), fresh))
        self._answered = time.monotonic()
        self._counts.add("governance_polls_total", outcome="done")
        self._counts.put("governance_last_poll_seconds", time.time())
        self._count_jobs()

    def _everything(self) -> None:
        resources = self._resources
        models = tuple(listing.models())
        # What is offered first is worked on first: what is in use waits least.
        self._offer(sweep.in_use(models, resources.config))
        self._offer(listing.newest())
        bare = sweep.audit(models, resources.jobs, resources.ring, resources.config, log)
        self._counts.put("governance_unapproved_aliases", bare)
        self._swept = time.monotonic()

    def _offer(self, entries: Iterator[ListedVersion]) -> None:
        resources, newest = self._resources, self._seen

        def noted() -> Iterator[ListedVersion]:
            nonlocal newest
            for entry in entries:
                self._answered = time.monotonic()  # a scan of many versions takes long
                newest = max(newest, entry.version.registered_as.created)
                yield entry

        for key, why in sweep.offer(noted(), resources.jobs, resources.ring, resources.config):
            self._found.set()
            self._counts.add("governance_found_total", why=why)
            log("found", version=str(key), created=key.created, why=why)
        self._seen = newest

    def _work_off(self) -> Iterator[JobOutcome]:
        seconds = self._resources.config.lease_seconds
        while not self._resources.stop.is_set():
            lease = self._resources.jobs.claim(self.owner, seconds)
            if lease is None:
                return
            self._lease = lease
            log("leased", version=str(lease.key), attempts=lease.attempts, why=lease.reason)
            began = time.monotonic()
            try:
                outcome = work(lease, self._resources)
            finally:
                with self._lock:
                    self._lease = None
            self._tell(lease, outcome, time.monotonic() - began)
            if outcome.state == "done" and outcome.verdict:
                self._renew()
            yield outcome

    def _renew(self) -> None:
        """Make the portfolio again; the verdict stands, whether that can be done or not."""
        site = self._resources.site
        if site is not None and (problem := site.renew()) is not None:
            log("portfolio not made", folder=str(site.folder), error=problem)

    def _tell(self, lease: Lease, outcome: JobOutcome, seconds: float) -> None:
        log(
            outcome.state,
            version=str(lease.key),
            verdict=outcome.verdict,
            why=outcome.why[:ERROR],
            seconds=round(seconds, 1),
        )
        if outcome.trace:
            log("defect", version=str(lease.key), trace=outcome.trace[-TRACE:])
        if outcome.state == "done" and outcome.verdict:
            self._counts.add("governance_assessments_total", verdict=outcome.verdict)
            self._counts.observe("governance_assessment_seconds", seconds)
        elif outcome.state == "again":
            self._counts.add("governance_attempts_failed_total", cause=outcome.cause)
        elif outcome.state in {"back", "lost"}:
            cause = outcome.cause if outcome.state == "back" else "lost"
            self._counts.add("governance_handed_back_total", cause=cause)
        self._count_jobs()

    def _count_jobs(self) -> None:
        self._counts.put("governance_oldest_job_seconds", self._resources.jobs.oldest())
        for state, count in self._resources.jobs.states().items():
            self._counts.put("governance_jobs", count, state=state)

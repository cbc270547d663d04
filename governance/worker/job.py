"""Job: one version, from its lease to a signed record or a failed attempt."""

import dataclasses
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from governance import registry
from governance.approval import Keyring, Signer, Statement
from governance.errors import (
    EvidenceError,
    GovernanceError,
    HostError,
    PolicyError,
    RegistryError,
    SubjectError,
)
from governance.records.assessment import Assessment
from governance.records.policy import Policy
from governance.records.waiver import Waiver
from governance.registry import listing
from governance.registry.approvals import disagreements
from governance.registry.recording import check_home
from governance.registry.status import leave_undetermined
from governance.registry.versions import ModelVersion, of_registry, with_model_id
from governance.worker.config import WorkerConfig
from governance.worker.host import check_host
from governance.worker.job_database import JobDatabase, Lease
from governance.worker.measuring import (
    FailedAttemptError,
    InterruptedAttemptError,
    measure_confined,
)
from governance.worker.policy_choice import choose_policy
from governance.worker.portfolio_site import PortfolioSite
from governance.worker.sandbox import printing_wall
from governance.worker.sweep import WAIVERS, need
from governance.workflows.assessing import judged, keep

__all__ = ["JobOutcome", "Resources", "work"]

BACKOFF = 4.0
UNPRINTED = "the reports could not be printed; the worker's log says why"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a worker works with.

    Attributes:
        jobs: Job database, shared with other workers.
        config: Policies and limits.
        key: Private key of an assessor, which signs verdicts.
        ring: Public keys whose signatures count; that of `key` is among them.
        stop: Event that is set once the worker is told to end.
        site: The site that is made again after each verdict; None where none was asked for.
    """

    jobs: JobDatabase
    config: WorkerConfig
    key: Signer
    ring: Keyring
    stop: Event = field(default_factory=Event)
    site: PortfolioSite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """What became of a lease.

    Attributes:
        state: `done`, `again` (it waits for another attempt), `back` (handed back as it was) or
            `lost` to another worker.
        verdict: Verdict of a version that is done; None if the version no longer exists.
        why: Error message, or the reason why nothing had to be done.
        cause: Kind of failure of an attempt, or why a lease was handed back.
        trace: Traceback of a failure that nobody thought of; for the log alone.
    """

    state: str
    verdict: str | None = None
    why: str = ""
    cause: str = ""
    trace: str = ""


def work(lease: Lease, resources: Resources) -> JobOutcome:
    """Assess a leased version, or whatever else it needs; then close or hand back the lease.

    Raises:
        RegistryError: If the job database refuses; the lease then runs out by itself.
    """
    jobs, config = resources.jobs, resources.config
    with _held(lease, resources) as lost:
        try:
            return _done(lease, resources, lost)
        except InterruptedAttemptError:
            back = not lost.is_set() and jobs.hand_back(lease)
            return JobOutcome(state="back" if back else "lost", cause="interrupted")
        except Exception as error:  # noqa: BLE001 - one version's damage must not end the worker
            failure = error
        why, trace = _told(failure)
        if lost.is_set():
            return JobOutcome(state="lost", why=why, trace=trace)
        away = not listing.answers()
        fault = None if away else _fault_of_host(failure, config)
        if away or fault is not None:
            # Not the version's fault: an attempt is not counted.
            back = jobs.hand_back(lease, delay=config.retry_seconds)
            return JobOutcome(
                state="back" if back else "lost",
                why=fault or why,
                cause="registry away" if away else "host",
                trace=trace,
            )
        noted = jobs.fail(lease, why, delay=_delay(lease, config))
        state = "again" if noted else "lost"
        return JobOutcome(state=state, why=why, cause=_cause(failure), trace=trace)


def _told(failure: Exception) -> tuple[str, str]:
    """The reason that may be signed and published, and the traceback for the log."""
    if isinstance(failure, GovernanceError | OSError):
        return str(failure), ""
    # Its text may hold anything that was in a file; ours are bounded and name their place.
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    text = "".join(traceback.format_exception(failure))
    return f"an internal error: {type(failure).__name__} in {place}", text


def _cause(failure: Exception) -> str:
    """The kind of a failure, of which there are few."""
    causes = {
        FailedAttemptError: "process",
        EvidenceError: "evidence",
        RegistryError: "registry",
        GovernanceError: "refused",
        OSError: "system",
    }
    return next((name for kind, name in causes.items() if isinstance(failure, kind)), "defect")


def _fault_of_host(error: Exception, config: WorkerConfig) -> str | None:
    """Why an attempt failed for want of something that this machine should have, if it did."""
    fault = HostError.behind(error)
    if fault is None:
        try:
            check_host(config)
        except HostError as found:
            fault = found
    return None if fault is None else str(fault)


def _delay(lease: Lease, config: WorkerConfig) -> float:
    """Seconds until a version that failed once more is taken up again."""
    failed = lease.attempts + 1
    if failed == config.attempts:
        return 0.0  # nothing is tried any more but to say so
    if failed > config.attempts:
        return config.again_seconds  # even that was refused, and others wait
    return config.retry_seconds * BACKOFF**lease.attempts


@contextmanager
def _held(lease: Lease, resources: Resources) -> Iterator[Event]:
    """Renew the lease all the while; the event is set once another worker has taken over."""
    lost, over, seconds = Event(), Event(), resources.config.lease_seconds

    def renew() -> None:
        until = time.monotonic() + seconds
        while not over.wait(seconds / 3):
            try:
                if not resources.jobs.renew(lease, seconds):
                    lost.set()
                    return
                until = time.monotonic() + seconds
            except RegistryError:
                # The database is away; the lease holds until it runs out.
                if time.monotonic() >= until:
                    lost.set()
                    return

    thread = Thread(target=renew, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()


def _done(lease: Lease, resources: Resources, lost: Event) -> JobOutcome:
    jobs, config, key = resources.jobs, resources.config, lease.key
    found = listing.listed(key.name, key.version)
    if found is None or key.differences(found.version.ref):
        jobs.finish(lease, None, error="the version is gone")
        return JobOutcome(state="done", why="the version is gone")
    wanted = need(found, resources.ring, time.time(), config)
    if wanted is None:
        # Recorded by a worker that was killed before it could say so.
        verdict = found.tags.get("governance.status")
        jobs.finish(lease, verdict, run_id=found.tags.get("governance.run_id"))
        return JobOutcome(state="done", verdict=verdict, why="it was done before")
    here = of_registry(found.version, resources.ring.registry)
    if lease.attempts >= config.attempts:
        error = f"{lease.attempts} attempts failed; the last one: {lease.error}"
        return _undetermined(lease, resources, here, error)
    version = with_model_id(here)
    listing.close_runs(version)
    # What was signed, where it is the waivers alone that differ.
    said = wanted.statement if wanted.why == WAIVERS else None
    try:
        with TemporaryDirectory(prefix="governance-worker-") as scratch:
            return _assessed(lease, resources, version, said, Path(scratch), lost)
    except (PolicyError, SubjectError) as error:
        if (fault := HostError.behind(error)) is not None:
            raise fault from error
        return _undetermined(lease, resources, version, str(error))


def _undetermined(
    lease: Lease, resources: Resources, version: ModelVersion, error: str
) -> JobOutcome:
    _check_mine(lease, resources)
    leave_undetermined(version, error, resources.key)
    resources.jobs.finish(lease, "undetermined", error=error)
    return JobOutcome(state="done", verdict="undetermined", why=error)


def _check_mine(lease: Lease, resources: Resources) -> None:
    """Stop where another worker took over, or a person revoked the version, in the meantime."""
    if not resources.jobs.renew(lease, resources.config.lease_seconds):
        raise InterruptedAttemptError("the lease is lost")
    found = listing.listed(lease.key.name, lease.key.version)
    if found is None or need(found, resources.ring, time.time(), resources.config) is None:
        raise InterruptedAttemptError("nothing is left to be done")


def _assessed(
    lease: Lease,
    resources: Resources,
    version: ModelVersion,
    said: Statement | None,
    scratch: Path,
    lost: Event,
) -> JobOutcome:
    name = lease.key.name
    policy = choose_policy(name, listing.model_tags(name), resources.config, scratch)
    counting, _ = registry.waivers(version, resources.ring)
    assessment = _judged_again(version, policy, counting, scratch, said) if said else None
    check_home(version)
    with registry.marked_running(version, key=resources.key, policy=policy) as began:
        # What is judged again was measured under the policy as it was fixed then.
        fixed = said.policy_fixed if said and assessment else began
        if assessment is None:
            measured = measure_confined(
                version, policy, resources.config, scratch / "room", ring=resources.ring,
                interrupted=lambda: resources.stop.is_set() or lost.is_set(),
            )  # fmt: skip
            assessment = _judged_now(measured, counting)
        return _recorded(lease, resources, version, assessment, scratch, fixed)


def _judged_now(assessment: Assessment, counting: tuple[Waiver, ...]) -> Assessment:
    """The assessment as it is judged here, now, with the waivers that count."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return dataclasses.replace(judged(assessment, counting), created=now)


def _judged_again(
    version: ModelVersion,
    policy: Policy,
    counting: tuple[Waiver, ...],
    scratch: Path,
    said: Statement,
) -> Assessment | None:
    """The recorded assessment under other waivers; None where it has to be measured anew.

    It must be the very record that was signed: tags alone may name one that someone made up.
    """
    try:
        folder = registry.fetch(version, scratch / "record")
        if registry.mismatches(version, folder):
            return None
        found = Assessment.load(folder)
    except EvidenceError:
        return None
    if any(disagreements(version, said, found, folder)):
        return None
    return _judged_now(found, counting) if found.policy.digest == policy.digest else None


def _recorded(
    lease: Lease,
    resources: Resources,
    version: ModelVersion,
    assessment: Assessment,
    scratch: Path,
    policy_fixed: int | None,
) -> JobOutcome:
    """Print and record an assessment, unless another worker has taken over."""
    folder = scratch / "assessment"
    unprinted = keep(assessment, folder, printing_wall)
    _check_mine(lease, resources)
    # What the printer wrote holds words that the model chose: the log alone is told.
    run_id = registry.record(
        version, assessment, folder, key=resources.key, policy_fixed=policy_fixed,
        unprinted=UNPRINTED if unprinted else None,
    )  # fmt: skip
    verdict = assessment.decision.verdict
    resources.jobs.finish(lease, verdict, run_id=run_id)
    why = f"the reports were not printed: {unprinted}" if unprinted else ""
    return JobOutcome(state="done", verdict=verdict, why=why)

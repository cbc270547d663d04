"""Job: one version, from its lease to a signed record, or to an attempt that failed."""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from governance import registry
from governance.approval import Keyring, PrivateKey, Statement, decode
from governance.approval.tags import APPROVAL
from governance.errors import (
    EvidenceError,
    GovernanceError,
    HostError,
    PolicyError,
    RegistryError,
    SubjectError,
)
from governance.records.assessment import Assessment
from governance.records.policy import DRIFT, Policy
from governance.records.waiver import Waiver
from governance.registry import listing
from governance.registry.approvals import disagreements
from governance.registry.materials import gather
from governance.registry.status import leave_undetermined
from governance.registry.versions import ModelVersion
from governance.subject import model_files
from governance.worker import sandbox
from governance.worker.choice import choose
from governance.worker.host import check_host
from governance.worker.ledger import Lease, Ledger
from governance.worker.request import Request
from governance.worker.sweep import WAIVERS, need
from governance.worker.terms import Terms
from governance.workflows import orchestration
from governance.workflows.assessing import judged, keep

__all__ = ["Outcome", "Tools", "work"]

BACKOFF = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a worker works with.

    Attributes:
        ledger: Shared with other workers.
        terms: The operator's.
        key: An assessor's, to sign with.
        ring: Whose signatures count; the key is among them.
        stop: Set once the worker was told to end.
    """

    ledger: Ledger
    terms: Terms
    key: PrivateKey
    ring: Keyring
    stop: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a lease.

    Attributes:
        state: `done`, `again` (it waits for another attempt), `back` (handed back as it was) or
            `lost` to another worker.
        verdict: Of a version that is done; None where there is no such version any more.
        why: An error, or why nothing was to be done.
    """

    state: str
    verdict: str | None = None
    why: str = ""


class _FailedError(GovernanceError):
    """An attempt failed; another one may not."""


class _InterruptedError(GovernanceError):
    """The worker was told to end, or its lease is gone."""


def work(lease: Lease, tools: Tools) -> Outcome:
    """Do what a version needs; its lease is closed, handed back or gone afterwards.

    Raises:
        RegistryError: If the ledger refuses; the lease then runs out by itself.
    """
    ledger, terms = tools.ledger, tools.terms
    with _held(lease, tools) as lost:
        try:
            return _done(lease, tools, lost)
        except _InterruptedError:
            back = not lost.is_set() and ledger.hand_back(lease)
            return Outcome(state="back" if back else "lost")
        except (GovernanceError, OSError) as error:
            failure, why = error, str(error)
        if lost.is_set():
            return Outcome(state="lost", why=why)
        fault = _fault_of_host(failure, terms)
        if fault is not None or not listing.answers():
            # Not the version's fault: an attempt is not counted.
            back = ledger.hand_back(lease, delay=terms.retry_seconds)
            return Outcome(state="back" if back else "lost", why=fault or why)
        noted = ledger.fail(lease, why, delay=_delay(lease, terms))
        return Outcome(state="again" if noted else "lost", why=why)


def _fault_of_host(error: Exception, terms: Terms) -> str | None:
    """Why an attempt failed for want of something that this machine should have, if it did."""
    fault = HostError.behind(error)
    if fault is None:
        try:
            check_host(terms)
        except HostError as found:
            fault = found
    return None if fault is None else str(fault)


def _delay(lease: Lease, terms: Terms) -> float:
    """Seconds until a version that failed once more is taken up again."""
    failed = lease.attempts + 1
    if failed == terms.attempts:
        return 0.0  # nothing is tried any more but to say so
    if failed > terms.attempts:
        return terms.again_seconds  # even that was refused, and others wait
    return terms.retry_seconds * BACKOFF**lease.attempts


@contextmanager
def _held(lease: Lease, tools: Tools) -> Iterator[Event]:
    """Renew the lease all the while; the event is set once another worker has taken over."""
    lost, over, seconds = Event(), Event(), tools.terms.lease_seconds

    def renew() -> None:
        until = time.monotonic() + seconds
        while not over.wait(seconds / 3):
            try:
                if not tools.ledger.renew(lease, seconds):
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


def _done(lease: Lease, tools: Tools, lost: Event) -> Outcome:
    ledger, terms, key = tools.ledger, tools.terms, lease.key
    found = listing.listed(key.name, key.version)
    if found is None or key.differences(found.version.ref):
        ledger.finish(lease, None, error="the version is gone")
        return Outcome(state="done", why="the version is gone")
    why = need(found, tools.ring, time.time(), terms)
    if why is None:
        # Recorded by a worker that was killed before it could say so.
        verdict = found.tags.get("governance.status")
        ledger.finish(lease, verdict, run_id=found.tags.get("governance.run_id"))
        return Outcome(state="done", verdict=verdict, why="it was done before")
    version = registry.resolve(found.version.uri)
    if lease.attempts >= terms.attempts:
        error = f"{lease.attempts} attempts failed; the last one: {lease.error}"
        return _undetermined(lease, tools, version, error)
    listing.close_runs(version)
    # What was signed, where it is the waivers alone that differ.
    said = decode(found.tags[APPROVAL]) if why == WAIVERS else None
    try:
        with TemporaryDirectory(prefix="governance-worker-") as scratch:
            return _assessed(lease, tools, version, said, Path(scratch), lost)
    except (PolicyError, SubjectError) as error:
        if (fault := HostError.behind(error)) is not None:
            raise fault from error
        return _undetermined(lease, tools, version, str(error))


def _undetermined(lease: Lease, tools: Tools, version: ModelVersion, error: str) -> Outcome:
    _check_mine(lease, tools)
    leave_undetermined(version, error, tools.key)
    tools.ledger.finish(lease, "undetermined", error=error)
    return Outcome(state="done", verdict="undetermined", why=error)


def _check_mine(lease: Lease, tools: Tools) -> None:
    """Stop where another worker took over, or a person revoked the version, in the meantime."""
    if not tools.ledger.renew(lease, tools.terms.lease_seconds):
        raise _InterruptedError("the lease is lost")
    found = listing.listed(lease.key.name, lease.key.version)
    if found is None or need(found, tools.ring, time.time(), tools.terms) is None:
        raise _InterruptedError("nothing is left to be done")


def _assessed(
    lease: Lease,
    tools: Tools,
    version: ModelVersion,
    said: Statement | None,
    scratch: Path,
    lost: Event,
) -> Outcome:
    name = lease.key.name
    policy = choose(name, listing.model_tags(name), tools.terms, scratch)
    counting, _ = registry.waivers(version, tools.ring)
    again = _judged_again(version, policy, counting, scratch, said) if said else None
    if again is not None:
        return _recorded(lease, tools, version, again, scratch)
    with registry.marked_running(version, key=tools.key):
        assessment = _measured(version, policy, tools, scratch / "room", lost)
        return _recorded(lease, tools, version, _judged_now(assessment, counting), scratch)


def _measured(
    version: ModelVersion, policy: Policy, tools: Tools, room: Path, lost: Event
) -> Assessment:
    """What a confined process measured, held against what it was asked."""
    room.mkdir()
    materials = gather(version, policy, room)
    # Before any code of theirs runs that could change the files.
    digest = model_files.artifact_digest(Path(materials.model))
    request = Request(
        materials=materials,
        policy=policy,
        lineage=registry.lineage(version, policy),
        device=tools.terms.device,
    )
    ending = sandbox.run(
        request, room, tools.terms, interrupted=lambda: tools.stop.is_set() or lost.is_set()
    )
    if ending.kind == "interrupted":
        raise _InterruptedError(ending.error)
    if ending.kind == "refused":
        raise SubjectError(ending.error)
    if ending.kind == "failed":
        raise _FailedError(f"the assessment {ending.error}")
    folder = room / "assessment"
    if folder.is_symlink():
        raise EvidenceError(f"{folder}: is a link; the folder of an assessment is accepted")
    found = Assessment.load(folder)
    if wrong := tuple(_strange(found, version, policy, digest)):
        raise EvidenceError(wrong)
    if any(item.failure is not None for item in found.evidence):
        check_host(tools.terms)  # a full disk or a lost GPU is no evidence about a model
    return found


def _strange(
    found: Assessment, version: ModelVersion, policy: Policy, digest: str
) -> Iterator[str]:
    """How an assessment is not the one that was asked for: the process ran a stranger's model."""
    said = found.identity
    other = tuple(
        name
        for name in ("uri", "model_id", "run_id")
        if getattr(said, name) != getattr(version, name)
    )
    for what in (*other, *version.registered_as.differences(said.ref)):
        yield f"{version.uri}: the assessment is about another {what}"
    if said.artifact_digest != digest:
        yield f"{version.uri}: the assessment is about files with another digest"
    if found.policy != orchestration.judged_by(policy):
        yield f"{version.uri}: the assessment was made under another policy"
    ran = [item.analysis for item in found.evidence]
    asked = [*orchestration.build(policy), *((DRIFT,) if policy.drift is not None else ())]
    if ran != asked:
        yield f"{version.uri}: the assessment holds {ran} and {asked} were asked for"


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
    lease: Lease, tools: Tools, version: ModelVersion, assessment: Assessment, scratch: Path
) -> Outcome:
    """Print and record an assessment, unless another worker has taken over."""
    folder = scratch / "assessment"
    unprinted = keep(assessment, folder)
    _check_mine(lease, tools)
    run_id = registry.record(version, assessment, folder, key=tools.key, unprinted=unprinted)
    verdict = assessment.decision.verdict
    tools.ledger.finish(lease, verdict, run_id=run_id)
    why = f"the reports were not printed: {unprinted}" if unprinted else ""
    return Outcome(state="done", verdict=verdict, why=why)

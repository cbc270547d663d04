"""Sweep: versions in the registry that need work, and protected aliases without an approval.

The sweep believes nothing that a version says of itself, except a statement that was signed by a
key of the keyring, is about this very version, and has not expired. So it makes no difference
whether a webhook was lost, a tag forged, copied or deleted, a version registered past the server or
a model recreated.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from governance.approval import Keyring, Statement
from governance.approval.former_tokens import was_revocation
from governance.approval.lifecycle import LIFECYCLE, state_of
from governance.approval.standing import Standing
from governance.approval.tags import APPROVAL, STATUS, folded
from governance.errors import RegistryError
from governance.records.version_ref import VersionRef
from governance.records.waiver import Waiver
from governance.registry import listing
from governance.registry.approvals import standing_of
from governance.registry.inventory import FIRST
from governance.registry.listing import ListedModel, ListedVersion
from governance.worker.config import WorkerConfig
from governance.worker.job_database import DONE, JobDatabase
from governance.worker.policy_choice import NO_POLICY

__all__ = [
    "INVALID",
    "UNSIGNED",
    "WAIVERS",
    "Need",
    "approves",
    "audit",
    "in_use",
    "need",
    "offer",
]

#: Why a version needs work.
UNSIGNED, OUTDATED, WAITS, EXPIRED, INVALID, REPLACED, WAIVERS, STATUSES, RULED = (
    "no signed statement",
    "signed in the form of earlier releases",
    "pending",
    "expired",
    "invalid statement",
    "replaced statement",
    "waivers changed",
    "status changed",
    "a policy applies now",
)

Log = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a version needs work for.

    Attributes:
        why: Reason.
        statement: Its signed statement, where one of the ring's keys signed one.
    """

    why: str
    statement: Statement | None = None


def need(entry: ListedVersion, ring: Keyring, now: float, config: WorkerConfig) -> Need | None:
    """Why a version needs work; None if its statement counts and is the last word.

    Args:
        entry: The version as it is in the registry.
        ring: Public keys whose signatures count.
        now: Seconds since 1970.
        config: Policies by model name; one may fit by now that did not fit before.

    Raises:
        RegistryError: If its waivers cannot be read.
    """
    answer = _standing(entry, ring, now)
    statement = None if answer is None else answer.statement
    if answer is not None and answer.doubtful("unsigned"):
        return Need(why=UNSIGNED)
    if answer is not None and answer.doubtful("outdated"):
        # A person decided where it is a revocation, whatever form that has.
        return None if was_revocation(entry.tags[APPROVAL]) else Need(why=OUTDATED)
    if answer is None or statement is None:
        return Need(why=INVALID)
    if answer.doubtful("replaced"):
        why: str | None = REPLACED
    elif answer.doubtful("expired"):
        why = EXPIRED
    elif _ruled(entry, statement, config):
        why = RULED
    else:
        why = _unsettled(entry, statement, answer.waivers)
    return None if why is None else Need(why=why, statement=statement)


def _standing(
    entry: ListedVersion, ring: Keyring, now: float, expected: Literal["approved"] | None = None
) -> Standing | None:
    """What the statement of a version says; None where it is damaged in a way nobody thought of.

    One such version must not hide all those that are listed after it.
    """
    try:
        return standing_of(entry.version, ring, now, entry.tags, expected=expected)
    except RegistryError:
        raise
    except Exception:  # noqa: BLE001 - what strangers wrote ends at this version
        return None


def _unsettled(
    entry: ListedVersion, statement: Statement, waivers: tuple[Waiver, ...]
) -> str | None:
    """Why a statement that counts is not the last word; None where it is."""
    state = state_of(statement.kind, statement.verdict)
    if state == "revoked":
        return None  # a person decided
    if LIFECYCLE[state].awaits_verdict:
        return WAITS
    if entry.tags.get(STATUS) != statement.verdict:
        return STATUSES
    # Where nothing was measured there is nothing that could be waived.
    counting = {waiver.token for waiver in waivers}
    return WAIVERS if statement.run_id and counting != set(statement.waivers) else None


def _ruled(entry: ListedVersion, statement: Statement, config: WorkerConfig) -> bool:
    """Whether a version had no policy when it was looked at, and has one now."""
    without = statement.verdict == "undetermined" and statement.detail.startswith(NO_POLICY)
    return without and config.rule(entry.version.registered_as.name) is not None


def offer(
    entries: Iterable[ListedVersion],
    jobs: JobDatabase,
    ring: Keyring,
    config: WorkerConfig,
) -> Iterator[tuple[VersionRef, str]]:
    """Queue the versions that need work.

    Yields:
        Each version that this call queued, and the reason.

    Raises:
        RegistryError: If registry or job database refuse.
    """
    for entry in entries:
        found = need(entry, ring, time.time(), config)
        if found is None:
            continue
        # A person waits for what a new waiver does, and it costs no analysis.
        pause = 0.0 if found.why == WAIVERS else config.again_seconds
        ref = entry.version.registered_as
        if jobs.offer(ref, found.why, again_after=pause):
            yield ref, found.why


def in_use(models: Iterable[ListedModel], config: WorkerConfig) -> Iterator[ListedVersion]:
    """The versions that have a protected alias, those of champions first.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    uses = [
        (folded(alias) != FIRST, model.name, number)
        for model in models
        for alias, number in model.aliases.items()
        if alias not in config.unprotected
    ]
    for _, name, number in sorted(uses):
        found = listing.listed(name, number)
        if found is not None:
            yield found


def audit(
    models: Iterable[ListedModel],
    jobs: JobDatabase,
    ring: Keyring,
    config: WorkerConfig,
    log: Log,
) -> int:
    """Count the protected aliases without an approval; remove them if the configuration says so.

    An alias stays while its version is waiting or in work.

    Raises:
        RegistryError: If registry or job database refuse.
    """
    bare = 0
    for model in models:
        for alias, number in sorted(model.aliases.items()):
            if alias in config.unprotected:
                continue
            found = listing.listed(model.name, number)
            if found is not None and approves(found, ring, time.time()):
                continue
            bare += 1
            about: dict[str, Any] = {"model": model.name, "version": number, "alias": alias}
            row = None if found is None else jobs.find(found.version.registered_as)
            removing = config.remove_aliases and (row is None or row.state == DONE)
            log("alias without approval", **about, removed=removing)
            if removing:
                listing.unset_alias(model.name, alias)
    return bare


def approves(entry: ListedVersion, ring: Keyring, now: float) -> bool:
    """Whether a version carries an approval that counts now, and its status says so."""
    if entry.tags.get(STATUS) != "approved":
        return False
    answer = _standing(entry, ring, now, expected="approved")
    return answer is not None and answer.counts

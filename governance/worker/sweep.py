"""Sweep: versions in the registry that need work, and protected aliases without an approval.

The sweep believes nothing that a version says of itself, except a statement that was signed by a
key of the keyring, is about this very version, and has not expired. So it makes no difference
whether a webhook was lost, a tag forged, copied or deleted, a version registered past the server or
a model recreated.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from governance.approval import Keyring, Statement
from governance.approval.former_tokens import was_revocation
from governance.approval.lifecycle import LIFECYCLE, state_of
from governance.approval.tags import APPROVAL, STATUS
from governance.records.version_ref import VersionRef
from governance.records.waiver import Waiver
from governance.registry import listing
from governance.registry.approvals import standing_of
from governance.registry.listing import ListedModel, ListedVersion
from governance.worker.config import WorkerConfig
from governance.worker.job_database import DONE, JobDatabase
from governance.worker.policy_choice import NO_POLICY

__all__ = ["INVALID", "UNSIGNED", "WAIVERS", "approves", "audit", "need", "offer"]

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


def need(entry: ListedVersion, ring: Keyring, now: float, config: WorkerConfig) -> str | None:
    """Reason why a version needs work; None if its statement counts.

    Args:
        entry: The version as it is in the registry.
        ring: Public keys whose signatures count.
        now: Seconds since 1970.
        config: Policies by model name; one may fit by now that did not fit before.

    Raises:
        RegistryError: If its waivers cannot be read.
    """
    answer = standing_of(entry.version, ring, now, entry.tags)
    statement = answer.statement
    if answer.doubtful("unsigned"):
        return UNSIGNED
    if answer.doubtful("outdated") and was_revocation(entry.tags[APPROVAL]):
        return None  # a person decided
    if statement is None:
        return OUTDATED if answer.doubtful("outdated") else INVALID
    if answer.doubtful("replaced") or answer.doubtful("expired"):
        return REPLACED if answer.doubtful("replaced") else EXPIRED
    if _ruled(entry, statement, config):
        return RULED
    return _unsettled(entry, statement, answer.waivers)


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
        why = need(entry, ring, time.time(), config)
        if why is None:
            continue
        # A person waits for what a new waiver does, and it costs no analysis.
        pause = 0.0 if why == WAIVERS else config.again_seconds
        ref = entry.version.registered_as
        if jobs.offer(ref, why, again_after=pause):
            yield ref, why


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
    return standing_of(entry.version, ring, now, entry.tags, expected="approved").counts

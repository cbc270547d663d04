"""Sweep: what the registry holds that needs work, and aliases that no approval covers.

Nothing a version says of itself is believed but a statement that was signed by a key of the ring,
is about this very version, and has not expired. So it makes no difference whether a webhook was
lost, a tag forged, copied or deleted, a version registered past the server or a model recreated.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from governance.approval import Keyring, Statement, decode
from governance.approval.lifecycle import LIFECYCLE, state_of
from governance.approval.tags import APPROVAL, STATUS
from governance.records.version_ref import VersionRef
from governance.records.waiver import Waiver
from governance.registry import listing
from governance.registry.approvals import standing_of
from governance.registry.listing import ListedModel, ListedVersion
from governance.worker.choice import NO_POLICY
from governance.worker.ledger import DONE, Ledger
from governance.worker.terms import Terms

__all__ = ["INVALID", "UNSIGNED", "WAIVERS", "audit", "need", "offer"]

#: Why a version needs work.
UNSIGNED, WAITS, EXPIRED, INVALID, REPLACED, WAIVERS, STATUSES, RULED = (
    "no signed statement",
    "pending",
    "expired",
    "invalid statement",
    "replaced statement",
    "waivers changed",
    "status changed",
    "a policy applies now",
)

Log = Callable[..., None]


def need(entry: ListedVersion, ring: Keyring, now: float, terms: Terms) -> str | None:
    """Why a version needs work; None where its statement stands.

    Args:
        entry: As it is in the registry.
        ring: Whose signatures count.
        now: Seconds since 1970.
        terms: May know a policy by now for what had none.

    Raises:
        RegistryError: If its waivers cannot be read.
    """
    answer = standing_of(entry.version, ring, now, entry.tags)
    statement = answer.statement
    if answer.doubtful("unsigned"):
        return UNSIGNED
    if statement is None:
        return INVALID
    if answer.doubtful("replaced"):
        return REPLACED
    if answer.doubtful("expired"):
        return EXPIRED
    if _ruled(entry, statement, terms):
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


def _ruled(entry: ListedVersion, statement: Statement, terms: Terms) -> bool:
    """Whether a version had no policy when it was looked at, and has one now."""
    without = statement.verdict == "undetermined" and statement.detail.startswith(NO_POLICY)
    return without and terms.rule(entry.version.registered_as.name) is not None


def offer(
    entries: Iterable[ListedVersion], ledger: Ledger, ring: Keyring, terms: Terms
) -> Iterator[tuple[VersionRef, str]]:
    """Queue the versions that need work.

    Yields:
        Those that were not waiting or in work already, and why they need it.

    Raises:
        RegistryError: If registry or ledger refuse.
    """
    for entry in entries:
        why = need(entry, ring, time.time(), terms)
        if why is None:
            continue
        # A person waits for what a new waiver does, and it costs no analysis.
        pause = 0.0 if why == WAIVERS else terms.again_seconds
        ref = entry.version.registered_as
        if ledger.offer(ref, why, again_after=pause):
            yield ref, why


def audit(
    models: Iterable[ListedModel], ledger: Ledger, ring: Keyring, terms: Terms, log: Log
) -> int:
    """Look at every protected alias; the number of those that no approval covers.

    Where the terms say so they are removed, but not while their version is waiting or in work.

    Raises:
        RegistryError: If registry or ledger refuse.
    """
    bare = 0
    for model in models:
        for alias, number in sorted(model.aliases.items()):
            if alias in terms.unprotected:
                continue
            found = listing.listed(model.name, number)
            if found is not None and approves(found, ring, time.time(), terms):
                continue
            bare += 1
            about: dict[str, Any] = {"model": model.name, "version": number, "alias": alias}
            row = None if found is None else ledger.find(found.version.registered_as)
            removing = terms.remove_aliases and (row is None or row.state == DONE)
            log("alias without approval", **about, removed=removing)
            if removing:
                listing.unset_alias(model.name, alias)
    return bare


def approves(entry: ListedVersion, ring: Keyring, now: float, terms: Terms) -> bool:
    """Whether a version carries a valid approval."""
    if need(entry, ring, now, terms) is not None:
        return False
    said = decode(entry.tags[APPROVAL])
    return said.kind == "verdict" and said.verdict == "approved"

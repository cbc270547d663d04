"""Standing: what the versions of a registry carry, and what its aliases rest on."""

from collections import Counter
from collections.abc import Iterable, Iterator

from governance.approval import Keyring
from governance.approval.lifecycle import awaits_verdict
from governance.approval.protection import UNPROTECTED
from governance.approval.standing import Cause
from governance.approval.tags import RENAMED, replaced_tag
from governance.errors import RegistryError
from governance.registry.approvals import standing_of
from governance.registry.doctor.contradictions import audited, contradictions
from governance.registry.doctor.observation import Observation, ok, problem, some, warning
from governance.registry.listing import ListedVersion, listed, models, newest
from governance.registry.versions import APPROVAL, STATUS

__all__ = ["keyring", "standing"]

#: Why a statement does not count, where that has a cure of its own.
TOLD: tuple[Cause, ...] = ("outdated", "expired")


def standing(ring: Keyring | None, now: float, audit: str | None = None) -> tuple[Observation, ...]:
    """Versions without a verdict, statements that do not count, and aliases that nothing covers.

    Args:
        ring: Whose signatures count; with None no signature is checked.
        now: Seconds since 1970.
        audit: URL of the database that holds the audit; with None it is not looked at.
    """
    try:
        entries = tuple(newest())
        return (
            _unassessed(entries),
            *_signatures(entries, ring, now),
            *contradictions(entries),
            *(() if audit is None else audited(entries, audit)),
            _aliases(ring, now),
        )
    except RegistryError as error:
        return (
            warning("versions", f"cannot be listed: {error}", "run the doctor as another user"),
        )


def keyring(ring: Keyring) -> Observation:
    """Whether root keys signed the ring."""
    if ring.signed:
        return ok("keyring", f"version {ring.version}, signed by root keys")
    return warning(
        "keyring",
        f"the keyring of {len(ring.keys)} keys is not signed: anyone who can write its file "
        "decides whose signatures count",
        "sign it with a root key: governance keys sign",
    )


def _unassessed(entries: Iterable[ListedVersion]) -> Observation:
    waiting = [item.version.uri for item in entries if awaits_verdict(item.tags.get(STATUS))]
    if not waiting:
        return ok("assessments", "every version has a verdict")
    return warning(
        "assessments",
        f"{len(waiting)} versions have no verdict: {some(waiting)}",
        "start the worker, or run: governance sweep",
    )


def _signatures(
    entries: Iterable[ListedVersion], ring: Keyring | None, now: float
) -> Iterator[Observation]:
    # What was signed under another name of its model counts no more, and rightly stands there.
    signed = [
        item
        for item in entries
        if APPROVAL in item.tags and item.tags.get(replaced_tag(item.tags[APPROVAL])) != RENAMED
    ]
    if ring is None:
        yield warning(
            "signatures",
            f"{len(signed)} versions carry a signed statement; none was checked",
            "name the keyring: --keys",
        )
        return
    outcomes = Counter[str]()
    wrong: list[str] = []
    for item in signed:
        answer = standing_of(item.version, ring, now, item.tags)
        if answer.doubtful("invalid") or answer.doubtful("replaced"):
            wrong.append(f"{item.version.uri}: {answer.problems[0]}")
        else:
            cause = next((item for item in TOLD if answer.doubtful(item)), "waivers")
            outcomes["stands" if answer.counts else cause] += 1
    if wrong:
        yield problem(
            "signatures",
            f"{len(wrong)} of {len(signed)} signed statements do not count: {some(wrong)}",
            "give the server, the worker and the doctor the same ring; find out who wrote what no "
            "key of it signed, and assess those versions again",
        )
    if outcomes["outdated"]:
        yield warning(
            "signatures",
            f"{outcomes['outdated']} of {len(signed)} signed statements are not signed in a form "
            "that counts, but in that of earlier releases",
            "assess those versions again, which signs anew: governance sweep; revocations: "
            "governance revoke",
        )
    if outcomes["expired"]:
        yield warning(
            "signatures",
            f"{outcomes['expired']} of {len(signed)} signed statements expired",
            "assess those versions again: governance sweep",
        )
    if outcomes["waivers"]:
        yield warning(
            "signatures",
            f"{outcomes['waivers']} of {len(signed)} signed statements rest on waivers that do not "
            "count any more",
            "have the waivers signed again, or assess those versions again: governance sweep",
        )
    if outcomes["stands"]:
        yield ok("signatures", f"{outcomes['stands']} signed statements verify with the keyring")
    elif not signed:
        yield warning(
            "signatures", "no version carries a signed statement", "give the worker a signing key"
        )


def _aliases(ring: Keyring | None, now: float) -> Observation:
    """Whether protected aliases rest on approvals; files are the gate's to check."""
    checked, bare = 0, []
    for model in models():
        for alias, number in sorted(model.aliases.items()):
            if alias in UNPROTECTED:  # as it is written: the server protects all others
                continue
            checked += 1
            entry = listed(model.name, number)
            why = "there is no such version" if entry is None else _unapproved(entry, ring, now)
            if why is not None:
                bare.append(f"models:/{model.name}@{alias} (version {number}): {why}")
    if bare:
        return problem(
            "aliases in use",
            f"{len(bare)} of {checked} protected aliases rest on no approval: {some(bare)}",
            "assess those versions, or take the alias away; governance worker does so if told to",
        )
    how = "approved" if ring is None else "approved and signed"
    return ok("aliases in use", f"{checked} protected aliases, each on a version that is {how}")


def _unapproved(entry: ListedVersion, ring: Keyring | None, now: float) -> str | None:
    """Why no approval of a version counts under the name that it has; None where one does."""
    status = entry.tags.get(STATUS)
    if ring is not None:
        answer = standing_of(entry.version, ring, now, entry.tags, expected="approved")
        if not answer.counts:
            return answer.problems[0]
    return None if status == "approved" else f"its status is {status}"

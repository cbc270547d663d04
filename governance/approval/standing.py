"""Standing: whether the signed statement on a version counts, for this version, now.

The registry's server, the worker, the gate and the doctor all ask here, and act on the same answer.
A statement counts if a key of the keyring signed it, the key's role may sign such a statement, its
time has come and has not passed, it is about this version and its source, no other statement took
its place, the registry accepts the policy that an approval was given under, and every waiver that
it rests on counts, too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from governance.approval.former_tokens import FormerTokenError, was_revocation
from governance.approval.keyring import Keyring, PublicKey
from governance.approval.lifecycle import LIFECYCLE, State, rank, state_of, step_of
from governance.approval.signed_statements import (
    Signed,
    decode,
    statement_digest,
    unsound,
    verified,
)
from governance.approval.statements import Statement, early, unbound
from governance.approval.tags import APPROVAL, RENAMED, STATUS, WAIVER, replaced_tag
from governance.approval.waivers import counting_waiver, waivers_among
from governance.errors import ApprovalError
from governance.records.version_ref import VersionRef
from governance.records.waiver import Waiver

__all__ = [
    "Cause",
    "Doubt",
    "PolicyAccepted",
    "RegisteredVersion",
    "Standing",
    "admission",
    "last_state",
    "standing",
]

#: Why a statement does not count. `unsigned`: there is none. `outdated`: it is signed in the form
#: of earlier releases. `invalid`: it is forged, malformed, of a key that does not count, too early,
#: or about another version. `replaced`: another one took its place, or its model got another name
#: since. `expired`: its time has passed.
#: `waivers`: a waiver that it rests on does not count. `policy`: the registry does not accept the
#: policy. `verdict`: it says something else than what was expected. `order`: it may not follow the
#: statement that stands, or not stand in this tag.
Cause = Literal[
    "unsigned",
    "outdated",
    "invalid",
    "replaced",
    "expired",
    "waivers",
    "policy",
    "verdict",
    "order",
]

#: Whether an approval may rest on the policy of this title and digest.
PolicyAccepted = Callable[[str | None, str | None], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """A version as its registry holds it now.

    Attributes:
        ref: Which version it is.
        source: What was registered.
        tags: All tags, untrusted.
        authors: Names under which its maker is known; they must not sign its waivers.
    """

    ref: VersionRef
    source: str
    tags: Mapping[str, str]
    authors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One reason why a statement does not count: its cause, and a sentence about the version."""

    cause: Cause
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The signed statement on a version, and every reason why it does not count.

    Attributes:
        statement: What was signed about this version; None where nothing was, or it is invalid.
        signers: The keys that signed it and count, of whatever role.
        waivers: Waivers on the version that count now.
        doubts: Why the statement does not count; empty where it does.
    """

    statement: Statement | None
    signers: tuple[PublicKey, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the statement may be relied on."""
        return not self.doubts

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it does not count, one sentence each."""
        return tuple(doubt.text for doubt in self.doubts)

    def doubtful(self, cause: Cause) -> bool:
        """Whether there is a doubt of this cause."""
        return any(doubt.cause == cause for doubt in self.doubts)


def standing(
    version: RegisteredVersion,
    ring: Keyring,
    now: float,
    *,
    policy_accepted: PolicyAccepted | None = None,
    expected: Literal["approved"] | None = None,
) -> Standing:
    """Whether the signed statement on a version counts now.

    Args:
        version: As its registry holds it.
        ring: Whose signatures count.
        now: Seconds since 1970.
        policy_accepted: Says which policies an approval may rest on; None accepts all.
        expected: Verdict that is needed; None takes whatever was signed.
    """
    token = version.tags.get(APPROVAL)
    if token is None:
        status = version.tags.get(STATUS, "none")
        text = f"carries no signed statement (tag {APPROVAL}; its status is {status})"
        return Standing(statement=None, doubts=(Doubt(cause="unsigned", text=text),))
    return _examined(token, version, ring, now, policy_accepted, expected)


def _examined(
    token: str,
    version: RegisteredVersion,
    ring: Keyring,
    now: float,
    policy_accepted: PolicyAccepted | None,
    expected: str | None = None,
) -> Standing:
    """Whether a token, on a version or meant for it, counts as its signed statement."""
    try:
        signed = verified(token, ring)
    except FormerTokenError as error:
        return _refused(*error.problems, cause="outdated")
    except ApprovalError as error:
        return _refused(*error.problems)
    statement = signed.statement
    waivers, problems = waivers_among(
        version.tags, ring, now, authors=version.authors, ref=version.ref, source=version.source
    )
    doubts = (
        *_misplaced(statement, version, ring.registry, now),
        *_replaced(token, version),
        *_unsupported(statement, waivers, problems, policy_accepted),
        *_unexpected(statement, expected),
    )
    invalid = any(doubt.cause == "invalid" for doubt in doubts)
    return Standing(
        statement=None if invalid else statement,
        signers=() if invalid else signed.signers,
        waivers=waivers,
        doubts=doubts,
    )


def _misplaced(
    statement: Statement, version: RegisteredVersion, registry: str, now: float
) -> Iterator[Doubt]:
    """Why a statement is not about this version, or not about this moment."""
    if early(statement, now):
        text = f"its signed statement is not valid before {_moment(statement.issued)}"
        yield Doubt(cause="invalid", text=text)
    if statement.expires <= now:
        text = f"its signed statement expired at {_moment(statement.expires)}"
        yield Doubt(cause="expired", text=text)
    if statement.kind == "waiver":
        text = f"carries a waiver as its signed statement (tag {APPROVAL})"
        yield Doubt(cause="invalid", text=text)
    for text in unbound(statement, ref=version.ref, source=version.source, registry=registry):
        yield Doubt(cause="invalid", text=text)


def _replaced(token: str, version: RegisteredVersion) -> Iterator[Doubt]:
    """Why a statement counts no more on a version that it once stood on."""
    successor = version.tags.get(replaced_tag(token))
    if successor is None:
        return
    how = f"by the one with sha256 {successor}"
    if successor == RENAMED:
        how = "when its model was renamed, and does not come back with the name"
    yield Doubt(cause="replaced", text=f"its signed statement was replaced {how}")


def _unsupported(
    statement: Statement,
    waivers: tuple[Waiver, ...],
    problems: tuple[str, ...],
    policy_accepted: PolicyAccepted | None,
) -> Iterator[Doubt]:
    """What a statement rests on and should not, or should and does not."""
    title, digest = statement.policy_title, statement.policy_digest
    approves = statement.verdict == "approved"
    if approves and policy_accepted is not None and not policy_accepted(title, digest):
        yield Doubt(
            cause="policy",
            text=f"was approved under {title!r} ({digest}), a policy that this registry does not "
            "accept",
        )
    lost = set(statement.waivers) - {waiver.token for waiver in waivers}
    if lost:
        yield Doubt(cause="waivers", text=f"rests on {len(lost)} waivers that do not count")
        for text in problems:
            yield Doubt(cause="waivers", text=text)


def _unexpected(statement: Statement, expected: str | None) -> Iterator[Doubt]:
    if expected is None or statement.verdict == expected:
        return
    text = f"has the signed verdict {statement.verdict}, and {expected} is needed"
    if statement.kind == "revocation":
        text = f"was revoked: {statement.detail}"
    yield Doubt(cause="verdict", text=text)


def admission(
    key: str,
    token: str,
    version: RegisteredVersion,
    ring: Keyring,
    now: float,
    *,
    policy_accepted: PolicyAccepted | None = None,
) -> Standing:
    """Whether a signed statement may be put on a version under a tag.

    Args:
        key: Name of the tag.
        token: Value of the tag, untrusted.
        version: As its registry holds it.
        ring: Whose signatures count.
        now: Seconds since 1970.
        policy_accepted: Says which policies an approval may rest on; None accepts all.
    """
    if key != APPROVAL and not key.startswith(WAIVER):
        return _refused("follows from a signed statement")
    try:
        signed = verified(token, ring)
        if problems := unsound(token, ring):
            return _refused(*problems)  # what does not count is not kept beside what does
        if signed.statement.kind == "waiver":
            counting_waiver(
                key, token, ring, now,
                authors=version.authors, ref=version.ref, source=version.source,
            )  # fmt: skip
            return Standing(statement=signed.statement, signers=signed.signers)
    except FormerTokenError as error:
        return _refused(*error.problems, cause="outdated")
    except ApprovalError as error:
        return _refused(*error.problems)
    statement = signed.statement
    found = _examined(token, version, ring, now, policy_accepted)
    # What does not approve needs no support: a rejection stands whatever became of its waivers.
    approves = statement.verdict == "approved"
    doubts = [doubt for doubt in found.doubts if approves or doubt.cause != "waivers"]
    texts = [] if key == APPROVAL else [f"a {statement.kind} is kept under {APPROVAL}"]
    texts += _out_of_order(signed, version, now)
    doubts += [Doubt(cause="order", text=text) for text in texts]
    return replace(found, doubts=tuple(doubts))


def _refused(*texts: str, cause: Cause = "invalid") -> Standing:
    doubts = tuple(Doubt(cause=cause, text=text) for text in texts)
    return Standing(statement=None, doubts=doubts)


def _out_of_order(signed: Signed, version: RegisteredVersion, now: float) -> Iterator[str]:
    """Why a statement may not follow the one that stands, by the table of the lifecycle."""
    statement, held = signed.statement, version.tags.get(APPROVAL)
    stands = None if held is None else statement_digest(held)
    if stands == signed.digest:
        return  # the same, perhaps with other signatures
    named = stands is not None and statement.replaces == stands
    # A revocation ends whatever stands, so that nothing that comes in between holds it up.
    if statement.replaces is not None and not named and statement.kind != "revocation":
        yield "replaces another statement than the one that stands on the version; sign a new one"
    if held is not None and was_revocation(held) and statement.kind != "revocation":
        yield "was revoked, in the form of earlier releases; that is final; register it again"
    before = _decoded(held)
    if stands is None or before is None:
        return
    state = _state(before, now)
    order = LIFECYCLE[state].follow[step_of(statement.kind, statement.verdict)]
    if order == "never":
        yield f"was {state}, which is final; register the model again"
    elif order == "always":
        return
    elif statement.issued < before.issued:
        yield (
            f"was issued at {statement.issued}, and what stands on the version at {before.issued}; "
            "a newer statement is accepted"
        )
    elif not named and _precedence(statement, signed.digest) < _precedence(before, stands):
        yield (
            f"was issued in the same second as the {state_of(before.kind, before.verdict)} that "
            "stands on the version and takes precedence"
        )


def _precedence(statement: Statement, digest: str) -> tuple[int, int, str]:
    """Sorts statements about one version by when they count, never two alike."""
    return statement.issued, rank(statement.kind, statement.verdict), digest


def last_state(version: RegisteredVersion, now: float) -> State:
    """The state of a version by the last statement on it, whoever signed that."""
    held = version.tags.get(APPROVAL)
    if held is not None and was_revocation(held):
        return "revoked"
    before = _decoded(held)
    return "pending" if before is None else _state(before, now)


def _state(statement: Statement, now: float) -> State:
    return state_of(statement.kind, statement.verdict, expired=statement.expires <= now)


def _decoded(token: str | None) -> Statement | None:
    """What a token says; None where it is none, so that whatever is signed may replace it."""
    try:
        return None if token is None else decode(token)
    except ApprovalError:
        return None


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()

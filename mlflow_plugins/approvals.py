"""Approvals: what the registry asks of a signed statement before it counts, as sentences.

Pure: versions come in as plain facts, refusals go out as text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from governance.approval import (
    Keyring,
    Statement,
    check_approver,
    decode,
    read,
    unbound,
    waiver_tag,
    waivers_among,
)
from governance.approval.tags import APPROVAL, AUTHOR, PENDING, RUNNING, STATUS, WAIVER
from governance.errors import ApprovalError
from governance.records.version_ref import VersionRef
from mlflow_plugins.protection import Protection

__all__ = ["Facts", "acceptable", "revoked", "standing"]

PASSING = (RUNNING, PENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A version as the registry holds it now.

    Attributes:
        ref: Which version it is.
        source: What was registered.
        tags: All of them.
        user: Who made it, as MLflow says, if it does.
    """

    ref: VersionRef
    source: str
    tags: Mapping[str, str]
    user: str | None = None

    @property
    def uri(self) -> str:
        """Of the version, never an alias."""
        return self.ref.uri

    @property
    def authors(self) -> tuple[str, ...]:
        """Under which names its maker is known to the server."""
        return tuple(name for name in (self.tags.get(AUTHOR), self.user) if name)


def standing(facts: Facts, protection: Protection, now: float) -> Statement:
    """The approval that a version has now.

    Raises:
        ApprovalError: If it has none that counts; says which command helps.
    """
    ring, token = protection.ring(), facts.tags.get(APPROVAL)
    cure = _cure(facts)
    if token is None:
        status = facts.tags.get(STATUS, "none")
        raise ApprovalError(f"has no signed approval (its status is {status}); {cure}")
    try:
        statement = read(token, ring, now)
    except ApprovalError as error:
        raise ApprovalError((*error.problems, cure)) from error
    problems = (
        *_unbound(statement, facts),
        *_unapproved(statement),
        *_weak(statement, facts, protection, ring, now),
    )
    if problems:
        raise ApprovalError((*problems, cure))
    return statement


def acceptable(facts: Facts, key: str, token: str, protection: Protection, now: float) -> Statement:
    """A signed statement that may be put on a version under a tag.

    Raises:
        ApprovalError: If it may not.
    """
    ring = protection.ring()
    if key != APPROVAL and not key.startswith(WAIVER):
        raise ApprovalError(f"follows from a signed statement; {_cure(facts)}")
    try:
        statement = read(token, ring, now)
    except ApprovalError as error:
        raise ApprovalError((*error.problems, _cure(facts))) from error
    problems = list(_unbound(statement, facts))
    if statement.kind == "waiver":
        if key != waiver_tag(token):
            problems.append(f"a waiver is kept under {waiver_tag(token)}")
        check_approver(statement, ring, facts.authors)
    elif key != APPROVAL:
        problems.append(f"a {statement.kind} is kept under {APPROVAL}")
    else:
        problems += _overtaken(statement, token, facts)
        if statement.verdict == "approved":
            problems += _weak(statement, facts, protection, ring, now)
    if problems:
        raise ApprovalError(problems)
    return statement


def revoked(facts: Facts) -> bool:
    """Whether the last word about a version is a revocation, which nothing may follow."""
    try:
        return decode(facts.tags.get(APPROVAL, "")).kind == "revocation"
    except ApprovalError:
        return False


def _cure(facts: Facts) -> str:
    return (
        f"assess it: governance assess {facts.uri} --policy FILE --signing-key KEY, or let the "
        "worker do it"
    )


def _unbound(statement: Statement, facts: Facts) -> tuple[str, ...]:
    return unbound(statement, ref=facts.ref, source=facts.source)


def _unapproved(statement: Statement) -> Iterator[str]:
    if statement.kind == "revocation":
        yield f"was revoked: {statement.detail}"
    elif statement.verdict != "approved":
        yield f"has the signed verdict {statement.verdict}, and approved is needed"


def _weak(
    statement: Statement, facts: Facts, protection: Protection, ring: Keyring, now: float
) -> Iterator[str]:
    """What an approval rests on and should not, or should and does not."""
    if not protection.accepts(statement.policy_title, statement.policy_digest):
        yield (
            f"was approved under {statement.policy_title!r} ({statement.policy_digest}), a policy "
            "that this registry does not accept"
        )
    found, problems = waivers_among(
        facts.tags,
        ring,
        now,
        authors=facts.authors,
        ref=facts.ref,
        source=facts.source,
    )
    lost = set(statement.waivers) - {waiver.token for waiver in found}
    if lost:
        yield f"rests on {len(lost)} waivers that do not count"
        yield from problems


def _overtaken(statement: Statement, token: str, facts: Facts) -> Iterator[str]:
    """Why a statement is too late: something newer stands, or nothing can follow."""
    held = facts.tags.get(APPROVAL)
    try:
        before = decode(held) if held is not None else None
    except ApprovalError:
        return  # written past the registry; whatever is signed may replace it
    if before is None or held == token:
        return
    if before.kind == "revocation":
        yield "was revoked, which is final; register the model again"
    elif statement.issued < before.issued:
        yield (
            f"was issued at {statement.issued}, and what stands on the version at {before.issued}; "
            "a newer statement is accepted"
        )
    elif (
        statement.issued == before.issued
        and statement.kind == "verdict"
        and not {before.verdict, statement.verdict} & set(PASSING)
    ):
        yield f"was issued in the same second as the {before.verdict} that stands on the version"

"""Waivers: which signed waivers of a version count, and who must not sign them."""

from collections.abc import Collection, Mapping

from governance.approval.keyring import Keyring, PublicKey
from governance.approval.signed_statements import Signed, read, statement_digest
from governance.approval.statements import unbound
from governance.approval.tags import WAIVER
from governance.errors import ApprovalError
from governance.records.version_ref import VersionRef
from governance.records.waiver import Waiver

__all__ = [
    "check_approver",
    "counting_waiver",
    "made_by",
    "one_owner",
    "waiver_tag",
    "waivers_among",
]


def waiver_tag(token: str) -> str:
    """Name of the tag that holds a signed waiver."""
    return f"{WAIVER}{statement_digest(token)[:16]}"


def waivers_among(
    tags: Mapping[str, str],
    ring: Keyring,
    now: float,
    *,
    authors: Collection[str] = (),
    ref: VersionRef,
    source: str | None,
) -> tuple[tuple[Waiver, ...], tuple[str, ...]]:
    """The waivers on a version that count now, and why the others do not.

    Args:
        tags: All tags of the version, untrusted.
        ring: Whose signatures count.
        now: Seconds since 1970.
        authors: Names under which the version's maker is known.
        ref: The version at hand.
        source: What was registered as that version.

    Returns:
        Waivers in order of their tags, and one sentence per problem.
    """
    counting: list[Waiver] = []
    problems: list[str] = []
    for key in sorted(key for key in tags if key.startswith(WAIVER)):
        try:
            counting.append(
                counting_waiver(key, tags[key], ring, now, authors=authors, ref=ref, source=source)
            )
        except ApprovalError as error:
            problems += [f"{key}: {problem}" for problem in error.problems]
    return tuple(counting), tuple(problems)


def counting_waiver(
    key: str,
    token: str,
    ring: Keyring,
    now: float,
    *,
    authors: Collection[str],
    ref: VersionRef,
    source: str | None,
) -> Waiver:
    """The waiver in a tag of a version, if it counts for the version now.

    Args:
        key: Name of the tag.
        token: Value of the tag, untrusted.
        ring: Whose signatures count.
        now: Seconds since 1970.
        authors: Names under which the version's maker is known.
        ref: The version at hand.
        source: What was registered as that version.

    Raises:
        ApprovalError: If it does not count.
    """
    signed = read(token, ring, now)
    problems = [*unbound(signed.statement, ref=ref, source=source, registry=ring.registry)]
    if key != waiver_tag(token):
        problems.append(f"is another one's tag; this waiver is kept under {waiver_tag(token)}")
    if problems:
        raise ApprovalError(problems)
    return _waiver(signed, authors)


def check_approver(signed: Signed, authors: Collection[str]) -> PublicKey:
    """The approver's key that signed a waiver, if somebody else than the version's maker did.

    Args:
        signed: A waiver, as read.
        authors: Names under which the version's maker is known.

    Raises:
        ApprovalError: If the owners of all such keys are among the authors; letter case does not
            count.
    """
    approvers = [key for key in signed.signers if key.role == "approver"]
    others = [key for key in approvers if not made_by(key, authors)]
    if not others:
        statement = signed.statement
        raise ApprovalError(
            f"waiver of {statement.metric}: {approvers[0].owner} made {statement.ref.name} version "
            f"{statement.ref.version}; a waiver is given by someone else"
        )
    return others[0]


def made_by(key: PublicKey, authors: Collection[str]) -> bool:
    """Whether the owner of a key is among the makers of a version."""
    return one_owner(key.owner) in {one_owner(name) for name in authors}


def one_owner(name: str) -> str:
    """A name as it is compared with others: letter case and blanks around it do not count."""
    return name.strip().casefold()


def _waiver(signed: Signed, authors: Collection[str]) -> Waiver:
    statement = signed.statement
    if statement.kind != "waiver" or statement.metric is None or statement.bound is None:
        raise ApprovalError(
            f"a {statement.kind} of {statement.ref.name} version {statement.ref.version} where a "
            "waiver is accepted"
        )
    return Waiver(
        metric=statement.metric,
        bound=statement.bound,
        reason=statement.detail,
        approver=check_approver(signed, authors).owner,
        issued=statement.issued,
        expires=statement.expires,
        token=signed.digest,
    )

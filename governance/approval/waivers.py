"""Waivers: which signed waivers of a version count, and who must not sign them."""

from collections.abc import Collection, Mapping

from governance.approval.keys import Keyring
from governance.approval.statements import Statement, read, token_digest, unbound
from governance.approval.tags import WAIVER
from governance.errors import ApprovalError
from governance.records.version_ref import VersionRef
from governance.records.waiver import Waiver

__all__ = ["check_approver", "counting_waiver", "waiver_tag", "waivers_among"]


def waiver_tag(token: str) -> str:
    """Name of the tag that holds a signed waiver."""
    return f"{WAIVER}{token_digest(token)[:16]}"


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
    statement = read(token, ring, now)
    problems = [*unbound(statement, ref=ref, source=source)]
    if key != waiver_tag(token):
        problems.append(f"is another one's tag; this waiver is kept under {waiver_tag(token)}")
    if problems:
        raise ApprovalError(problems)
    check_approver(statement, ring, authors)
    return _waiver(statement, token, ring)


def check_approver(statement: Statement, ring: Keyring, authors: Collection[str]) -> None:
    """Refuse a waiver that the maker of the version signed.

    Args:
        statement: The waiver, as read from its token.
        ring: Keyring with the key that signed it.
        authors: Names under which the version's maker is known.

    Raises:
        ApprovalError: If the owner of the key is among the authors; letter case does not count.
    """
    key = ring.find(statement.key)
    owner = key.owner if key is not None else ""
    if owner.strip().casefold() in {name.strip().casefold() for name in authors}:
        raise ApprovalError(
            f"waiver of {statement.metric}: {owner} made {statement.ref.name} version "
            f"{statement.ref.version}; a waiver is given by someone else"
        )


def _waiver(statement: Statement, token: str, ring: Keyring) -> Waiver:
    key = ring.find(statement.key)
    if (
        statement.kind != "waiver"
        or statement.metric is None
        or statement.bound is None
        or key is None
    ):
        raise ApprovalError(
            f"a {statement.kind} of {statement.ref.name} version {statement.ref.version} where a "
            "waiver is accepted"
        )
    return Waiver(
        metric=statement.metric,
        bound=statement.bound,
        reason=statement.detail,
        approver=key.owner,
        issued=statement.issued,
        expires=statement.expires,
        token=token_digest(token),
    )

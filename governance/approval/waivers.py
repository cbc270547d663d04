"""Waivers: which signed waivers of a version count, and by whom they must not be given."""

from collections.abc import Iterable, Mapping

from governance.approval.keys import Keyring
from governance.approval.statements import Statement, read, token_digest, unbound
from governance.approval.tags import WAIVER
from governance.errors import ApprovalError
from governance.records.waiver import Waiver

__all__ = ["check_approver", "waiver_of", "waiver_tag", "waivers_among"]


def waiver_tag(token: str) -> str:
    """The tag that holds a signed waiver."""
    return f"{WAIVER}{token_digest(token)[:16]}"


def waiver_of(token: str, ring: Keyring, now: float) -> Waiver:
    """The record of a signed waiver, which an assessment keeps.

    Raises:
        ApprovalError: If it cannot be relied on, or is no waiver.
    """
    return _waiver(read(token, ring, now), token, ring)


def waivers_among(
    tags: Mapping[str, str],
    ring: Keyring,
    now: float,
    *,
    authors: Iterable[str] = (),
    name: str,
    version: str,
    created: int | None,
    source: str | None,
) -> tuple[tuple[Waiver, ...], tuple[str, ...]]:
    """The waivers on a version that count, and why the others do not.

    Args:
        tags: Of the version.
        ring: Whose signatures count.
        now: Seconds since 1970.
        authors: Under which names the version's maker is known.
        name: Of the registered model.
        version: Of the registered model.
        created: Milliseconds since 1970.
        source: What was registered.

    Returns:
        Waivers in order of their tags, and one sentence per problem.
    """
    found: list[Waiver] = []
    problems: list[str] = []
    makers = tuple(authors)
    for key in sorted(key for key in tags if key.startswith(WAIVER)):
        token = tags[key]
        try:
            statement = read(token, ring, now)
            wrong = unbound(statement, name=name, version=version, created=created, source=source)
            if wrong or key != waiver_tag(token):
                problems += [f"{key}: {item}" for item in wrong or ("is another one's tag",)]
                continue
            check_approver(statement, ring, makers)
            found.append(_waiver(statement, token, ring))
        except ApprovalError as error:
            problems += [f"{key}: {problem}" for problem in error.problems]
    return tuple(found), tuple(problems)


def check_approver(statement: Statement, ring: Keyring, authors: Iterable[str]) -> None:
    """Refuse a waiver by who made the version.

    Args:
        statement: As read from its token.
        ring: Knows the owner of the key.
        authors: Under which names the version's maker is known.

    Raises:
        ApprovalError: If the owner of the key is among the authors; letter case does not count.
    """
    key = ring.find(statement.key)
    owner = key.owner if key is not None else ""
    if owner.strip().casefold() in {name.strip().casefold() for name in authors}:
        raise ApprovalError(
            f"waiver of {statement.metric}: {owner} made {statement.name} version "
            f"{statement.version}; a waiver is given by someone else"
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
            f"a {statement.kind} of {statement.name} version {statement.version} where a waiver is "
            "accepted"
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

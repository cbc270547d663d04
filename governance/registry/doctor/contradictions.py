"""Contradictions: what stands on versions and cannot have come about through a governed registry.

Someone wrote past the server, restored a part of a backup, or used a release that let it happen.
"""

from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy

from governance.approval import decode, statement_digest
from governance.approval.tags import APPROVAL, PENDING, RENAMED, STATUS, plain, replaced_tag
from governance.errors import ApprovalError, RegistryError, SubjectError
from governance.registry.audit import reading
from governance.registry.doctor.observation import Observation, ok, problem, some, warning
from governance.registry.listing import ListedVersion

__all__ = ["audited", "contradictions"]

CURE = "find out who can write past the server, and assess those versions again"
#: The statements that the server accepted for versions, in order.
ACCEPTED = """
    SELECT model, version, created, token FROM governance_audit
    WHERE action = 'set_model_version_tag' AND alias = :tag AND outcome = 'allowed' ORDER BY id
"""


def contradictions(entries: Iterable[ListedVersion]) -> tuple[Observation, ...]:
    """Versions whose tags do not follow from their signed statement, or whose statement came back.

    Signatures are not looked at here.
    """
    signed = [item for item in entries if APPROVAL in item.tags]
    differing = [sentence for item in signed for sentence in _differences(item)]
    if differing:
        found = f"{len(differing)} tags cannot have come about rightly: {some(differing)}"
        return (problem("tags", found, CURE),)
    return (ok("tags", f"the tags of {len(signed)} versions follow from their signed statements"),)


def _differences(entry: ListedVersion) -> Iterator[str]:
    token, uri = entry.tags[APPROVAL], entry.version.uri
    successor = entry.tags.get(replaced_tag(token))
    if successor not in {None, RENAMED}:
        yield f"{uri}: carries a statement that was replaced before"
        return
    try:
        expected = plain(decode(token))
    except ApprovalError:
        return  # a matter of signatures
    if successor == RENAMED:
        expected = {**dict.fromkeys(expected), STATUS: PENDING}
    for key, value in sorted(expected.items()):
        if entry.tags.get(key) != value:
            says = "nothing" if value is None else repr(value)
            yield f"{uri}: {key} is {entry.tags.get(key)!r} and its statement says {says}"


def audited(entries: Iterable[ListedVersion], database: str) -> tuple[Observation, ...]:
    """Versions that carry another statement than the last one that the server accepted for them.

    Args:
        entries: All versions.
        database: URL of the database that holds the audit.
    """
    try:
        accepted = _accepted(database)
    except (RegistryError, SubjectError) as error:
        return (warning("audit", str(error), "name its database: --audit sqlite:///mlflow.db"),)
    other, unnamed, same = [], [], 0
    for entry in entries:
        ref, token = entry.version.registered_as, entry.tags.get(APPROVAL)
        last = accepted.get((ref.name, ref.version, ref.created))
        if last is None and (token is None or replaced_tag(token) in entry.tags):
            continue  # nothing stands, or what the audit names under another name of the model
        if last is None:
            unnamed.append(entry.version.uri)
        elif token is None or statement_digest(token) != last:
            other.append(entry.version.uri)
        else:
            same += 1
    return tuple(_told(other, unnamed, same))


def _told(other: list[str], unnamed: list[str], same: int) -> Iterator[Observation]:
    if other:
        found = f"{len(other)} versions carry another statement than was accepted last"
        yield problem("audit", f"{found}: {some(other)}", CURE)
    if unnamed:
        found = f"{len(unnamed)} versions carry a statement that the audit does not name"
        cure = "look whether they are older than the audit, or were renamed; else see the server"
        yield warning("audit", f"{found}: {some(unnamed)}", cure)
    if not other:
        yield ok("audit", f"{same} versions carry the statement that was accepted last")


def _accepted(database: str) -> Mapping[tuple[str, str, int], str]:
    """sha256 of the last statement that was accepted, by name, number and creation time.

    The audit has no column for the workspace, in which the creation time tells versions apart.
    """
    with reading(database) as connection:
        rows = connection.execute(sqlalchemy.text(ACCEPTED), {"tag": APPROVAL})
        return {(row.model, row.version, row.created): row.token for row in rows}

"""Keyring: whose signatures count, for which kind of statement, and until when.

A keyring is a TOML file of public keys, each with its owner and its role. It is
described in `docs/reference/approvals.md`:

    registry = "production"               # optional: statements of no other registry count
    version = 3                           # raised whenever the ring is signed

    [[keys]]
    public = "<base64>"
    owner = "assessment worker"
    role = "assessor"
    not_before = 2026-11-22T00:00:00Z
    not_after = 2027-11-22T00:00:00Z      # optional: no statement issued later counts
    revoked = 2027-01-01T12:00:00Z        # optional: nothing signed with it counts any more

The file of root keys has the same form. It names the ring that they signed, and is named where a
ring is asked for (`signed_rings`):

    ring = "keyring.signed.json"
    threshold = 2                         # optional: how many owners of root keys have to sign

To exchange a key, add the new one, sign with it, and set `not_after` of the old one.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from governance.approval.printable import unprintable
from governance.approval.public_keys import ACCEPTED, PublicHalf, key_id, public_from, written
from governance.errors import ApprovalError
from governance.records import bounded
from governance.records.decoding import INVALID, decode

__all__ = ["LARGEST", "Keyring", "PublicKey", "Role", "content_of"]

#: What a key may sign: an assessor verdicts, an approver waivers and revocations, a root the ring,
#: a signer the files of models.
Role = Literal["assessor", "approver", "root", "signer"]

#: Maximum size of a ring's file in bytes, and maximum number of its keys.
LARGEST = 262_144
MOST_KEYS = 500
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key of a keyring: whose it is, what it may sign, and when.

    Attributes:
        public: The key itself, in base64.
        owner: Name of the person or machine that signs with it.
        role: Kind of statement that the key may sign.
        not_before: Statements issued earlier do not count.
        not_after: Statements issued later do not count. Earlier ones count until they expire.
        revoked: Time of revocation. Nothing that the key signed counts any more, whenever it says
            it was signed, since a thief could date a statement back.
    """

    public: PublicHalf
    owner: str
    role: Role
    not_before: datetime
    not_after: datetime | None = None
    revoked: datetime | None = None

    @property
    def id(self) -> str:
        """Id under which signatures name the key."""
        return key_id(self.public)

    def unusable(self, issued: float) -> str | None:
        """Why what the key signed at a time, in seconds since 1970, does not count; else None."""
        if self.revoked is not None:
            return f"the key {self.id} of {self.owner} was revoked at {self.revoked.isoformat()}"
        late = self.not_after is not None and issued > self.not_after.timestamp()
        if issued < int(self.not_before.timestamp()) or late:
            return f"issued at {issued:.0f}, when the key {self.id} of {self.owner} was not in use"
        return None

    def toml(self) -> str:
        """The key as a table of a keyring's file."""
        times = {
            "not_before": self.not_before,
            "not_after": self.not_after,
            "revoked": self.revoked,
        }
        lines = [
            "[[keys]]",
            f'public = "{written(self.public)}"',
            # JSON's strings, without its escapes of other letters, are TOML's.
            f"owner = {json.dumps(self.owner, ensure_ascii=False)}",
            f'role = "{self.role}"',
            *(f"{name} = {time.isoformat()}" for name, time in times.items() if time is not None),
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The public keys whose signatures count.

    Attributes:
        keys: The keys.
        registry: Name of the registry whose statements count; those of all if not given.
        version: Version of the ring, raised whenever it is signed; 0 if it was never signed.
        ring: File of the ring that these root keys sign; not for other keys.
        threshold: Number of owners of these root keys who have to sign the ring.
        signed: Whether root keys signed this ring.
        digest: sha256 of the file, in hexadecimal.
    """

    keys: tuple[PublicKey, ...]
    registry: str = ""
    version: int = 0
    ring: str = ""
    threshold: int = 1
    signed: bool = False
    digest: str = ""

    def __post_init__(self) -> None:
        ids = [key.id for key in self.keys]
        if twice := sorted({item for item in ids if ids.count(item) > 1}):
            raise ApprovalError(
                f"the keys {twice} stand twice; a key has one owner and one role, so that nobody "
                "waives what they assess"
            )
        if self.ring and any(key.role != "root" for key in self.keys):
            raise ApprovalError(
                "names the keyring that its keys sign; then all are of the role root"
            )

    @classmethod
    def load(cls, path: Path) -> "Keyring":
        """Read a keyring from a TOML file.

        Raises:
            ApprovalError: All problems at once; also if the file cannot be read, or holds no key.
        """
        return cls.read(content_of(path), str(path))

    @classmethod
    def read(cls, content: bytes, where: str) -> "Keyring":
        """The keyring in the bytes of a TOML file.

        Raises:
            ApprovalError: All problems at once.
        """
        try:
            text = content.decode("utf-8-sig")
        except ValueError as error:
            raise ApprovalError(f"{where}: not valid TOML: {error}") from error
        ring = cls.from_data(bounded.toml_data(text, where, ApprovalError), where)
        return replace(ring, digest=hashlib.sha256(content).hexdigest())

    @classmethod
    def from_data(cls, data: dict[str, Any], where: str) -> "Keyring":
        """The keyring in the tables of a TOML file.

        Raises:
            ApprovalError: All problems at once.
        """
        tables = data.get("keys")
        if not isinstance(tables, list) or not 0 < len(tables) <= MOST_KEYS:
            raise ApprovalError(
                f"{where}: holds {sorted(data)}; one to {MOST_KEYS} [[keys]] are accepted"
            )
        problems: list[str] = []
        head = decode(_Head, {key: data[key] for key in data if key != "keys"}, where, problems)
        keys = [_public_key(item, f"{where}: keys[{i}]", problems) for i, item in enumerate(tables)]
        if head is not INVALID:
            problems += [f"{where}: {problem}" for problem in head.problems]
        if problems:
            raise ApprovalError(problems)
        try:
            known = tuple(key for key in keys if key is not None)
            return cls(
                known, registry=head.registry, version=head.version, ring=head.ring,
                threshold=head.threshold,
            )  # fmt: skip
        except ApprovalError as error:
            raise ApprovalError(f"{where}: {error}") from error

    @classmethod
    def add(cls, path: Path, key: PublicKey, head: str = "") -> "Keyring":
        """Add a key at the end of a keyring's file; without a file, one is made.

        Args:
            path: The file.
            key: The key.
            head: How a new file begins.

        Raises:
            ApprovalError: If the file is no keyring, holds the key already, or cannot be written.
        """
        content = content_of(path) if path.exists() else head.encode()
        text = content.decode("utf-8-sig", errors="replace")
        whole = f"{text.rstrip()}\n\n{key.toml()}".lstrip()
        ring = cls.read(whole.encode(), str(path))
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(whole, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise ApprovalError(f"{path}: cannot be written: {error.strerror}") from error
        return ring

    def find(self, key_id: str) -> PublicKey | None:
        """The key of an id; None where the keyring holds none."""
        return next((key for key in self.keys if key.id == key_id), None)

    def signer(self, key_id: str, issued: float, where: str) -> PublicKey:
        """The key of an id, if what it signed at a time counts.

        Args:
            key_id: Id that a signature names.
            issued: Time of signing, in seconds since 1970.
            where: Name of the statement in messages.

        Raises:
            ApprovalError: If there is no such key, it was revoked, or was not in use at the time.
        """
        key = self.find(key_id)
        if key is None:
            raise ApprovalError(
                f"{where}: signed with the key {key_id[:64]!r}, which is not in the keyring"
            )
        if (problem := key.unusable(issued)) is not None:
            raise ApprovalError(f"{where}: {problem}")
        return key


def content_of(path: Path, largest: int = LARGEST) -> bytes:
    """The bytes of a public file, of bounded size.

    Raises:
        ApprovalError: If it cannot be read, is no plain file, or is too large.
    """
    try:
        return bounded.content_of(path, largest, ApprovalError)
    except OSError as error:
        raise ApprovalError(f"{path}: cannot be read as a keyring: {error.strerror}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What stands above the keys of a keyring's file."""

    registry: str = ""
    version: int = 0
    ring: str = ""
    threshold: int = 1

    @property
    def problems(self) -> tuple[str, ...]:
        name, number = unprintable(self.registry, LONGEST_NAME), self.version
        low = f"is {number}; a whole number from 0 to {2**31} is accepted"
        return (
            *(() if name is None else (f"registry: {name}",)),
            *(() if 0 <= number <= 2**31 else (f"version: {low}",)),
            *(() if self.threshold >= 1 else ("threshold: a whole number from 1 is accepted",)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyTable:
    """One table `[[keys]]` of a keyring's file, as written."""

    public: str
    owner: str
    role: Role
    not_before: datetime
    not_after: datetime | None = None
    revoked: datetime | None = None


def _public_key(item: Any, where: str, problems: list[str]) -> PublicKey | None:
    """The key in one table of a keyring's file; None where its problems were noted."""
    before = len(problems)
    table = decode(_KeyTable, item, where, problems)
    found = item if isinstance(item, dict) else {}
    owner, public = found.get("owner"), public_from(found.get("public"))
    if isinstance(owner, str) and not owner.strip():
        problems.append(f"{where}.owner: is empty; a name is needed")
    elif isinstance(owner, str) and (why := unprintable(owner, LONGEST_NAME)) is not None:
        problems.append(f"{where}.owner: {why}")
    if isinstance(found.get("public"), str) and public is None:
        problems.append(f"{where}.public: {ACCEPTED}, of a group in which nobody can forge")
    times = {name: found.get(name) for name in ("not_before", "not_after", "revoked")}
    problems += [
        f"{where}.{name}: is {time} without a time zone; a time such as 2026-11-22T00:00:00Z is "
        "needed"
        for name, time in times.items()
        if isinstance(time, datetime) and time.tzinfo is None
    ]
    if len(problems) > before or public is None:
        return None
    return PublicKey(
        public=public,
        owner=table.owner,
        role=table.role,
        not_before=table.not_before.astimezone(UTC),
        not_after=table.not_after and table.not_after.astimezone(UTC),
        revoked=table.revoked and table.revoked.astimezone(UTC),
    )

"""Keys: who may sign what, and until when.

A private key is one PEM file (PKCS 8) that nobody else may read. The ring of public keys is a TOML
file that says of each whose it is and what it may sign; `docs/approvals.md` describes it:

    [[keys]]
    public = "<base64>"
    owner = "assessment worker"
    role = "assessor"
    not_before = 2026-11-22T00:00:00Z
    not_after = 2027-11-22T00:00:00Z      # optional: no statement issued later counts
    revoked = 2027-01-01T12:00:00Z        # optional: nothing signed with it counts any more

A key is exchanged by adding the new one, signing with it, and closing the old one by `not_after`.
"""

import base64
import binascii
import hashlib
import json
import os
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from governance.errors import ApprovalError

__all__ = ["Keyring", "PrivateKey", "PublicKey", "Role"]

#: An assessor signs verdicts, an approver waivers and revocations.
Role = Literal["assessor", "approver"]

#: Permissions that a private key must not have: others any, the group more than reading.
OPEN = 0o037
ACCEPTED = ("public", "owner", "role", "not_before", "not_after", "revoked")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key to sign with; its id is the start of the sha256 of its public half."""

    secret: Ed25519PrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        """What statements call the key."""
        return _id(self.secret.public_key())

    @classmethod
    def new(cls, path: Path) -> "PrivateKey":
        """Make a key and keep it in a new file that its owner alone may read.

        Raises:
            ApprovalError: If the file exists or cannot be written.
        """
        key = cls(Ed25519PrivateKey.generate())
        content = key.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ApprovalError(
                f"{path}: cannot be made ({error.strerror}); a new file in a folder that exists is "
                "accepted, a key is never overwritten"
            ) from error
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        return key

    @classmethod
    def load(cls, path: Path) -> "PrivateKey":
        """The key in a file.

        Raises:
            ApprovalError: If there is none, or others than its owner (and, reading, group) could
                take it.
        """
        try:
            mode = path.stat().st_mode & 0o777
            content = path.read_bytes()
        except OSError as error:
            raise ApprovalError(
                f"{path}: cannot be read as a key: {error.strerror}; make one with: "
                "governance keys new"
            ) from error
        if mode & OPEN:
            raise ApprovalError(
                f"{path}: its permissions are {mode:03o}, so that others could sign with it; "
                "600 is accepted, and 640 and 440 for a group"
            )
        try:
            secret = load_pem_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ApprovalError(
                f"{path}: is no private key as `governance keys new` makes"
            ) from error
        if not isinstance(secret, Ed25519PrivateKey):
            raise ApprovalError(f"{path}: is no Ed25519 key; `governance keys new` makes one")
        return cls(secret)

    def public(self, *, owner: str, role: Role, not_before: datetime) -> "PublicKey":
        """Its public half, for the ring."""
        return PublicKey(
            public=self.secret.public_key(), owner=owner, role=role, not_before=not_before
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """Whose signatures are known by this key, what they may say, and when.

    Attributes:
        public: The key.
        owner: A person or a machine, by name.
        role: What may be signed with it.
        not_before: Statements issued earlier do not count.
        not_after: Statements issued later do not count; those before do until they expire.
        revoked: Since when nobody relies on the key; whatever it signed does not count, since who
            stole it could date it back.
    """

    public: Ed25519PublicKey
    owner: str
    role: Role
    not_before: datetime
    not_after: datetime | None = None
    revoked: datetime | None = None

    @property
    def id(self) -> str:
        """What statements call the key."""
        return _id(self.public)

    def toml(self) -> str:
        """The key as a table of the ring's file."""
        times = {
            "not_before": self.not_before,
            "not_after": self.not_after,
            "revoked": self.revoked,
        }
        lines = [
            "[[keys]]",
            f'public = "{base64.b64encode(_raw(self.public)).decode()}"',
            # JSON's strings, without its escapes of other letters, are TOML's.
            f"owner = {json.dumps(self.owner, ensure_ascii=False)}",
            f'role = "{self.role}"',
            *(f"{name} = {time.isoformat()}" for name, time in times.items() if time is not None),
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The public keys that count."""

    keys: tuple[PublicKey, ...]

    def __post_init__(self) -> None:
        ids = [key.id for key in self.keys]
        if twice := sorted({item for item in ids if ids.count(item) > 1}):
            raise ApprovalError(
                f"the keys {twice} stand twice; a key has one owner and one role, so that nobody "
                "waives what they assess"
            )

    @classmethod
    def load(cls, path: Path) -> "Keyring":
        """The ring in a TOML file.

        Raises:
            ApprovalError: All problems at once; also if the file cannot be read, or holds no key.
        """
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ApprovalError(f"{path}: cannot be read as a ring: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ApprovalError(f"{path}: not valid TOML: {error}") from error
        return cls.from_data(data, str(path))

    @classmethod
    def from_data(cls, data: dict[str, Any], where: str) -> "Keyring":
        """The ring in the tables of a TOML file.

        Raises:
            ApprovalError: All problems at once.
        """
        tables = data.get("keys")
        if set(data) != {"keys"} or not isinstance(tables, list) or not tables:
            raise ApprovalError(f"{where}: holds {sorted(data)}; one or more [[keys]] are accepted")
        problems: list[str] = []
        keys = [_public_key(item, f"{where}: keys[{i}]", problems) for i, item in enumerate(tables)]
        if problems:
            raise ApprovalError(problems)
        try:
            return cls(tuple(key for key in keys if key is not None))
        except ApprovalError as error:
            raise ApprovalError(f"{where}: {error}") from error

    @classmethod
    def add(cls, path: Path, key: PublicKey) -> "Keyring":
        """Add a key at the end of a ring's file, which is made if there is none.

        Raises:
            ApprovalError: If the file is no ring, holds the key already, or cannot be written.
        """
        try:
            text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
            whole = f"{text.rstrip()}\n\n{key.toml()}".lstrip()
            ring = cls.from_data(tomllib.loads(whole), str(path))
            partial = path.with_name(f".{path.name}.partial")
            partial.write_text(whole, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise ApprovalError(f"{path}: cannot be written: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ApprovalError(f"{path}: not valid TOML: {error}") from error
        return ring

    def find(self, key_id: str) -> PublicKey | None:
        """The key of that id."""
        return next((key for key in self.keys if key.id == key_id), None)

    def signer(self, key_id: str, issued: int, where: str) -> PublicKey:
        """The key of that id, if what it signed at that time counts.

        Args:
            key_id: As a statement names it.
            issued: Seconds since 1970.
            where: What to call the statement in messages.

        Raises:
            ApprovalError: If there is no such key, it was revoked, or was not in use at the time.
        """
        key = self.find(key_id)
        if key is None:
            raise ApprovalError(
                f"{where}: signed with the key {key_id[:32]!r}, which is not in the ring"
            )
        if key.revoked is not None:
            raise ApprovalError(
                f"{where}: the key {key.id} of {key.owner} was revoked at {key.revoked.isoformat()}"
            )
        late = key.not_after is not None and issued > key.not_after.timestamp()
        if issued < int(key.not_before.timestamp()) or late:
            raise ApprovalError(
                f"{where}: issued at {issued}, when the key {key.id} of {key.owner} was not in use"
            )
        return key


def _public_key(item: Any, where: str, problems: list[str]) -> PublicKey | None:
    before = len(problems)
    if not isinstance(item, dict):
        problems.append(f"{where}: is {item!r}; a table is accepted")
        return None
    problems += [
        f"{where}.{key}: unknown key; accepted are {', '.join(ACCEPTED)}"
        for key in sorted(set(item) - set(ACCEPTED))
    ]
    times = {name: _time(item, name, where, problems) for name in ACCEPTED[3:]}
    owner, role = item.get("owner"), item.get("role")
    if not isinstance(owner, str) or not owner.strip():
        problems.append(f"{where}.owner: is {owner!r}; a name is needed")
    if role not in get_args(Role):
        problems.append(f"{where}.role: is {role!r}; one of {get_args(Role)} is needed")
    try:
        raw = base64.b64decode(str(item.get("public", "")), validate=True)
        public = Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, binascii.Error):
        problems.append(f"{where}.public: the 32 bytes of an Ed25519 key in base64 are needed")
    if len(problems) > before:
        return None
    return PublicKey(
        public=public,
        owner=str(owner),
        role=cast("Role", role),
        not_before=cast("datetime", times["not_before"]),
        not_after=times["not_after"],
        revoked=times["revoked"],
    )


def _time(item: dict[str, Any], name: str, where: str, problems: list[str]) -> datetime | None:
    value = item.get(name)
    if value is None and name != "not_before":
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        problems.append(
            f"{where}.{name}: is {value!r}; a time such as 2026-11-22T00:00:00Z is needed"
        )
        return None
    return value.astimezone(UTC)


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(_raw(key)).hexdigest()[:16]

"""Keys: whose signatures count, for which kind of statement, and until when.

A private key is one PEM file (PKCS 8) that only its owner may read. A keyring is a TOML file of
public keys, each with its owner and its role. `docs/approvals.md` describes it:

    [[keys]]
    public = "<base64>"
    owner = "assessment worker"
    role = "assessor"
    not_before = 2026-11-22T00:00:00Z
    not_after = 2027-11-22T00:00:00Z      # optional: no statement issued later counts
    revoked = 2027-01-01T12:00:00Z        # optional: nothing signed with it counts any more

To exchange a key, add the new one, sign with it, and set `not_after` of the old one.
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
from typing import Any, Literal

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
from governance.records.decoding import decode

__all__ = ["Keyring", "PrivateKey", "PublicKey", "Role"]

#: What a key may sign: an assessor signs verdicts, an approver signs waivers and revocations.
Role = Literal["assessor", "approver"]

#: Permission bits that a private key must not have: any for others, and all but reading for the
#: group.
OPEN = 0o037


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key to sign with. Its id is the first 16 digits of the sha256 of its public half."""

    secret: Ed25519PrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        """Id under which statements name the key."""
        return _id(self.secret.public_key())

    @classmethod
    def new(cls, path: Path) -> "PrivateKey":
        """Make a key and keep it in a new file that only its owner may read.

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
        """Read a key from a file.

        Raises:
            ApprovalError: If the file holds no Ed25519 key, or its permissions let others use it.
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
        """The public half of the key, for a keyring."""
        return PublicKey(
            public=self.secret.public_key(), owner=owner, role=role, not_before=not_before
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key of a keyring: whose it is, what it may sign, and when.

    Attributes:
        public: The key itself.
        owner: Name of the person or machine that signs with it.
        role: Kind of statement that the key may sign.
        not_before: Statements issued earlier do not count.
        not_after: Statements issued later do not count. Earlier ones count until they expire.
        revoked: Time of revocation. Nothing that the key signed counts any more, whenever it says
            it was signed, since a thief could date a statement back.
    """

    public: Ed25519PublicKey
    owner: str
    role: Role
    not_before: datetime
    not_after: datetime | None = None
    revoked: datetime | None = None

    @property
    def id(self) -> str:
        """Id under which statements name the key."""
        return _id(self.public)

    def toml(self) -> str:
        """The key as a table of a keyring's file."""
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
    """The public keys whose signatures count."""

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
        """Read a keyring from a TOML file.

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
        """The keyring in the tables of a TOML file.

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
        """Add a key at the end of a keyring's file; without a file, one is made.

        Raises:
            ApprovalError: If the file is no keyring, holds the key already, or cannot be written.
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
        """The key of an id; None where the keyring holds none."""
        return next((key for key in self.keys if key.id == key_id), None)

    def signer(self, key_id: str, issued: int, where: str) -> PublicKey:
        """The key of an id, if what it signed at a time counts.

        Args:
            key_id: Id that a statement names.
            issued: Time of signing, in seconds since 1970.
            where: Name of the statement in messages.

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
    written = item if isinstance(item, dict) else {}
    owner, public = written.get("owner"), _decoded_key(written.get("public"))
    if isinstance(owner, str) and not owner.strip():
        problems.append(f"{where}.owner: is empty; a name is needed")
    if isinstance(written.get("public"), str) and public is None:
        problems.append(f"{where}.public: the 32 bytes of an Ed25519 key in base64 are needed")
    times = {name: written.get(name) for name in ("not_before", "not_after", "revoked")}
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


def _decoded_key(text: Any) -> Ed25519PublicKey | None:
    """The key that a text holds in base64; None where it holds none."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(str(text), validate=True))
    except (ValueError, binascii.Error):
        return None


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(_raw(key)).hexdigest()[:16]

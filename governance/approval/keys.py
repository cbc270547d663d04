"""Private keys: one PEM file (PKCS 8) a key, which only its owner may read.

Whatever signs is a `Signer`: a key in a file of this process, or another process that holds it.
"""

import os
import secrets
import stat
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from governance.approval.keyring import PublicKey, Role
from governance.approval.public_keys import key_id
from governance.approval.signing_requests import Grounds
from governance.errors import ApprovalError

__all__ = ["Algorithm", "PrivateKey", "Signer"]

Algorithm = Literal["ed25519", "p256"]

#: Permission bits that a private key must not have: any for others, and all but reading for the
#: group.
OPEN = 0o037
#: Maximum size of a key's file in bytes.
LARGEST = 16_384


class Signer(Protocol):
    """What holds a private key and signs with it, here or in a process of its own."""

    @property
    def id(self) -> str:
        """Id under which signatures name the key."""

    def sign(self, message: bytes) -> bytes:
        """The key's signature of a message."""

    def public(self, *, owner: str, role: Role, not_before: datetime) -> PublicKey:
        """The public half of the key, for a keyring."""

    def on(self, grounds: Grounds) -> "Signer":
        """The same key, told what the statements to be signed must follow from."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key to sign with, read from a file."""

    secret: Ed25519PrivateKey | EllipticCurvePrivateKey = field(repr=False)

    @property
    def id(self) -> str:
        """Id under which signatures name the key."""
        return key_id(self.secret.public_key())

    def sign(self, message: bytes) -> bytes:
        """The key's signature of a message: 64 bytes of Ed25519, or ECDSA in DER with SHA-256."""
        from securesystemslib.signer import CryptoSigner, SSlibKey

        public = SSlibKey.from_crypto(self.secret.public_key(), keyid=self.id)
        return bytes.fromhex(CryptoSigner(self.secret, public).sign(message).signature)

    def public(self, *, owner: str, role: Role, not_before: datetime) -> PublicKey:
        """The public half of the key, for a keyring."""
        return PublicKey(
            public=self.secret.public_key(), owner=owner, role=role, not_before=not_before
        )

    def on(self, grounds: Grounds) -> "PrivateKey":  # noqa: ARG002 - for keys of other processes
        """The same key; whoever holds it in this process has seen to the grounds."""
        return self

    @classmethod
    def new(cls, path: Path, algorithm: Algorithm = "ed25519") -> "PrivateKey":
        """Make a key and keep it in a new file that only its owner may read.

        Raises:
            ApprovalError: If the file exists or cannot be written.
        """
        made = Ed25519PrivateKey.generate()
        key = cls(made if algorithm == "ed25519" else generate_private_key(SECP256R1()))
        content = key.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                # Unlike a rename, a link takes the place of nothing.
                os.link(partial, path, follow_symlinks=False)
            finally:
                partial.unlink()
        except OSError as error:
            raise ApprovalError(
                f"{path}: cannot be made ({error.strerror}); a new file in a folder that exists is "
                "accepted, a key is never overwritten"
            ) from error
        return key

    @classmethod
    def load(cls, path: Path) -> "PrivateKey":
        """Read a key from a file.

        Raises:
            ApprovalError: If the file holds no key of the two kinds, is a link, belongs to somebody
                else, or its permissions let others use it.
        """
        content = _secret(path)
        try:
            secret = load_pem_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ApprovalError(
                f"{path}: is no private key as `governance keys new` makes"
            ) from error
        p256 = isinstance(secret, EllipticCurvePrivateKey) and isinstance(secret.curve, SECP256R1)
        if p256 or isinstance(secret, Ed25519PrivateKey):
            return cls(secret)  # type: ignore[arg-type] # one of the two by now
        raise ApprovalError(
            f"{path}: is no Ed25519 key and no P-256 key; `governance keys new` makes one"
        )


def _secret(path: Path) -> bytes:
    """The content of a file that nobody else could have written or may read, opened once."""
    # Without waiting for whoever writes into a pipe.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
        try:
            if (problem := _unsafe(os.fstat(descriptor))) is not None:
                raise ApprovalError(f"{path}: {problem}")
            return os.read(descriptor, LARGEST)
        finally:
            os.close(descriptor)
    except OSError as error:
        why = "is a link; the file itself is accepted" if path.is_symlink() else error.strerror
        raise ApprovalError(
            f"{path}: cannot be read as a key: {why}; make one with: governance keys new"
        ) from error


def _unsafe(about: os.stat_result) -> str | None:
    """Why a file of a private key is not accepted; None where it is."""
    mode = stat.S_IMODE(about.st_mode)
    if not stat.S_ISREG(about.st_mode):
        return "is no plain file; a PEM file is accepted"
    if about.st_uid not in {os.geteuid(), 0}:
        return f"belongs to user {about.st_uid}; one of this user or of root is accepted"
    if mode & OPEN:
        return (
            f"its permissions are {mode:03o}, so that others could sign with it; 600 is accepted, "
            "and 640 and 440 for a group"
        )
    if about.st_size > LARGEST:
        return f"has {about.st_size} bytes; {LARGEST} are accepted"
    return None

"""Signed rings: keyrings that root keys signed, of versions that only rise.

A root key is kept offline. Whoever reads signatures holds the file of root keys, which names the
ring: an envelope around the ring's TOML. So a ring can be sent anywhere by anybody. A reader that
remembers takes no earlier version than the last one; the registry's server remembers in its audit,
the worker in its job database. The idea is that of TUF's root role (theupdateframework.io).

A file of other keys is a ring that nobody signed. It counts where no root keys are named.
"""

import re
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from governance.approval.envelopes import countersigned, opened, sealed, signed_by, text_of
from governance.approval.keyring import LARGEST, Keyring, content_of
from governance.approval.keys import Signer
from governance.approval.waivers import one_owner
from governance.errors import ApprovalError

__all__ = ["RingFiles", "check_not_older", "load_ring", "read_files", "ring_in", "sign_ring"]

#: Type of an envelope that holds a ring.
RING = "application/vnd.mlflow-governance.keyring+toml"
#: Maximum length of the envelope in characters: the ring in base64, and signatures.
LONGEST = LARGEST * 2
VERSION = re.compile(r"^version[ \t]*=.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RingFiles:
    """What a ring is read from: one file of keys, and the ring that root keys in it signed."""

    where: str
    keys: bytes
    signed: bytes | None = None


def load_ring(path: Path) -> Keyring:
    """The ring in a file, or the one that the root keys in a file signed.

    Raises:
        ApprovalError: If it cannot be read, or the root keys did not sign it.
    """
    return ring_in(read_files(path))


def read_files(path: Path) -> RingFiles:
    """The files of a ring, as they are now.

    Raises:
        ApprovalError: If one cannot be read.
    """
    content = content_of(path)
    named = Keyring.read(content, str(path)).ring
    signed = content_of(path.parent / named, LONGEST) if named else None
    return RingFiles(where=str(path), keys=content, signed=signed)


def ring_in(files: RingFiles) -> Keyring:
    """The ring that files hold.

    Raises:
        ApprovalError: If the root keys did not sign it, or it is no ring.
    """
    found = Keyring.read(files.keys, files.where)
    if files.signed is None:
        return found
    where = f"{files.where}: the keyring {found.ring}"
    try:
        envelope = opened(files.signed.decode("ascii", errors="replace"), RING, LONGEST)
    except ApprovalError as error:
        raise ApprovalError(f"{where}: is not signed: {error}") from error
    # A root key has no time of signing that it could not choose; only revoking it ends it.
    everlasting = tuple(replace(key, not_after=None) for key in found.keys)
    latest = max(key.not_before.timestamp() for key in found.keys)
    signers, problems = signed_by(envelope, Keyring(everlasting), latest, where)
    owners = {one_owner(key.owner) for key in signers}
    if len(owners) < found.threshold:
        few = f"signed by {len(owners)} owners of root keys; {found.threshold} are needed"
        raise ApprovalError([f"{where}: {few}: governance keys sign", *problems.values()])
    ring = Keyring.read(envelope.payload, where)
    if ring.version < 1 or ring.ring:
        raise ApprovalError(f"{where}: has no version; `governance keys sign` gives it one")
    return replace(ring, signed=True)


def check_not_older(ring: Keyring, version: int, digest: str) -> None:
    """Refuse a signed ring that is older than one that was seen before.

    Args:
        ring: As read.
        version: Highest version that was seen.
        digest: sha256 of the ring of that version.

    Raises:
        ApprovalError: If its version is lower, or the same and its content another.
    """
    if (ring.version, ring.digest) != (version, digest) and ring.version <= version:
        raise ApprovalError(
            f"the keyring has version {ring.version}, and version {version} was in use before; a "
            "later one is accepted: governance keys sign"
        )


def sign_ring(path: Path, key: Signer, out: Path) -> Keyring:
    """Sign a ring with a root key; where another one signed the same before, beside its signature.

    A ring that changed since it was signed gets the next version.

    Args:
        path: File of the ring; its version is written into it.
        key: Private key of a root.
        out: File of the signed ring.

    Returns:
        The ring, with its version.

    Raises:
        ApprovalError: If one of the files is not what it should be, or cannot be written.
    """
    content = content_of(path)
    ring = Keyring.read(content, str(path))
    if ring.ring:
        raise ApprovalError(
            f"{path}: holds root keys; the keyring that they are to sign is accepted"
        )
    before = None
    if out.exists():
        before = opened(content_of(out, LONGEST).decode("ascii", errors="replace"), RING, LONGEST)
    if before is not None and before.payload == content:
        _write(out, text_of(countersigned(before, key), LONGEST).encode())
        return ring
    last = 0 if before is None else Keyring.read(before.payload, str(out)).version
    content = _with_version(content.decode("utf-8-sig"), max(ring.version, last + 1)).encode()
    ring = Keyring.read(content, str(path))
    _write(out, text_of(sealed(content, RING, key), LONGEST).encode())
    _write(path, content)
    return ring


def _with_version(text: str, version: int) -> str:
    """A ring's TOML with another version, above its keys."""
    line = f"version = {version}"
    head, table, rest = text.partition("[[keys]]")
    head = VERSION.sub(line, head) if VERSION.search(head) else f"{line}\n\n{head.lstrip()}"
    return f"{head}{table}{rest}"


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ApprovalError(f"{path}: cannot be written: {error.strerror}") from error

"""Remote keys: a key that another process holds, which is asked on a socket to sign."""

import socket
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from governance.approval.envelopes import payload_in
from governance.approval.keyring import PublicKey, Role
from governance.approval.public_keys import PublicHalf, key_id, public_from
from governance.approval.signed_statements import IN_TOTO
from governance.approval.signing_requests import (
    Grounds,
    SigningAnswer,
    SigningRequest,
    received,
    send,
)
from governance.errors import ApprovalError

__all__ = ["RemoteKey"]

SECONDS = 60.0  # for one request and its answer; the process serves one after another


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteKey:
    """A key to sign with, held by `governance signer`.

    Attributes:
        path: Socket of that process.
        half: Public half of the key.
        grounds: What the next statement must follow from.
    """

    path: Path
    half: PublicHalf
    grounds: Grounds

    @classmethod
    def at(cls, path: Path) -> "RemoteKey":
        """The key behind a socket.

        Raises:
            ApprovalError: If nobody answers there.
        """
        answer = _asked(path, SigningRequest())
        half = public_from(answer.public)
        if half is None:
            raise ApprovalError(f"{path}: answers with no public key")
        return cls(path=path, half=half, grounds=Grounds())

    @property
    def id(self) -> str:
        """Id under which signatures name the key."""
        return key_id(self.half)

    def on(self, grounds: Grounds) -> "RemoteKey":
        """The key, asked to sign what follows from other grounds."""
        return replace(self, grounds=grounds)

    def sign(self, message: bytes) -> bytes:
        """The key's signature of a statement, if it follows from the grounds.

        Raises:
            ApprovalError: If the process refuses, does not answer, or holds another key by now.
        """
        payload = payload_in(message, IN_TOTO).decode()
        answer = _asked(self.path, SigningRequest(payload=payload, grounds=self.grounds))
        if answer.problems:
            raise ApprovalError(f"the signer refuses: {problem}" for problem in answer.problems)
        if (half := public_from(answer.public)) is None or key_id(half) != self.id:
            raise ApprovalError(f"{self.path}: holds another key than at the start; restart")
        if not answer.signature:
            raise ApprovalError(f"{self.path}: answers with no signature")
        return bytes.fromhex(answer.signature)

    def public(self, *, owner: str, role: Role, not_before: datetime) -> PublicKey:
        """The public half of the key, for a keyring."""
        return PublicKey(public=self.half, owner=owner, role=role, not_before=not_before)


def _asked(path: Path, request: SigningRequest) -> SigningAnswer:
    deadline = time.monotonic() + SECONDS
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(path))
            send(connection, request, deadline)
            return received(SigningAnswer, connection, deadline)
    except OSError as error:
        raise ApprovalError(
            f"{path}: no signer answers ({error.strerror or error}); the socket of a running "
            "`governance signer` that lists this user is accepted"
        ) from error

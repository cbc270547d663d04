"""Signer process: holds an assessor's key, and signs what it has judged again itself.

It is asked on a Unix socket, by users that are named to it; the kernel says who asks. It reads
nothing but JSON, imports neither torch nor MLflow, and opens no connection. Each answer is a line
of its log, which those who ask cannot write to.
"""

import ctypes
import errno
import json
import logging
import os
import resource
import socket
import stat
import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from governance.approval.envelopes import enveloped
from governance.approval.keys import PrivateKey
from governance.approval.public_keys import written
from governance.approval.signable import SigningTerms, check_signable
from governance.approval.signed_statements import IN_TOTO
from governance.approval.signing_requests import SigningAnswer, SigningRequest, received, send
from governance.errors import ApprovalError, GovernanceError

__all__ = ["SignerProcess", "seal_memory"]

SECONDS = 30.0  # for one request and its answer
LOOK = 0.5  # seconds between looks at whether it is told to end
WAITING = 16  # connections
SHOWN = 500  # characters of a problem in a line
PEER = struct.Struct("3i")  # process, user and group, as SO_PEERCRED has them
DUMPABLE = 4  # from <linux/prctl.h>

#: What a request can be wrong in; none of it ends the process.
BEYOND_REPAIR = (
    GovernanceError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RecursionError,
)  # fmt: skip

logger = logging.getLogger("governance.signer")


def seal_memory() -> None:
    """Let no other process of this user read this one's memory, and leave no core file."""
    ctypes.CDLL(None, use_errno=True).prctl(DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerProcess:
    """A key behind a socket.

    Attributes:
        key: Private key of an assessor.
        terms: What it signs, whoever asks.
        users: Ids of the users who may ask.
    """

    key: PrivateKey
    terms: SigningTerms
    users: frozenset[int]

    def serve(self, path: Path, ended: Event) -> None:
        """Answer at a socket, one request after another, until an event is set.

        Raises:
            ApprovalError: If the socket cannot be made.
        """
        with _listening(path) as listener:
            self._log("started", key=self.key.id, registry=self.terms.registry)
            try:
                while not ended.is_set():
                    try:
                        connection, _ = listener.accept()
                    except TimeoutError:
                        continue
                    with connection:
                        self._serve(connection)
            finally:
                path.unlink(missing_ok=True)
        self._log("ended")

    def _serve(self, connection: socket.socket) -> None:
        """Answer one request; whoever is too slow gets none."""
        process, user, _ = PEER.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        )
        about = {"user": user, "process": process}
        if user not in self.users:
            self._log("refused", **about, why="the user is not named to this signer")
            return
        deadline = time.monotonic() + SECONDS
        try:
            try:
                answer = self._answer(received(SigningRequest, connection, deadline), about)
            except BEYOND_REPAIR as error:
                damage = f"a request that cannot be understood: {type(error).__name__}"
                problems = error.printed if isinstance(error, GovernanceError) else (damage,)
                answer = SigningAnswer(public=self._public, problems=problems)
                self._log("refused", **about, why="; ".join(problems)[:SHOWN])
            send(connection, answer, deadline)
        except OSError as error:
            self._log("broken", **about, why=str(error)[:SHOWN])

    def _answer(self, request: SigningRequest, about: dict[str, Any]) -> SigningAnswer:
        if not request.payload:
            return SigningAnswer(public=self._public)
        verdict = check_signable(request, self.terms, self.key, time.time())
        message = enveloped(request.payload.encode(), IN_TOTO).pae()
        signature = self.key.sign(message).hex()
        self._log(
            "signed", **about, version=verdict.ref.uri, workspace=verdict.ref.workspace,
            created=verdict.ref.created, verdict=verdict.verdict, run=verdict.run_id,
            assessment=verdict.assessment_digest, beside=bool(request.grounds.verdict),
        )  # fmt: skip
        return SigningAnswer(public=self._public, signature=signature)

    @property
    def _public(self) -> str:
        return written(self.key.secret.public_key())

    @staticmethod
    def _log(event: str, **about: Any) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        logger.info("%s", json.dumps({"time": moment, "event": event, **about}))


def _listening(path: Path) -> socket.socket:
    """A socket at a path, in the place of one that a process before left there."""
    listener, partial = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), f"{path}.partial"
    try:
        Path(partial).unlink(missing_ok=True)
        listener.bind(partial)
        # Whoever reaches it may ask; who it is says the kernel, and `users` whether it counts.
        Path(partial).chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
        listener.listen(WAITING)
        # Whoever finds the socket is answered: it appears where it is looked for once it listens.
        if path.exists() and not path.is_socket():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        Path(partial).rename(path)
    except OSError as error:
        listener.close()
        raise ApprovalError(
            f"--socket {path}: cannot be made ({error.strerror or error}); a new path in a folder "
            "that this user may write to is accepted"
        ) from error
    listener.settimeout(LOOK)
    return listener

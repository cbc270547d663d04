"""Relay: the one way from a confined process to a scoring server, over a socket it was given.

The process opens no connection and knows no secret. It sends the bodies of requests; whoever
started it, outside, sends them to the one server of this assessment and hands back what comes.

```
request  4 bytes of length, the body; without a body it asks for the account
answer   1 byte of kind, 4 bytes of length, the body of the answer or a problem
```
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from governance.errors import HostError, SubjectError
from governance.records.identity import ServedBy
from governance.records.serialisation import from_data, to_data
from governance.subject.flavours.invocations import LARGEST_REQUEST
from governance.subject.flavours.scoring_server import LARGEST_ANSWER, Ask

__all__ = ["Relayed", "relayed"]

REQUEST, ANSWER = struct.Struct("!I"), struct.Struct("!cI")
SCORED, REFUSED, FAILED = b"A", b"S", b"H"


class Relayed:
    """The server of this assessment, as a confined process reaches it."""

    def __init__(self, held: socket.socket) -> None:
        self._held = held

    def __call__(self, body: bytes) -> bytes:
        """The answer to a request.

        Raises:
            HostError: If the server does not answer, or nobody relays any more.
            SubjectError: If it refuses the request, or answers beyond a limit.
        """
        try:
            self._held.sendall(REQUEST.pack(len(body)) + body)
            kind, length = ANSWER.unpack(_taken(self._held, ANSWER.size))
            answer = _taken(self._held, length)
        except OSError as error:
            raise HostError(f"the scoring server cannot be reached any more: {error}") from error
        if kind == SCORED:
            return answer
        problem = answer.decode(errors="replace")
        raise SubjectError(problem) if kind == REFUSED else HostError(problem)

    def account(self) -> ServedBy:
        """Which server answered, and how many requests were sent once more."""
        found: ServedBy = from_data(ServedBy, json.loads(self(b"")))
        return found


@contextmanager
def relayed(ask: Ask) -> Iterator[socket.socket]:
    """Relay to a server while the block runs; gives the end that the process is handed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Thread(target=_relay, args=(ours, ask), name="relay", daemon=True).start()
        try:
            yield theirs
        finally:
            with suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)


def _relay(held: socket.socket, ask: Ask) -> None:
    """Answer until the other end is closed, or sends what is no request."""
    with suppress(OSError):
        try:
            while True:
                (length,) = REQUEST.unpack(_taken(held, REQUEST.size))
                if length > LARGEST_REQUEST:
                    return
                kind, answer = _answer(ask, _taken(held, length))
                held.sendall(ANSWER.pack(kind, len(answer)) + answer)
        finally:
            # Or the process would wait for an answer that nobody gives.
            held.shutdown(socket.SHUT_RDWR)


def _answer(ask: Ask, body: bytes) -> tuple[bytes, bytes]:
    try:
        return SCORED, ask(body) if body else json.dumps(to_data(ask.account())).encode()
    except SubjectError as error:
        return REFUSED, str(error).encode()
    except HostError as error:
        return FAILED, str(error).encode()


def _taken(held: socket.socket, length: int) -> bytes:
    """Exactly so many bytes.

    Raises:
        OSError: If fewer come.
    """
    if length > max(LARGEST_REQUEST, LARGEST_ANSWER):
        raise ConnectionError(f"{length} bytes were announced")
    parts = bytearray()
    while len(parts) < length:
        chunk = held.recv(min(length - len(parts), 2**20))
        if not chunk:
            raise ConnectionError("the other end is closed")
        parts += chunk
    return bytes(parts)

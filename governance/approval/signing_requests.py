"""Signing requests: what the process that holds the key is asked, and its answer, on a socket.

Each is one object of canonical JSON after eight bytes of its length. A request holds a statement
and its grounds: the texts that the statement must follow from.
"""

import socket
import time
from dataclasses import dataclass, field
from typing import TypeVar

from governance.errors import ApprovalError
from governance.records.serialisation import canonical, from_data, parse, to_data

__all__ = ["LARGEST", "Grounds", "SigningAnswer", "SigningRequest", "received", "send"]

#: Maximum size of a request in bytes; most of it is the record.
LARGEST = 64 * 2**20
HEAD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What a statement must follow from.

    Attributes:
        record: Text of `assessment.json`; empty where nothing was measured.
        manifest: Text of the record's `manifest.json`.
        verdict: The verdict, as bytes to be signed, that a statement for other tools stands beside.
        before: Signed verdict that an interrupted assessment puts back.
    """

    record: str = ""
    manifest: str = ""
    verdict: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """A statement to be signed; an empty one asks for the public key alone.

    Attributes:
        payload: The statement, as bytes to be signed.
        grounds: What it must follow from.
    """

    payload: str = ""
    grounds: Grounds = field(default_factory=Grounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningAnswer:
    """What the process that holds the key answers.

    Attributes:
        public: Public half of the key.
        signature: Signature in hexadecimal digits; empty where nothing was signed.
        problems: Why nothing was signed.
    """

    public: str
    signature: str = ""
    problems: tuple[str, ...] = ()


Kind = TypeVar("Kind", SigningRequest, SigningAnswer)


def send(
    connection: socket.socket, message: SigningRequest | SigningAnswer, deadline: float
) -> None:
    """Send a request or an answer.

    Args:
        connection: Socket, connected.
        message: What is sent.
        deadline: Until when, by `time.monotonic`.

    Raises:
        OSError: If it cannot be sent in time.
    """
    content = canonical(to_data(message))
    rest = memoryview(len(content).to_bytes(HEAD, "big") + content)
    while rest:
        connection.settimeout(_left(deadline))
        rest = rest[connection.send(rest) :]


def received(kind: type[Kind], connection: socket.socket, deadline: float) -> Kind:
    """Receive a request or an answer.

    Raises:
        ApprovalError: If it is longer than `LARGEST`, or not written as canonical JSON.
        OSError: If it does not arrive in time.
    """
    size = int.from_bytes(_read(connection, HEAD, deadline), "big")
    if size > LARGEST:
        raise ApprovalError(f"a request of {size} bytes; {LARGEST} are accepted")
    content = _read(connection, size, deadline)
    data = parse(content, "request")
    if canonical(data) != content:
        raise ApprovalError("a request that is not written as canonical JSON")
    return from_data(kind, data, "request")


def _read(connection: socket.socket, size: int, deadline: float) -> bytes:
    content = bytearray()
    while len(content) < size:
        connection.settimeout(_left(deadline))
        part = connection.recv(min(size - len(content), 2**20))
        if not part:
            raise ConnectionError("the other side ended the connection")
        content += part
    return bytes(content)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it took too long")
    return left

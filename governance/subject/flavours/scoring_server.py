"""Scoring server: one request after another to an address, within bounds, whatever answers there.

```
address    one, as stated; redirects are not followed and no proxy is used
deadline   for the whole of a request, from the connection to the last byte
size       of an answer, whatever its header says
repeats    where nobody answers or the server is busy; counted, and said in the record
secrets    a token per server from the environment; never in a message, a record or plain HTTP
```
"""

import http.client
import io
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from governance.errors import HostError, SubjectError
from governance.records.bounded import json_data
from governance.records.identity import ServedBy

__all__ = ["LARGEST_ANSWER", "TOKENS", "Ask", "ScoringServer", "token_for"]

#: Bytes of an answer.
LARGEST_ANSWER = 16 * 2**20
#: Environment variable with `origin=token` entries, such as `https://scores.example=abc`, with
#: semicolons in between. Bound to its server, a token cannot be asked for by another one.
TOKENS = "GOVERNANCE_SCORING_TOKENS"
#: Seconds before each repetition.
WAITS = (1.0, 4.0)
#: Answers of a server that is busy, or of a gateway that does not reach it.
BUSY = frozenset({429, 502, 503, 504})
OK = 200
SAID = 200  # characters of an error that the server sends
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SCHEMES: Mapping[str, int] = {"http": 80, "https": 443}


class Ask(Protocol):
    """A way to a scoring server, for one who need not know where it is."""

    def __call__(self, body: bytes) -> bytes:
        """The answer to the body of a request."""
        ...

    def account(self) -> ServedBy:
        """Which server answered, and how many requests were sent once more."""
        ...


@dataclass(slots=True, kw_only=True)
class ScoringServer:
    """A server that is asked by `POST`, a connection for each request.

    Attributes:
        address: Address that ends in `/invocations`; `records.served_terms` has checked it.
        seconds: Longest time that one request may take.
        door: Path of the Unix socket that the server listens on; None where it is asked over TCP.
        token: Secret that is sent along; None where there is none for this server.
        waits: Seconds before each repetition.
        repeated: Number of requests that were sent once more.
    """

    address: str
    seconds: float
    door: Path | None = None
    token: str | None = field(default=None, repr=False)
    waits: tuple[float, ...] = WAITS
    repeated: int = 0

    def __call__(self, body: bytes) -> bytes:
        """The answer to a request; repeated where nobody answers or the server is busy.

        Raises:
            HostError: If it still does not answer: that says nothing about the model.
            SubjectError: If it refuses the request, or answers beyond a limit.
        """
        for wait in (*self.waits, None):
            try:
                status, answer = self._sent("POST", urlsplit(self.address).path, body)
            except (OSError, http.client.HTTPException) as error:
                why = f"does not answer: {self._plain(repr(error))}"
            else:
                if status == OK:
                    return answer
                why = f"answers {status}: {self._plain(_told(answer))}"
                if status not in BUSY:
                    raise SubjectError(f"the scoring server {self.address} {why}")
            if wait is not None:
                self.repeated += 1
                time.sleep(wait)
        raise HostError(
            f"the scoring server {self.address} {why}; tried {len(self.waits) + 1} times; a server "
            f"that answers each request within {self.seconds:g} seconds is accepted"
        )

    def account(self) -> ServedBy:
        """Which server answered, and how many requests were sent once more."""
        return ServedBy(address=self.address if self.door is None else None, repeated=self.repeated)

    def wait_until_ready(self, seconds: float) -> str | None:
        """Wait for the server's `/ping`; why it did not answer, or None once it does.

        Args:
            seconds: Longest time to wait. The server's socket must exist: it is asked once.
        """
        try:
            status, answer = self._sent("GET", "/ping", None, seconds)
        except (OSError, http.client.HTTPException) as error:
            return self._plain(repr(error))
        if status == OK:
            return None
        return f"/ping answers {status}: {self._plain(_told(answer))}"

    def _sent(
        self, method: str, path: str, body: bytes | None, seconds: float | None = None
    ) -> tuple[int, bytes]:
        """Status and content of one answer.

        Raises:
            OSError: If nobody answers, or not within the time.
            HTTPException: If the answer is no HTTP, or ends too early.
            SubjectError: If it is longer than an answer may be, or packed.
        """
        until = time.monotonic() + (self.seconds if seconds is None else seconds)
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc)
        held = self._connected(until)
        try:
            connection.sock = _Timed(held, until)  # what http.client asks of one
            connection.request(method, path, body, self._headers())
            answer = connection.getresponse()
            content = answer.read(LARGEST_ANSWER + 1)
            if len(content) > LARGEST_ANSWER:
                raise SubjectError(
                    f"the scoring server {self.address} answers with more than {LARGEST_ANSWER} "
                    "bytes; fewer are accepted"
                )
            if answer.length:
                raise http.client.IncompleteRead(content, answer.length)
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise SubjectError(
                    f"the scoring server {self.address} packs its answer, which it was not asked to"
                )
            return answer.status, content
        finally:
            held.close()

    def _headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json", "Accept": "application/json",
            "Connection": "close",
        }  # fmt: skip
        return headers if self.token is None else {**headers, "Authorization": self.token}

    def _connected(self, until: float) -> socket.socket:
        left = until - time.monotonic()
        if self.door is not None:
            held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                held.settimeout(left)
                held.connect(str(self.door))
            except BaseException:
                held.close()
                raise
            return held
        parts = urlsplit(self.address)
        host = parts.hostname or ""
        held = socket.create_connection((host, parts.port or SCHEMES[parts.scheme]), left)
        if parts.scheme == "http":
            return held
        try:
            held.settimeout(max(0.001, until - time.monotonic()))
            return ssl.create_default_context().wrap_socket(held, server_hostname=host)
        except BaseException:
            held.close()
            raise

    def _plain(self, said: str) -> str:
        """What a stranger said, as one short line in which no secret is."""
        if self.token is not None:
            for secret in (self.token, self.token.rpartition(" ")[2]):
                said = said.replace(secret, "(token)")
        printable = "".join(sign if sign.isprintable() else " " for sign in said)
        return " ".join(printable.split())[:SAID]


def _told(content: bytes) -> str:
    """What an error says: the message of MLflow's server and the last line of its trace."""
    try:
        data = json_data(content, "error", SubjectError)
    except SubjectError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("message"), str):
        return content[: 4 * SAID].decode(errors="replace")
    trace = data.get("stack_trace")
    lines = trace.strip().splitlines() if isinstance(trace, str) else []
    return " ".join([*lines[-1:], data["message"][: 4 * SAID]])


def token_for(address: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Value of the header `Authorization` for a server; None where there is no token for it.

    Args:
        address: Address of the server.
        environment: Variables, of which `GOVERNANCE_SCORING_TOKENS` is read.

    Raises:
        HostError: If the variable cannot be read, or a token would go over plain HTTP.
    """
    accepted = f"{TOKENS}: entries such as https://scores.example=TOKEN, with ; in between, are"
    tokens = {}
    for entry in filter(None, map(str.strip, environment.get(TOKENS, "").split(";"))):
        origin, sign, token = entry.partition("=")
        if not sign or not token.isascii() or not token.isprintable() or " " in token:
            raise HostError(f"{accepted} accepted")  # never with what stands there
        tokens[_origin(origin)] = token
    found = tokens.get(_origin(address))
    if found is None:
        return None
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise HostError(
            f"{TOKENS}: names a token for {_origin(address)}, where anyone on the way could read "
            "it; an address of https, or of this machine, is accepted"
        )
    return f"Bearer {found}"


def _origin(address: str) -> str:
    """Scheme, host and port."""
    try:
        parts = urlsplit(address)
        port = parts.port or SCHEMES.get(parts.scheme)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}"


class _Timed:
    """A socket of which every byte has to come and go before one moment."""

    def __init__(self, held: socket.socket, until: float) -> None:
        self._held, self._until = held, until

    def left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("took too long")
        return left

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._held.settimeout(self.left())
            view = view[self._held.send(view) :]

    def take(self, buffer: Any) -> int:
        self._held.settimeout(self.left())
        return self._held.recv_into(buffer)

    def makefile(self, *_mode: object) -> io.BufferedReader:
        return io.BufferedReader(_Bytes(self))

    def close(self) -> None:
        """Nothing: `http.client` closes it before the answer is read."""


class _Bytes(io.RawIOBase):
    """What comes from a socket, for the reader of `http.client`."""

    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.take(buffer)

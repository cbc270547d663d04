"""Listener: a small HTTP application behind an address, within bounds that no sender can stretch.

A request has a deadline for all of it, not for each byte: a connection is cut that many seconds
after it was opened, whatever it does. There are only so many connections; beyond that the one that
has been open longest makes room, so that senders who drip keep nobody out. Each listener has a
thread and an event loop of its own.
"""

import socket
from asyncio import TimerHandle, Transport
from collections.abc import Awaitable, Callable, MutableMapping
from threading import Thread
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from governance.errors import SubjectError
from governance.worker.counts import Counts

__all__ = ["AT_ONCE", "SECONDS", "App", "Listener", "Receive", "Scope", "Send", "answer", "body_of"]

SECONDS = 10.0  # from the opening of a connection to the end of its answer
AT_ONCE = 128  # connections
LARGEST_BODY = 2**20  # bytes of a request's body
HEAD = 2**14  # bytes of a request's line and headers
ENDING = 1  # seconds for open connections once the listener is closed

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: An application as ASGI 3 defines it.
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Listener:
    """An application that answers at an address until it is closed.

    Args:
        app: Application; it answers within milliseconds and waits for nothing but the request.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one, which the property `port` names.
        option: Option of the command line that named the address, for the message.
        counts: Connections that are cut are added to them.

    Raises:
        SubjectError: If the address cannot be listened on.
    """

    def __init__(self, app: App, host: str, port: int, *, option: str, counts: Counts) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=AT_ONCE)
        except OSError as error:
            raise SubjectError(
                f"{option} {host}:{port}: cannot be listened on: {error.strerror}; a free port of "
                "this machine is accepted"
            ) from error
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_bounded(option.lstrip("-"), counts),
                ws="none",
                lifespan="off",
                loop="asyncio",
                # A sender must not write our log; counts say what came.
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                backlog=AT_ONCE,
                h11_max_incomplete_event_size=HEAD,
                timeout_graceful_shutdown=ENDING,
            )
        )
        self._thread = Thread(target=self._serve, name=f"listener {option}", daemon=True)

    @property
    def port(self) -> int:
        """The one that is listened on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Answer in a thread of its own, until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more; a listener that was never started lets its port go."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


def _bounded(listener: str, counts: Counts) -> type[H11Protocol]:
    """The class of a listener's connections: uvicorn makes one for each, and passes nothing on."""

    class Connection(H11Protocol):
        """One connection of HTTP/1.1, which ends at its deadline."""

        opened: float
        deadline: TimerHandle

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn
            """Start the clock, and make room where there are too many."""
            super().connection_made(transport)
            self.opened = self.loop.time()
            self.deadline = self.loop.call_later(SECONDS, self.drop, "late")
            if len(self.connections) > AT_ONCE:
                others = [item for item in self.connections if isinstance(item, Connection)]
                min(others, key=lambda item: item.opened).drop("crowded")

        def connection_lost(self, exc: Exception | None) -> None:
            """Stop the clock."""
            self.deadline.cancel()
            super().connection_lost(exc)

        def drop(self, why: str) -> None:
            """Cut the connection at once, whatever is still to be read or written."""
            self.connections.discard(self)
            self.deadline.cancel()
            self.transport.abort()
            counts.add("governance_connections_dropped_total", listener=listener, why=why)

    return Connection


async def body_of(receive: Receive) -> bytes | None:
    """A request's body, at most one byte more than `LARGEST_BODY`; None if the sender is gone."""
    body = bytearray()
    while len(body) <= LARGEST_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")[: LARGEST_BODY + 1 - len(body)]
        if not message.get("more_body", False):
            break
    return bytes(body)


async def answer(send: Send, code: int, text: str) -> None:
    """Answer with a text, and let the connection end."""
    content = text.encode()
    headers = [
        (b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": content})

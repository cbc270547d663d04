"""Webhook: receives MLflow's deliveries and verifies them; a delivery only wakes the loop.

What a delivery says is not believed: the loop looks into the registry itself. Signature after
MLflow's `mlflow.webhooks`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import hashlib
import hmac
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any

from governance.errors import SubjectError
from governance.worker.counts import Counts

__all__ = ["Deliveries", "Receiver", "signature"]

WINDOW = 300  # seconds that a delivery's time may be off
REMEMBERED = 10_000  # delivery ids
BODY = 2**20  # bytes
AT_ONCE = 16  # connections
PATIENCE = 10  # seconds for a request to arrive


def signature(secret: bytes, delivery: str, timestamp: str, body: bytes) -> str:
    """What MLflow writes into `X-MLflow-Signature`."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


class Deliveries:
    """Which deliveries are in order, and which came before.

    Args:
        secret: Secret shared with MLflow.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def judge(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """`accepted`, `duplicate`, `stale` or `forged`.

        Args:
            headers: Of the request.
            body: As received.
            now: Seconds since 1970.
        """
        delivery = headers.get("X-MLflow-Delivery-Id") or ""
        timestamp = headers.get("X-MLflow-Timestamp") or ""
        given = (headers.get("X-MLflow-Signature") or "").encode("utf-8", "replace")
        right = signature(self._secret, delivery, timestamp, body).encode()
        if not delivery or not hmac.compare_digest(given, right):
            return "forged"
        # Signed by who knows the secret; still, what is no number is not in time.
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):  # noqa: PLR2004 - digits until the year 33658
            return "stale"
        if abs(now - int(timestamp)) >= WINDOW:
            return "stale"
        with self._lock:
            if delivery in self._seen:
                return "duplicate"
            self._seen[delivery] = None
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return "accepted"


class Receiver(ThreadingHTTPServer):
    """POST /webhook for MLflow, GET /healthz and /metrics for whoever watches.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one, which the property `port` names.
        secret: Secret of the webhook; without one no delivery is accepted.
        wake: Called for each delivery that is valid and new.
        healthy: Called for /healthz: whether the loop still looks into the registry.
        counts: Numbers shown at /metrics; deliveries are added to them.

    Raises:
        SubjectError: If the address cannot be listened on.
    """

    daemon_threads = True
    # A worker that is restarted takes its port again at once.
    allow_reuse_address = True

    def __init__(
        self,
        host: str,
        port: int,
        *,
        secret: bytes | None,
        wake: Callable[[], None],
        healthy: Callable[[], bool],
        counts: Counts,
    ) -> None:
        self.deliveries = Deliveries(secret) if secret else None
        self.wake, self.healthy, self.counts = wake, healthy, counts
        self._free = BoundedSemaphore(AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Exchange)
        except OSError as error:
            raise SubjectError(
                f"--listen {host}:{port}: cannot be listened on: {error.strerror}; a free port of "
                "this machine is accepted"
            ) from error

    @property
    def port(self) -> int:
        """The one that is listened on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Answer in a thread of its own, until `shutdown`."""
        Thread(target=self.serve_forever, name="receiver", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, unless too many are busy already."""
        if not self._free.acquire(blocking=False):
            self.counts.add("governance_deliveries_total", outcome="crowded")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Count a connection that broke off; there is nobody left to answer."""
        self.counts.add("governance_deliveries_total", outcome="broken")


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    server: Receiver
    server_version, sys_version = "governance", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """`/healthz` and `/metrics`."""
        if self.path == "/healthz":
            good = self.server.healthy()
            self._answer(200 if good else 503, "ok\n" if good else "the registry is not read\n")
        elif self.path == "/metrics":
            self._answer(200, self.server.counts.text())
        else:
            self._answer(404, "GET /healthz, GET /metrics and POST /webhook are accepted\n")

    def do_POST(self) -> None:
        """`/webhook`."""
        if self.path != "/webhook" or self.server.deliveries is None:
            self._answer(404, "no webhook is received here\n")
            return
        length = self.headers.get("Content-Length") or ""
        if not (length.isascii() and length.isdigit()):
            self._answer(411, "Content-Length is needed\n")
            return
        if len(length) > len(str(BODY)) or int(length) > BODY:
            self.server.counts.add("governance_deliveries_total", outcome="too long")
            self._answer(413, f"up to {BODY} bytes are accepted\n")
            return
        body = self.rfile.read(int(length))
        outcome = self.server.deliveries.judge(self.headers, body, time.time())  # type: ignore[arg-type]
        self.server.counts.add("governance_deliveries_total", outcome=outcome)
        if outcome == "accepted":
            self.server.wake()
        refused = outcome in {"forged", "stale"}
        self._answer(401 if refused else 200, f"{outcome}\n")

    def _answer(self, code: int, text: str) -> None:
        content = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Nothing: counts say it, and a sender must not write our log."""

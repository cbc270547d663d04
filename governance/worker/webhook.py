"""Webhook: receives MLflow's deliveries and verifies them; a delivery only wakes the loop.

What a delivery says is not believed: the loop looks into the registry itself. Signature after
MLflow's `mlflow.webhooks`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from governance.worker.counts import Counts
from governance.worker.listener import LARGEST_BODY, App, Receive, Scope, Send, answer, body_of

__all__ = ["Deliveries", "receiver", "signature"]

WINDOW = 300  # seconds that a delivery's time may be off
REMEMBERED = 10_000  # delivery ids


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

    def judge(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """`accepted`, `duplicate`, `stale` or `forged`.

        Args:
            headers: Of the request, by their names in small letters.
            body: As received.
            now: Seconds since 1970.
        """
        delivery = headers.get("x-mlflow-delivery-id") or ""
        timestamp = headers.get("x-mlflow-timestamp") or ""
        given = (headers.get("x-mlflow-signature") or "").encode("utf-8", "replace")
        right = signature(self._secret, delivery, timestamp, body).encode()
        if not delivery or not hmac.compare_digest(given, right):
            return "forged"
        # Signed by who knows the secret; still, what is no number is not in time.
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):  # noqa: PLR2004 - digits until the year 33658
            return "stale"
        if abs(now - int(timestamp)) >= WINDOW:
            return "stale"
        if delivery in self._seen:
            return "duplicate"
        self._seen[delivery] = None
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return "accepted"


def receiver(secret: bytes, *, wake: Callable[[], None], counts: Counts) -> App:
    """An application that takes MLflow's deliveries at POST /webhook.

    Args:
        secret: Secret of the webhook.
        wake: Called for each delivery that is valid and new.
        counts: Deliveries are added to them.
    """
    deliveries = Deliveries(secret)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if (scope["method"], scope["path"]) != ("POST", "/webhook"):
            await answer(send, 404, "POST /webhook is accepted\n")
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        # What is announced as too long is not read.
        long = int(headers.get("content-length", "0")) > LARGEST_BODY
        body = None if long else await body_of(receive)
        if long or (body is not None and len(body) > LARGEST_BODY):
            outcome = "too long"
        elif body is None:
            outcome = "broken"
        else:
            outcome = deliveries.judge(headers, body, time.time())
        counts.add("governance_deliveries_total", outcome=outcome)
        if outcome == "accepted":
            wake()
        code = {"too long": 413, "forged": 401, "stale": 401}.get(outcome, 200)
        await answer(send, code, f"{outcome}\n")

    return app

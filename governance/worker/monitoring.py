"""Monitoring: what a worker tells the probes of a cluster and Prometheus, at a port of its own.

Nobody outside needs this port, so no sender of deliveries can make a healthy worker look dead.
"""

from collections.abc import Callable

from governance.worker.counts import Counts
from governance.worker.listener import App, Receive, Scope, Send, answer

__all__ = ["monitoring"]


def monitoring(*, alive: Callable[[], bool], healthy: Callable[[], bool], counts: Counts) -> App:
    """An application that answers GET /livez, /healthz and /metrics.

    Args:
        alive: Called for /livez: whether the worker still tries; if not, restart it.
        healthy: Called for /healthz: whether the registry answers; a restart would not help.
        counts: Numbers shown at /metrics.
    """

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["method"] in {"GET", "HEAD"} else ""
        if path == "/livez":
            good = alive()
            await answer(send, 200 if good else 503, "ok\n" if good else "the worker hangs\n")
        elif path == "/healthz":
            good = healthy()
            text = "ok\n" if good else "the registry is not read\n"
            await answer(send, 200 if good else 503, text)
        elif path == "/metrics":
            await answer(send, 200, counts.text())
        else:
            await answer(send, 404, "GET /livez, /healthz and /metrics are accepted\n")

    return app

"""Shutdown: on SIGTERM or SIGINT a worker finishes or hands back its lease within a set time."""

import os
import signal
from collections.abc import Sequence
from threading import Event, Thread

from governance.worker.listener import Listener
from governance.worker.loop import Loop

__all__ = ["run_until_signalled"]

TOLD = {signal.SIGTERM, signal.SIGINT}


def run_until_signalled(loop: Loop, *, patience: float, listeners: Sequence[Listener] = ()) -> None:
    """Run a loop, and what listens beside it, until SIGTERM or SIGINT.

    Must be called before other threads are started, since they take the signals' mask from it.

    The assessment under way is killed and its lease handed back; one that is being recorded is
    finished. Where that takes over `patience` seconds, since MLflow does not answer, the lease is
    handed back and the process ends with code 0.
    """
    ended = Event()
    # Waited for in a thread: a handler would run in the main one, inside whatever lock it holds.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TOLD)

    def listen() -> None:
        signal.sigwait(TOLD)
        loop.end()
        if not ended.wait(patience):
            loop.give_up()
            os._exit(0)

    Thread(target=listen, name="ending", daemon=True).start()
    for listener in listeners:
        listener.start()
    try:
        loop.run()
    finally:
        for listener in listeners:
            listener.close()
        ended.set()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

"""Benches: processes beside the command's own, each of which works off one stage after another.

Two of them use two cores, where one process would leave one idle. A bench has a session of its own,
so that Ctrl-C on a terminal reaches the command alone, which passes it on once.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from governance.errors import GovernanceError, HostError

__all__ = ["Bench", "bench"]

#: The variable by which torch and NumPy, as they are loaded, know how many threads to use.
THREADS = "OMP_NUM_THREADS"
#: Seconds that a stage has to put a version's status back once it is told to end.
GRACE = 15.0


class Bench:
    """A process that works off stages; it imports what they need as soon as it starts.

    Args:
        connection: To the process.
        tell: Told the name of each step as it begins.
    """

    def __init__(self, connection: Connection, tell: Callable[[str], None]) -> None:
        self._connection, self._tell = connection, tell

    def do(self, stage: str, *arguments: Any) -> Any:
        """What a function of the module returns, given one to tell its steps, and these arguments.

        Raises:
            GovernanceError: As the stage does.
            HostError: If the process ended meanwhile.
        """
        try:
            self._connection.send((stage, arguments))
            while isinstance(said := self._connection.recv(), str):
                self._tell(said)
        except (EOFError, OSError) as error:
            raise HostError(
                "a process of the demo ended before its work was done; it may have been killed "
                "for want of memory, of which each of the two needs about 1 GiB"
            ) from error
        (result,) = said
        if isinstance(result, GovernanceError):
            raise result
        return result


@contextmanager
def bench(tell: Callable[[str], None], module: str) -> Iterator[Bench]:
    """A bench until the block ends; stopped, and killed if need be, where it ends by an error.

    Args:
        tell: Told the name of each step as it begins.
        module: That of the stages, imported as it starts, in the time until the first of them.
    """
    context = multiprocessing.get_context("spawn")  # a fork of threads and torch may hang
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, module), daemon=True)
    with _one_thread():
        process.start()
    theirs.close()
    try:
        yield Bench(ours, tell)
        ours.close()  # it ends when nothing more can come
        process.join(GRACE)
    finally:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGINT)
            process.join(GRACE)
            process.kill()
            process.join()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let what is started meanwhile compute in one thread, since as many as cores run beside."""
    before = os.environ.get(THREADS)
    os.environ.setdefault(THREADS, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]


def _work(connection: Connection, module: str) -> None:
    """What the process does: stages as they come, until nothing more can come."""
    os.setsid()
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        stages = import_module(module)
        while True:
            stage, arguments = connection.recv()
            try:
                result = getattr(stages, stage)(connection.send, *arguments)
            except GovernanceError as error:
                result = error
            # In a tuple, since a step is a text of its own.
            connection.send((result,))

"""Running: server and worker from their start until a signal comes, or until one of them ends."""

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Event
from types import FrameType

from governance.cli.laptop import telling
from governance.cli.laptop.folder import Laptop
from governance.cli.laptop.processes import WORKER, Child, start_server, start_worker
from governance.cli.laptop.readiness import Policy
from governance.errors import RegistryError

__all__ = ["run_until_stopped"]

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds that the server has for its first answer, and that each process has to end.
ANSWER, ENDS = 180.0, 20.0
LOOK = 0.5  # seconds between looks at processes, policy and log
PATIENT = 10.0  # seconds that the server may take for one answer
#: Asked once the server answers: a registry that cannot be opened says so here.
REGISTRY = "/api/2.0/mlflow/registered-models/search?max_results=1"

Say = Callable[[str], None]


def run_until_stopped(home: Laptop, say: Say) -> None:
    """Start the server, and the worker once the policy can be used; return when a signal came.

    Args:
        home: The folder.
        say: Told each line for the person at the terminal.

    Raises:
        RegistryError: If the server or the worker ends by itself, or the registry cannot be opened.
        HostError: If one of them cannot be started.
    """
    children: list[Child] = []
    with _signals() as stop:
        try:
            children.append(start_server(home))
            if _answers(home, children[0], stop):
                _say(telling.welcome(home), say)
                _watch(home, children, say, stop)
        finally:
            # The worker first: it hands back what it is at, for which it needs the server.
            for child in reversed(children):
                child.tell(signal.SIGTERM, group=child.name != WORKER)
                child.end(ENDS)


def _watch(home: Laptop, children: list[Child], say: Say, stop: Event) -> None:
    policy, log = Policy(home), None
    while not stop.wait(LOOK):
        if log is not None:
            for event in log.fresh():
                _say(telling.of_event(event), say)
        for child in children:
            _check(child)
        if log is not None or (answer := policy.look()) is None:
            continue
        _say(telling.of_policy(home, answer), say)
        if answer.ready:
            children.append(start_worker(home))
            log = _Log(children[-1])


def _say(lines: Iterable[str], say: Say) -> None:
    for line in lines:
        say(line)


class _Log:
    """What a worker writes from its start on."""

    def __init__(self, worker: Child) -> None:
        self._worker, self._read, self._rest = worker, worker.start, b""

    def fresh(self) -> Iterator[dict[str, object]]:
        """The events since the last look."""
        with self._worker.log.open("rb") as stream:
            stream.seek(self._read)
            *lines, self._rest = (self._rest + stream.read()).split(b"\n")
            self._read = stream.tell()
        for line in lines:
            with suppress(ValueError):  # MLflow writes lines of its own
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def _answers(home: Laptop, server: Child, stop: Event) -> bool:
    """Wait until the registry answers; False if a signal came first."""
    until = time.monotonic() + ANSWER
    while not stop.wait(LOOK):
        _check(server)
        try:
            with urllib.request.urlopen(f"{home.address}{REGISTRY}", timeout=PATIENT):  # noqa: S310 - our own
                return True
        except urllib.error.HTTPError as error:
            said = error.read(2000).decode(errors="replace")
            raise RegistryError(
                f"the registry cannot be opened: {said}; {server.log} may say more"
            ) from error
        except OSError:
            if time.monotonic() > until:
                said = f"the MLflow server does not answer at {home.address} after {ANSWER:g} s"
                raise RegistryError(_with_last_words(said, server)) from None
    return False


def _check(child: Child) -> None:
    if child.over:
        said = (
            f"the {child.name} ended by itself, and the rest was ended with it; `governance up` "
            "takes up where it was"
        )
        raise RegistryError(_with_last_words(said, child))


def _with_last_words(problem: str, child: Child) -> list[str]:
    """A problem, and beneath it the last lines of a log."""
    return [f"{problem}. Its last words in {child.log}:", *child.last_words]


@contextmanager
def _signals() -> Iterator[Event]:
    """An event that is set by a signal to end, as often as one comes."""
    stop = Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, hear) for number in STOPS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

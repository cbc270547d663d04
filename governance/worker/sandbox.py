"""Sandbox: one assessment in a process of its own that is shut in.

```
namespaces    it sees its inputs and programs, read-only, and nothing else of the machine
system_calls  it starts no process, opens no socket, and reaches no other process
limits        address space, processor time, the clock, the size of files, the number of threads
environment   nothing in it opens a registry or signs
handover      what it hands back is read from a pipe, never from a folder it could write into
```

Where the machine forbids namespaces, the others still hold, and `confinement` says what is open. A
worker that requires all of it does not start there, nor does one whose policies allow pickles.
"""

import functools
import math
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Literal

from governance.errors import HostError
from governance.subject.images.opening import shown
from governance.worker import handover, namespaces
from governance.worker.config import WorkerConfig
from governance.worker.handover import Handover
from governance.worker.launch import WATCH, Ending, environment, launch
from governance.worker.request import Request

__all__ = [
    "Confinement",
    "ProcessResult",
    "check_hidden",
    "confinement",
    "printing_wall",
    "run",
    "try_out",
]

THREADS = 4096
STARTED = 60.0  # seconds within which a process without a model ends, torch imported
#: Signals by which a system that shuts down ends all processes, the worker among them.
SHUTDOWN, NOTICE = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}, 2.0

FILES_OPEN = (
    "files: an assessment can read and change whatever this user can, such as keys, the job "
    "database and other assessments, and it can fill the disk and /dev/shm"
)
PROCESSES_OPEN = (
    "processes: it can read the environment and the memory of this user's processes (the worker's "
    "too, if this user is root), and with device = 'cuda' reach their local sockets"
)
CALLS_OPEN = (
    "system calls: it can use the network, start processes that outlive it, and signal this user's "
    "processes"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """How an assessment ended.

    Attributes:
        kind: `assessed`, `refused` (another attempt would be refused too), `failed` (another
            attempt may succeed) or `interrupted` by the worker itself.
        error: Error message, fit to be published; empty if the assessment is there.
        output: The end of what the process wrote: text of a stranger, for the worker's log alone.
    """

    kind: Literal["assessed", "refused", "failed", "interrupted"]
    error: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What shuts a process in on this machine.

    Attributes:
        bubblewrap: Path of the program that makes namespaces; None where they cannot be had.
        filtered: Whether the kernel filters system calls.
        why: Why namespaces cannot be had; empty if they can.
    """

    bubblewrap: str | None
    filtered: bool
    why: str = ""

    @property
    def gaps(self) -> tuple[str, ...]:
        """What an assessment can reach though it should not; one sentence each."""
        return (
            *((FILES_OPEN, PROCESSES_OPEN) if self.bubblewrap is None else ()),
            *((CALLS_OPEN,) if not self.filtered else ()),
        )


def run(
    request: Request, folder: Path, config: WorkerConfig, *, interrupted: Callable[[], bool]
) -> ProcessResult:
    """Assess in a process of its own; the assessment is in `folder / "assessment"` afterwards.

    Args:
        request: What to assess, and under which policy.
        folder: New folder for this process alone.
        config: Limits.
        interrupted: Asked all the while; the process is killed once it says so.

    Raises:
        HostError: If the process cannot be started or shut in as asked, or the disk refuses.
    """
    shut_in, limits = _demanded(config), _limits(config)
    try:
        request.save(folder)
        with TemporaryFile() as received:
            ending = launch(
                {"folder": str(folder)},
                (folder, Path(request.materials.model), shown(Path(request.materials.images))),
                received,
                bubblewrap=shut_in.bubblewrap, device=config.device, limits=limits,
                seconds=config.minutes * 60, interrupted=interrupted,
            )  # fmt: skip
            received.seek(0)
            found = handover.read(received, folder / "assessment")
    except OSError as error:
        raise HostError(f"{folder}: cannot be written: {error}") from error
    if _shut_down(ending, interrupted):
        return ProcessResult(kind="interrupted")
    return _result(ending, found, shut_in)


def try_out(config: WorkerConfig) -> Confinement:
    """Start a confined process that has nothing to assess, and see whether it gets what it needs.

    Returns:
        What shuts assessments in here.

    Raises:
        HostError: If it does not get it, or cannot be shut in as it has to be.
    """
    shut_in = _demanded(config)
    ending, found = _trial(shut_in.bubblewrap, config.device, _limits(config))
    if ending.why:
        raise HostError(f"a confined process without a model {ending.why}")
    if found.kind != "assessed":
        said = (
            "; ".join(found.problems) or f"ended with code {ending.code}: {ending.output[-1000:]}"
        )
        raise HostError(f"a confined process without a model: {said}")
    return shut_in


def confinement() -> Confinement:
    """What this machine can do, tried out once.

    Raises:
        HostError: If no process can be started at all.
    """
    return _tried(namespaces.program())


def check_hidden(path: Path) -> None:
    """See that a file is not among the programs that are shown to every assessment.

    Raises:
        HostError: If it is.
    """
    for place in namespaces.shown_code(environment(Path(namespaces.SCRATCH), os.environ)):
        if path.resolve().is_relative_to(place.resolve()):
            raise HostError(
                f"{path}: lies in {place}, which every assessment can read; a place outside of "
                "Python's folders and of PYTHONPATH is accepted"
            )


def printing_wall(folder: Path, into: Path, variables: Mapping[str, str]) -> list[str]:
    """Words before the command that prints a folder into another; none without namespaces."""
    found = confinement()
    if found.bubblewrap is None:
        return []
    return namespaces.command(found.bubblewrap, [folder], variables, device="cpu", writable=into)


@functools.cache
def _tried(bubblewrap: str | None) -> Confinement:
    why = "bubblewrap (the program bwrap) is not installed"
    if bubblewrap is not None:
        ending, found = _trial(bubblewrap, "cpu", {})
        if found.ready:
            return Confinement(bubblewrap=bubblewrap, filtered=found.filtered)
        why = f"{bubblewrap} makes no namespaces: {ending.output[-1000:] or ending.why}"
    ending, found = _trial(None, "cpu", {})
    if not found.ready:
        raise HostError(f"no confined process can be started: {ending.output[-1000:]}")
    return Confinement(bubblewrap=None, filtered=found.filtered, why=why)


def _demanded(config: WorkerConfig) -> Confinement:
    """What shuts a process in, if that is what the configuration demands."""
    found = confinement()
    if config.confinement == "required" and found.gaps:
        why = found.why or "the kernel filters no system calls"
        raise HostError(
            [
                f"confinement = 'required': {why}; 'if possible' is accepted too, and leaves open:",
                *found.gaps,
            ]
        )
    return found


def _trial(
    bubblewrap: str | None, device: str, limits: Mapping[str, int]
) -> tuple[Ending, Handover]:
    try:
        with (
            TemporaryFile() as received,
            TemporaryDirectory(prefix="governance-worker-") as folder,
        ):
            ending = launch(
                {"device": device}, (Path(folder),), received, bubblewrap=bubblewrap,
                device=device, limits=limits, seconds=STARTED, interrupted=lambda: False,
            )  # fmt: skip
            received.seek(0)
            return ending, handover.read(received, Path(folder) / "assessment")
    except OSError as error:
        raise HostError(f"disk: a temporary folder cannot be used: {error}") from error


def _limits(config: WorkerConfig) -> dict[str, int]:
    """What a process limits itself to.

    Raises:
        HostError: If this machine does not let the worker have so much.
    """
    cores = os.cpu_count() or 1
    limits = {
        "RLIMIT_CPU": ("minutes", math.ceil(config.minutes * 60) * cores),
        "RLIMIT_FSIZE": ("file size", handover.LARGEST),
        "RLIMIT_CORE": ("core size", 0),
    }
    if config.device == "cpu":
        limits["RLIMIT_AS"] = ("memory_gib", int(config.memory_gib * 2**30))
    for kind, (key, limit) in limits.items():
        _, most = resource.getrlimit(getattr(resource, kind))
        if limit >= 2**63 or (most != resource.RLIM_INFINITY and limit > most):
            raise HostError(
                f"{key}: an assessment cannot be limited to {limit}; what this machine lets the "
                "worker have is accepted"
            )
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    threads = THREADS if most == resource.RLIM_INFINITY else min(THREADS, most)
    return {"RLIMIT_NPROC": threads} | {kind: limit for kind, (_, limit) in limits.items()}


def _shut_down(ending: Ending, interrupted: Callable[[], bool]) -> bool:
    """Whether it was ended here, or by a system that ends the worker too, maybe a moment later."""
    if ending.code is None or -ending.code not in SHUTDOWN:
        return ending.code is None and not ending.why
    until = time.monotonic() + NOTICE
    while time.monotonic() < until:
        if interrupted():
            return True
        time.sleep(WATCH)
    return interrupted()


def _result(ending: Ending, found: Handover, shut_in: Confinement) -> ProcessResult:
    if not ending.why and (not found.ready or found.filtered != shut_in.filtered):
        # Nothing but our own code ran so far: this is no model's doing.
        raise HostError(f"an assessment was not shut in: {ending.output[-1000:]}")
    if ending.why or ending.code != 0:
        return ProcessResult(kind="failed", error=_ended(ending), output=ending.output)
    if found.kind == "assessed":
        return ProcessResult(kind="assessed")
    said = "; ".join(found.problems)
    if found.kind == "refused" and said:
        return ProcessResult(kind="refused", error=said, output=ending.output)
    error = f"failed: {said}" if said else "handed nothing back"
    return ProcessResult(kind="failed", error=error, output=ending.output)


def _ended(ending: Ending) -> str:
    """How a process ended without an answer, in words that are none of its own."""
    if ending.code is None:
        return ending.why
    if ending.code > 0:
        return f"ended with code {ending.code}"
    name = (
        signal.Signals(-ending.code).name
        if -ending.code in set(signal.Signals)
        else f"signal {-ending.code}"
    )
    why = " (out of memory, or of processor time)" if -ending.code in {9, 24} else ""
    return f"killed by {name}{why}"

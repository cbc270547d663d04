"""Launch: a confined process started, listened to, watched, and ended with all that it started."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Self

from governance.errors import HostError
from governance.subject.flavours.scoring_server import Ask
from governance.worker import namespaces
from governance.worker.handover import LARGEST
from governance.worker.relay import relayed

__all__ = ["Ending", "environment", "kill", "launch"]

#: What a process needs to find libraries, fonts and cores; nothing secret.
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip

#: Families of sockets without which NVIDIA's driver does not begin (cuInit answers 304).
GPU_SOCKETS = (socket.AF_UNIX,)
CHUNK = 64 * 2**10  # bytes that are read at once, and bytes of output that are kept
WATCH = 0.1  # seconds between looks at what no descriptor tells
LEFT = 10.0  # seconds that the kernel has to end what a process started
SIGNALLED = 128  # bubblewrap adds it to the number of the signal that ended its process


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a confined process ended.

    Attributes:
        code: Its exit code, negative after a signal; None if it was ended here.
        why: Why it was ended here; empty where the worker was told to end.
        output: The end of what it wrote: text of a stranger.
    """

    code: int | None
    why: str
    output: str


def launch(
    task: Mapping[str, str],
    given: tuple[Path, ...],
    received: BinaryIO,
    *,
    bubblewrap: str | None,
    device: str,
    limits: Mapping[str, int],
    seconds: float,
    interrupted: Callable[[], bool],
    ask: Ask | None = None,
) -> Ending:
    """Run `governance.worker.confined` to its end, and let nothing be left of it.

    Args:
        task: What it is asked for.
        given: Files and folders that it may read. Where there are no namespaces it writes into a
            folder `scratch` in the first one.
        received: File for what it hands back; at most `LARGEST` bytes and a chunk come.
        bubblewrap: Path of the program that makes namespaces; None to do without.
        device: `cpu` or `cuda`.
        limits: By name of the `resource` module.
        seconds: Until it is killed.
        interrupted: Asked all the while; the process is killed once it says so.
        ask: Way to the scoring server that it may ask, which is relayed to it.

    Raises:
        HostError: If it cannot be started.
        OSError: If the disk refuses.
    """
    scratch = given[0] / "scratch" if bubblewrap is None else Path(namespaces.SCRATCH)
    variables = environment(scratch, os.environ)
    if bubblewrap is None:
        scratch.mkdir()
        wall, place, worker = [], scratch, os.getpid()
    else:
        wall = namespaces.command(bubblewrap, given, variables, device=device)
        place, worker = given[0], 0
    with ExitStack() as stack:
        result, result_end = _pipe(stack)
        output, output_end = _pipe(stack)
        ends: dict[str, IO[bytes] | socket.socket] = {"result": result_end}
        if ask is not None:
            ends["server"] = stack.enter_context(relayed(ask))
        told = _told({**task, "limits": limits, "worker": worker}, device, ends)
        command = [*wall, sys.executable, "-P", "-m", "governance.worker.confined", told]
        # Before the start: where this fails, it must leave no process that nobody watches.
        listener = stack.enter_context(_Listener(result, output, received))
        process = _started(command, place, variables, output_end, ends)
        stack.callback(kill, process)
        for end in (output_end, *ends.values()):
            end.close()
        why = listener.listen(process, seconds, interrupted)
    code = process.returncode
    if bubblewrap is not None and code > SIGNALLED:
        code = SIGNALLED - code
    return Ending(code=code if why is None else None, why=why or "", output=listener.said)


def _told(
    asked: Mapping[str, object], device: str, ends: Mapping[str, IO[bytes] | socket.socket]
) -> str:
    """What a process is told on its command line, with the numbers of what it is handed."""
    sockets = GPU_SOCKETS if device == "cuda" else ()
    numbers = {name: end.fileno() for name, end in ends.items()}
    return json.dumps({**asked, "sockets": sockets, **numbers})


def _started(
    command: list[str],
    place: Path,
    variables: Mapping[str, str],
    output: IO[bytes],
    ends: Mapping[str, IO[bytes] | socket.socket],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            command,
            cwd=place,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[end.fileno() for end in ends.values()],
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"a confined process cannot be started: {error}") from error


def environment(scratch: Path, given: Mapping[str, str]) -> dict[str, str]:
    """What a confined process finds in its environment."""
    kept = {name: given[name] for name in PASSED_ON if name in given}
    return {
        **kept,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "USER": "assessment",  # who has no entry in any list of users
        # MLflow before 3.18 knows the first name alone, MLflow from then on deprecates it.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"file://{scratch}/none",
    }


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return (
        stack.enter_context(os.fdopen(reading, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writing, "wb", buffering=0)),
    )


class _Listener:
    """Reads what a process sends, whatever it is, until it has ended or has to be ended."""

    def __init__(self, result: IO[bytes], output: IO[bytes], received: BinaryIO) -> None:
        self._received = received
        self._tail = bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(result, selectors.EVENT_READ, self._take)
        self._selector.register(output, selectors.EVENT_READ, self._keep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._selector.close()

    @property
    def said(self) -> str:
        """The end of its output."""
        return self._tail.decode(errors="replace").strip()

    def listen(
        self, process: subprocess.Popen[bytes], seconds: float, interrupted: Callable[[], bool]
    ) -> str | None:
        """Listen until it has ended; None, or else why it was killed."""
        until = time.monotonic() + seconds
        # Not reaped before its group is killed, so that the number stays its own.
        ended = os.fdopen(os.pidfd_open(process.pid), "rb", buffering=0)
        with ended:
            self._selector.register(ended, selectors.EVENT_READ)
            while not self._hear():
                if interrupted():
                    return ""
                if time.monotonic() > until:
                    return f"took over {seconds / 60:g} minutes"
                if self._received.tell() > LARGEST:
                    return f"handed back more than {LARGEST} bytes"
            self._selector.unregister(ended)
        kill(process)
        # The first process of a namespace holds the pipe, and is the last one to go.
        until = time.monotonic() + LEFT
        while self._selector.get_map():
            if time.monotonic() > until:
                return "left a process behind"
            self._hear()
        return None

    def _hear(self) -> bool:
        """Take what has come; whether the process has ended."""
        over = False
        for key, _ in self._selector.select(WATCH):
            if key.data is None:
                over = True
            elif chunk := os.read(key.fd, CHUNK):
                key.data(chunk)
            else:
                self._selector.unregister(key.fileobj)
        return over

    def _take(self, chunk: bytes) -> None:
        if self._received.tell() <= LARGEST:
            self._received.write(chunk)

    def _keep(self, chunk: bytes) -> None:
        self._tail += chunk
        del self._tail[:-CHUNK]


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its whole group, by its id, unless it has ended."""
    if process.returncode is not None:
        return  # it was killed and reaped before: its number may be another's by now
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

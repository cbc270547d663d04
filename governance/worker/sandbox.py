"""Sandbox: one assessment in a process of its own that holds no credential.

The process gets a folder with the model's files and everything else it needs, and an environment
with nothing in it that opens a registry or signs. Address space, processor time, the clock and the
size of files are limited; it and whatever it starts are killed as a group.
"""

import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from governance.errors import HostError
from governance.worker.config import WorkerConfig
from governance.worker.request import Request

__all__ = ["ProcessResult", "environment", "run", "try_out"]

#: What a process needs to find libraries, fonts and cores; nothing secret.
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip

FILE_SIZE = 8 * 2**30
TAIL = 4000  # bytes of standard error that are kept
WATCH = 0.1  # seconds between looks at the process
REFUSED, UNCONFINED = 2, 4
STARTED = 60.0  # seconds within which a process without a model ends, torch imported
#: Signals by which a system that shuts down ends all processes, the worker among them.
SHUTDOWN, NOTICE = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}, 2.0
LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """How an assessment ended.

    Attributes:
        kind: `assessed`, `refused` (another attempt would be refused too), `failed` (another
            attempt may succeed) or `interrupted` by the worker itself.
        error: Error message; empty if the assessment is there.
    """

    kind: Literal["assessed", "refused", "failed", "interrupted"]
    error: str = ""


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
        HostError: If the process cannot be started as asked, or the disk refuses.
    """
    try:
        request.save(folder)
    except OSError as error:
        raise HostError(f"{folder}: what to assess cannot be written: {error}") from error
    code, ending = _confined(
        folder, config, seconds=config.minutes * 60, extra=(), interrupted=interrupted
    )
    if code is None:
        return ending
    if -code in SHUTDOWN and _told_meanwhile(interrupted):
        return ProcessResult(kind="interrupted")
    return _ending(code, _tail(folder / "stderr"))


def try_out(folder: Path, config: WorkerConfig) -> None:
    """Start a confined process that has nothing to assess, and see whether it gets what it needs.

    Raises:
        HostError: If it does not.
    """
    code, ending = _confined(
        folder,
        config,
        seconds=STARTED,
        extra=(config.device,),
        interrupted=lambda: False,
    )
    said = _tail(folder / "stderr")
    if code is None:
        raise HostError(f"a confined process without a model {ending.error}")
    if code == UNCONFINED:
        raise HostError(
            f"network = {config.network!r}: {said}; 'none if possible' and 'as the worker' are "
            "accepted where the kernel does not let this user leave the network"
        )
    if code != 0:
        raise HostError(f"a confined process without a model ended with code {code}: {said}")


def _confined(
    folder: Path,
    config: WorkerConfig,
    *,
    seconds: float,
    extra: tuple[str, ...],
    interrupted: Callable[[], bool],
) -> tuple[int | None, ProcessResult]:
    """The code of a confined process; None with the reason if it was killed here."""
    command = [
        *(sys.executable, "-P", "-m", "governance.worker.confined"),
        *(str(folder), str(os.getpid()), config.network, *extra),
    ]
    began = time.monotonic()
    try:
        scratch = folder / "scratch"
        scratch.mkdir()
        stderr = (folder / "stderr").open("wb")
    except OSError as error:
        raise HostError(f"{folder}: cannot be written: {error}") from error
    with stderr, _started(command, folder, scratch, config, stderr.fileno()) as process:
        try:
            _limit(process.pid, config)
            # Not reaped before its group is killed, so that the number stays its own.
            while os.waitid(os.P_PID, process.pid, LOOK) is None:
                if interrupted():
                    return None, ProcessResult(kind="interrupted")
                if time.monotonic() - began > seconds:
                    late = f"took over {seconds / 60:g} minutes"
                    return None, ProcessResult(kind="failed", error=late)
                # A wait for the process itself would not see what else there is to see.
                time.sleep(WATCH)
        finally:
            _kill(process)
    return process.returncode, ProcessResult(kind="assessed")


def _told_meanwhile(interrupted: Callable[[], bool]) -> bool:
    """Whether the worker itself is told to end, now or a moment after the process was."""
    until = time.monotonic() + NOTICE
    while time.monotonic() < until:
        if interrupted():
            return True
        time.sleep(WATCH)
    return interrupted()


def environment(scratch: Path, given: Mapping[str, str]) -> dict[str, str]:
    """What a confined process finds in its environment."""
    kept = {name: given[name] for name in PASSED_ON if name in given}
    return {
        **kept,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        # MLflow before 3.18 knows the first name alone, MLflow from then on deprecates it.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"file://{scratch}/none",
    }


def _started(
    command: list[str], folder: Path, scratch: Path, config: WorkerConfig, stderr: int
) -> subprocess.Popen[bytes]:
    user = config.user or None
    if user is not None:
        for path in (folder, scratch):
            _give(path, user)
    try:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            command,
            cwd=scratch,
            env=environment(scratch, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(
            f"an assessment as the user {config.user or 'of the worker'} cannot be started: {error}"
        ) from error


def _give(path: Path, user: str) -> None:
    try:
        shutil.chown(path, user, user)
    except (OSError, LookupError) as error:
        raise HostError(
            f"user = {user!r}: its folder cannot be given to it: {error}; a user with a group of "
            "the same name is accepted, where the worker runs as root"
        ) from error


def _limit(process: int, config: WorkerConfig) -> None:
    cores = os.cpu_count() or 1
    limits = {
        resource.RLIMIT_CPU: ("minutes", math.ceil(config.minutes * 60) * cores),
        resource.RLIMIT_FSIZE: ("file size", FILE_SIZE),
        resource.RLIMIT_CORE: ("core size", 0),
    }
    if config.device == "cpu":
        limits[resource.RLIMIT_AS] = ("memory_gib", int(config.memory_gib * 2**30))
    for kind, (key, limit) in limits.items():
        try:
            resource.prlimit(process, kind, (limit, limit))
        except ProcessLookupError:
            return  # it ended already
        except (OSError, ValueError, OverflowError) as error:
            raise HostError(
                f"{key}: an assessment cannot be limited to {limit}: {error}; what this "
                "machine lets the worker have is accepted"
            ) from error


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL))
        return stream.read().decode(errors="replace").strip()


def _ending(code: int, said: str) -> ProcessResult:
    if code == 0:
        return ProcessResult(kind="assessed")
    if code == REFUSED:
        return ProcessResult(kind="refused", error=said)
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        why = " (out of memory, or of processor time)" if -code in {9, 24} else ""
        last = said.rpartition("\n")[2]
        return ProcessResult(
            kind="failed", error=f"killed by {name}{why}: {last}".removesuffix(": ")
        )
    return ProcessResult(kind="failed", error=f"ended with code {code}: {said[-1000:]}")

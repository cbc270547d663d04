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

from governance.errors import SubjectError
from governance.worker.request import Request
from governance.worker.terms import Terms

__all__ = ["Ending", "environment", "run"]

#: What a process needs to find libraries, fonts and cores; nothing secret.
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip

FILE_SIZE = 8 * 2**30
TAIL = 4000  # bytes of standard error that are kept
WATCH = 0.1  # seconds between looks at the process
REFUSED = 2
LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an assessment ended.

    Attributes:
        kind: `assessed`; `refused`, which another attempt would not change; `failed`, which it
            may; `interrupted` by the worker itself.
        error: What there is to say of it.
    """

    kind: Literal["assessed", "refused", "failed", "interrupted"]
    error: str = ""


def run(request: Request, folder: Path, terms: Terms, *, interrupted: Callable[[], bool]) -> Ending:
    """Assess in a process of its own; the assessment is in `folder / "assessment"` afterwards.

    Args:
        request: What to do.
        folder: A new one, for this alone.
        terms: Limits.
        interrupted: Asked all the while; the process is killed once it says so.

    Raises:
        SubjectError: If the user of the terms cannot be taken.
        OSError: If the disk refuses.
    """
    request.save(folder)
    scratch = folder / "scratch"
    scratch.mkdir()
    command = [
        *(sys.executable, "-P", "-m", "governance.worker.confined"),
        *(str(folder), str(os.getpid()), terms.network),
    ]
    began = time.monotonic()
    with (
        (folder / "stderr").open("wb") as stderr,
        _started(command, folder, scratch, terms, stderr.fileno()) as process,
    ):
        try:
            _limit(process.pid, terms)
            # Not reaped before its group is killed, so that the number stays its own.
            while os.waitid(os.P_PID, process.pid, LOOK) is None:
                if interrupted():
                    return Ending(kind="interrupted")
                if time.monotonic() - began > terms.minutes * 60:
                    return Ending(kind="failed", error=f"took over {terms.minutes:g} minutes")
                # A wait for the process itself would not see what else there is to see.
                time.sleep(WATCH)
        finally:
            _kill(process)
    return _ending(process.returncode, _tail(folder / "stderr"))


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
    command: list[str], folder: Path, scratch: Path, terms: Terms, stderr: int
) -> subprocess.Popen[bytes]:
    user = terms.user or None
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
        raise SubjectError(
            f"an assessment as the user {terms.user or 'of the worker'} cannot be started: {error}"
        ) from error


def _give(path: Path, user: str) -> None:
    try:
        shutil.chown(path, user, user)
    except (OSError, LookupError) as error:
        raise SubjectError(
            f"user = {user!r}: its folder cannot be given to it: {error}; a user with a group of "
            "the same name is accepted, where the worker runs as root"
        ) from error


def _limit(process: int, terms: Terms) -> None:
    cores = os.cpu_count() or 1
    limits = {
        resource.RLIMIT_CPU: math.ceil(terms.minutes * 60) * cores,
        resource.RLIMIT_FSIZE: FILE_SIZE,
        resource.RLIMIT_CORE: 0,
    }
    if terms.device == "cpu":
        limits[resource.RLIMIT_AS] = int(terms.memory_gib * 2**30)
    for what, limit in limits.items():
        try:
            resource.prlimit(process, what, (limit, limit))
        except ProcessLookupError:
            return  # it ended already


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL))
        return stream.read().decode(errors="replace").strip()


def _ending(code: int, said: str) -> Ending:
    if code == 0:
        return Ending(kind="assessed")
    if code == REFUSED:
        return Ending(kind="refused", error=said)
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        why = " (out of memory, or of processor time)" if -code in {9, 24} else ""
        last = said.rpartition("\n")[2]
        return Ending(kind="failed", error=f"killed by {name}{why}: {last}".removesuffix(": "))
    return Ending(kind="failed", error=f"ended with code {code}: {said[-1000:]}")

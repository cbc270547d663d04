"""Processes: the server and the worker, each started in a session of its own, and ended with it.

Ctrl-C on a terminal reaches `governance up` alone, which ends both in their order.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from governance.cli.laptop.folder import HOST, Laptop
from governance.errors import HostError

__all__ = ["WORKER", "Child", "start_server", "start_worker"]

WORKER = "worker"
#: Variables that would lead server or worker away from the folder.
ELSEWHERE = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_BACKEND_STORE_URI")
#: Ends a group once whoever started it is gone, however it went: its input ends with that process.
WATCH = 'cat >/dev/null; kill -s TERM -- "-$1" && sleep 10 && kill -s KILL -- "-$1"'
LOOK = 0.05  # seconds between looks at a process that ends
SHOWN = 8  # last lines of a log that an error shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process with a log, and a guard that outlives `governance up` where that is killed.

    Attributes:
        name: What it is called in messages.
        process: The process.
        guard: Shell that waits for the end of this process.
        log: Its log.
        start: Length of the log before it started, in bytes.
    """

    name: str
    process: subprocess.Popen[bytes]
    guard: subprocess.Popen[bytes]
    log: Path
    start: int

    @property
    def over(self) -> bool:
        """Whether it has ended; its number stays its own until `end` is called."""
        found = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found is not None

    @property
    def last_words(self) -> list[str]:
        """The last lines of its log since it was started, without the frames of tracebacks."""
        with self.log.open("rb") as stream:
            stream.seek(self.start)
            lines = stream.read().decode(errors="replace").splitlines()
        return [line for line in lines if line.strip() and not line[0].isspace()][-SHOWN:]

    def tell(self, number: signal.Signals, *, group: bool) -> None:
        """Send a signal to the process, or to all that it started as well."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self, seconds: float) -> int:
        """Wait for it to end, then kill whatever is left of its group; its exit code."""
        until = time.monotonic() + seconds
        while not self.over and time.monotonic() < until:
            time.sleep(LOOK)
        self.tell(signal.SIGKILL, group=True)
        self.guard.kill()
        self.guard.wait()
        if self.guard.stdin is not None:
            self.guard.stdin.close()
        return self.process.wait()


def start_server(home: Laptop) -> Child:
    """MLflow with the governed registry; its database and artifacts lie in the folder.

    Raises:
        HostError: If it cannot be started.
    """
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(home.port)),
        *("--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db"),
        *("--registry-store-uri", "governed+sqlite:///mlflow.db", "--serve-artifacts"),
        *("--artifacts-destination", f"worm://{home.folder}/artifacts"),
    ]
    variables = {
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": (home.folder / "fernet.key").read_text().strip(),
        # Nothing here uses MLflow's job runner, which starts seven processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return _started("MLflow server", command, home.folder, "server.log", variables)


def start_worker(home: Laptop) -> Child:
    """The worker, which assesses what is registered.

    Raises:
        HostError: If it cannot be started.
    """
    command = [sys.executable, "-m", "governance", "worker", "--config", "governance.toml"]
    return _started(WORKER, command, home.folder, "worker.log", {})


def _started(
    name: str, command: list[str], folder: Path, log: str, variables: Mapping[str, str]
) -> Child:
    kept = {key: value for key, value in os.environ.items() if key not in ELSEWHERE}
    # The folder is the working directory, and a file in it must not be imported as one of ours.
    environment = {**kept, "PYTHONSAFEPATH": "1", **variables}
    path = folder / log
    try:
        with path.open("ab") as stream:
            start = stream.tell()
            process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=stream,
                stderr=stream, start_new_session=True,
            )  # fmt: skip
        try:
            guard = subprocess.Popen(  # noqa: S603 - our own command
                ["/bin/sh", "-c", WATCH, "guard", str(process.pid)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    except OSError as error:
        raise HostError(f"the {name} cannot be started: {error}") from error
    return Child(name=name, process=process, guard=guard, log=path, start=start)

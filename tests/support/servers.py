"""Servers that tests start: MLflow and PostgreSQL, on ports chosen free, ended by process id."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import lanes
import pytest


def free_port():
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def mlflow_server(folder, *options, backend=None, environment=None):
    """A real MLflow server in a folder; its address. Starting takes half a minute.

    Args:
        folder: Working directory; holds the log, and the database if no other is given.
        options: Further ones of `mlflow server`.
        backend: URI of the backend store.
        environment: Variables beside the usual ones.
    """
    port = free_port()
    server = start_mlflow(folder, port, *options, backend=backend, environment=environment)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        end(server)


def start_mlflow(folder, port, *options, backend=None, environment=None):
    """The process of a server that answers on a port; see `mlflow_server`."""
    lanes.allow("server")
    address = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"),
        *("--port", str(port), "--backend-store-uri", backend or f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"),
        *("--uvicorn-opts", "--timeout-worker-healthcheck 120"),
        *options,
    ]
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    try:
        _wait_until_healthy(server, address, folder / "log")
    except BaseException:
        end(server)
        raise
    return server


def end(server):
    """Kill a process and all that it started: it has a session of its own."""
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def working_in(folder):
    """Ids of the processes whose working directory a folder is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder and (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or is another user's
    return found


def _wait_until_healthy(server, address, log):
    for _ in range(360):
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):  # noqa: S310 - our own
                return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.5)
    pytest.fail(f"the MLflow server does not answer: {log.read_text()[-2000:]}")


@contextmanager
def postgresql(folder):
    """A PostgreSQL of its own in a folder; the address of its database, without a scheme."""
    lanes.allow("postgresql")
    found = shutil.which("initdb")
    programs = Path(found).resolve().parent if found else None
    if programs is None:
        programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)
    if programs is None:
        pytest.fail("PostgreSQL is not installed; ci/setup dev installs it")
    data, port = folder / "data", free_port()
    data.mkdir()
    owner = {}
    if os.getuid() == 0:
        # PostgreSQL refuses to run as root.
        user = pwd.getpwnam("postgres")
        owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        shutil.chown(data, user.pw_uid, user.pw_gid)
        for parent in (folder, *folder.parents):
            if parent.stat().st_uid == 0 and parent != Path(parent.anchor):
                parent.chmod(parent.stat().st_mode | 0o011)
    subprocess.run(
        [programs / "initdb", "--auth=trust", "--username=governance", "--no-sync", "-D", data],
        cwd=data, check=True, capture_output=True, **owner,
    )  # fmt: skip
    with (folder / "postgresql.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(programs / "postgres", "-D", data, "-p", str(port), "-k", ""),
                *("-h", "127.0.0.1", "-c", "fsync=off"),
            ],
            cwd=data, stdout=log, stderr=log, **owner,
        )  # fmt: skip
    try:
        _wait_until_listening(server, port, folder / "postgresql.log")
        yield f"governance@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def _wait_until_listening(server, port, log):
    for _ in range(240):
        with socket.socket() as probe:
            listening = probe.connect_ex(("127.0.0.1", port)) == 0
        if listening and b"ready to accept connections" in log.read_bytes():
            return
        if server.poll() is not None:
            break
        time.sleep(0.25)
    pytest.fail(f"PostgreSQL does not start: {log.read_text()[-2000:]}")

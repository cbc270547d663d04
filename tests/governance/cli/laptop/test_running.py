"""`governance up` as a real process: it ends all that it started, however one of them ends."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
import servers

from governance.cli.laptop import processes, running
from governance.cli.laptop.folder import laptop
from governance.errors import HostError, RegistryError


@contextmanager
def up(folder, port, output):
    """`governance up` in the background; killed with its children if it still runs."""
    with output.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "governance", "up", "--dir", folder, "--port", str(port)],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def told(output, words, process, seconds=120):
    """Wait until it has said some words."""
    until = time.monotonic() + seconds
    while words not in output.read_text():
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < until, output.read_text()
        time.sleep(0.1)


def none_left(folder, seconds=30):
    """Wait until no process works in a folder."""
    until = time.monotonic() + seconds
    while left := servers.working_in(folder):
        assert time.monotonic() < until, left
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.server
def test_the_server_alone_runs_while_the_policy_is_the_starter_one_and_nothing_outlives_up(
    tmp_path,
):
    folder, port, output = tmp_path / "governed", servers.free_port(), tmp_path / "output"
    # A killed server ends it, with clear words.
    with up(folder, port, output) as process:
        told(output, "is the starter policy, so no version is assessed yet", process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
            assert answer.status == 200
        # MLflow's own command and the server: no job runner, and no worker.
        server, *_ = found = servers.working_in(folder)
        assert len(found) == 2
        for number in found:
            os.kill(number, signal.SIGKILL)
        assert process.wait(60) == 3
    assert "error: the MLflow server ended by itself" in output.read_text()
    assert "takes up where it was" in output.read_text()
    none_left(folder)
    # Up itself is killed: what it started notices.
    with up(folder, port, output) as process:
        told(output, "(as it was left)", process)
        process.kill()
        process.wait(10)
        none_left(folder)
    assert server not in servers.working_in(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_handlers_of_before_come_back(number):
    before = signal.getsignal(number)
    with running._signals() as stop:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is before


def child(command, tmp_path):
    """A process as the server and the worker are started."""
    return processes._started("MLflow server", command, tmp_path, "log", {})


def test_a_process_that_does_not_listen_is_killed_with_all_that_it_started(tmp_path):
    script = "trap '' TERM; sleep 100 & echo $! > inner; echo ready > up; wait; wait"
    found = child(["/bin/sh", "-c", script], tmp_path)
    while not (tmp_path / "up").exists():
        time.sleep(0.01)
    assert not found.over
    found.tell(signal.SIGTERM, group=False)
    assert found.end(0.3) == -signal.SIGKILL
    none_left(tmp_path)


def test_a_process_whose_guard_cannot_be_started_is_not_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "WATCH", "x" * 2**20)  # longer than the system accepts
    with pytest.raises(HostError, match="the MLflow server cannot be started: "):
        child(["/bin/sleep", "100"], tmp_path)
    assert servers.working_in(tmp_path) == []


def test_what_a_process_said_last_is_in_the_error(tmp_path):
    (tmp_path / "log").write_text("from before\n")
    found = child(["/bin/sh", "-c", "echo no such table; exit 7"], tmp_path)
    while not found.over:
        time.sleep(0.01)
    with pytest.raises(RegistryError, match="ended by itself") as refused:
        running._check(found)
    assert refused.value.problems[1:] == ("no such table",)
    assert found.end(1) == 7


def test_the_worker_log_is_read_as_it_grows_and_lines_of_others_are_passed_over(tmp_path):
    home = laptop(tmp_path / "governed", servers.free_port())
    log = home.folder / "log"
    log.write_text('{"event": "from before"}\n')
    found = child(["/bin/true"], home.folder)
    reader = running._Log(found)
    with log.open("a") as stream:
        stream.write('MLflow says\n{"event": "leased"}\n[1]\n{"event": "do')
        stream.flush()
        assert list(reader.fresh()) == [{"event": "leased"}]
        stream.write('ne"}\n')
        stream.flush()
    assert list(reader.fresh()) == [{"event": "done"}]
    found.end(5)

"""What `make test` leaves out is what its tests cannot start, whoever forgets to mark one."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import lanes
import pytest
import servers
from workers import new_office, start_worker

ROOT = Path(__file__).parents[1]


def left_out(marks):
    return {mark.removeprefix("not ") for mark in marks.split(" and ")}


def test_the_fast_lane_leaves_out_every_mark_and_what_never_runs_by_itself():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    never = settings["tool"]["pytest"]["ini_options"]["addopts"][-1]
    (fast,) = re.findall(r'pytest .*-m "(not [^"]+)"', (ROOT / "Makefile").read_text("utf-8"))

    assert left_out(fast) == {*lanes.NEEDS, *left_out(never)}


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("server", [sys.executable, "-m", "mlflow", "server", "--port", "0"]),
        ("server", ["mlflow", "server"]),
        ("postgresql", ["/usr/lib/postgresql/15/bin/postgres", "-D", "data"]),
        ("postgresql", [Path("/usr/bin/initdb"), "-D", "data"]),
        ("browser", ["/usr/bin/chromedriver", "--port=1"]),
        ("worker", [sys.executable, "-m", "governance", "worker"]),
        ("worker", [sys.executable, "-P", "-m", "governance.worker.confined", "folder"]),
    ],
)
def test_a_test_without_its_mark_starts_no_such_process(kind, command):
    with pytest.raises(pytest.fail.Exception, match=f"starts a {kind} and is not marked so"):
        subprocess.Popen(command)


def test_other_processes_may_be_started():
    told = subprocess.run(
        [sys.executable, "-c", "print('mlflow server')"], capture_output=True, check=True
    )

    assert told.stdout == b"mlflow server\n"


def server(folder):
    servers.start_mlflow(folder, 1)


def postgresql(folder):
    with servers.postgresql(folder):
        pass


def worker(folder):
    start_worker(new_office(folder, ""), "http://127.0.0.1:1", folder / "log")


@pytest.mark.parametrize("start", [server, postgresql, worker])
def test_a_test_without_its_mark_is_given_no_server_database_or_worker(start, tmp_path):
    with pytest.raises(pytest.fail.Exception, match=f"starts a {start.__name__}"):
        start(tmp_path)


@pytest.fixture
@lanes.needs("slow")
def patient():
    """Says that it takes its time, and does not."""


@pytest.fixture
def behind(patient):
    return patient


@pytest.mark.usefixtures("behind")
def test_a_test_is_marked_by_the_fixtures_behind_it(request):
    assert [mark.name for mark in request.node.iter_markers() if mark.name in lanes.NEEDS] == [
        "slow"
    ]

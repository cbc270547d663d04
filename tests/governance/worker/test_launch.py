"""What code reaches that took a confined process over, and what becomes of it; real processes."""

import json
import os
from pathlib import Path

import pytest
import reach
from walls import forbid_namespaces, hostile, namespaces_work

from governance.worker import sandbox

pytestmark = pytest.mark.worker


@pytest.fixture(params=["namespaces", "fallback", "GPU"])
def any_wall(request, tmp_path, monkeypatch):
    """As `wall`, and with namespaces and what a GPU needs."""
    return shut_in(request.param, tmp_path, monkeypatch)


@pytest.fixture(params=["namespaces", "fallback"])
def wall(request, tmp_path, monkeypatch):
    """With all that this machine can do, and where namespaces are forbidden."""
    return shut_in(request.param, tmp_path, monkeypatch)


def shut_in(how, folder, monkeypatch):
    if how == "fallback":
        forbid_namespaces(folder, monkeypatch)
    elif not namespaces_work():
        pytest.skip("bubblewrap makes no namespaces here; the fallback is tested")
    return how


@pytest.fixture
def room(tmp_path):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "request.json").write_text("{}")
    return tmp_path / "room"


#: What is open without namespaces, as the worker says at its start.
OPEN = {
    "key", "job_database", "configuration", "passwords", "home", "other_assessment", "own_request",
    "outside", "disk", "environment", "memory", "privileges", "more_memory",
}  # fmt: skip


def test_hostile_code_reaches_nothing_but_what_the_worker_speaks_of(
    any_wall, room, tmp_path, monkeypatch
):
    wall, device = any_wall, "cuda" if any_wall == "GPU" else "cpu"
    with reach.targets(tmp_path, room) as at:
        (tmp_path / "hostile").mkdir()
        (tmp_path / "hostile" / "at.json").write_text(json.dumps(at))
        ending, _ = hostile(reach.SOURCE, tmp_path, room, monkeypatch, device=device)
        left = reach.still_running(at["marker"])

    reached = set(json.loads(ending.output.splitlines()[-1]))
    assert ending.code == 0
    assert left == []
    assert reached <= (OPEN if wall == "fallback" else set())
    # What is open to root is reached: the attempts that fail within walls are good ones.
    assert wall != "fallback" or os.geteuid() != 0 or reached == OPEN
    said = " ".join(sandbox.confinement().gaps)
    assert bool(said) == (wall == "fallback")
    assert not said or all(word in said for word in ("keys", "job database", "fill the disk"))


def test_the_page_on_confinement_says_what_is_reached():
    page = Path(__file__).parents[3] / "docs" / "concepts" / "confinement.md"
    rows = [line.split("|")[1:-1] for line in page.read_text().splitlines() if line.count("|") == 5]
    tried = rows[2:]  # below the heading

    assert len(tried) == len(reach.TRIED)
    assert {inside.strip() for *_, inside, _ in tried} == {"no"}
    assert sum(without.strip().startswith("**yes**") for *_, without in tried) == len(OPEN)


REPLACED = """
import os
for name in ("stderr", "stdout", "assessment", "result"):
    for place in ({room!r}, os.getcwd()):
        try:
            if os.path.lexists(f"{{place}}/{{name}}"):
                os.unlink(f"{{place}}/{{name}}")
            {what}
        except OSError:
            pass
os._exit(2)
"""


@pytest.mark.parametrize(
    "what", ["os.symlink({secret!r}, f'{{place}}/{{name}}')", "os.mkfifo(f'{{place}}/{{name}}')"],
    ids=["links", "pipes"],
)  # fmt: skip
def test_nothing_is_read_by_a_name_that_the_process_could_replace(
    wall, room, tmp_path, monkeypatch, what
):
    secret = tmp_path / "secret.pem"
    secret.write_text("sesame")
    source = REPLACED.format(
        room=str(room), what=what.format(secret=str(secret)).replace("{{", "{").replace("}}", "}")
    )

    ending, found = hostile(source, tmp_path, room, monkeypatch)

    assert (ending.code, found.kind) == (2, None)
    assert "sesame" not in ending.output


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("import ctypes; ctypes.string_at(0)", -11),
        ("bytearray(2**33)", 1),
        ("import os; os._exit(7)", 7),
    ],
    ids=["SIGKILL", "SIGTERM", "SIGSEGV", "memory", "code 7"],
)
def test_how_a_process_ended_is_known(wall, room, tmp_path, monkeypatch, source, code):
    ending, found = hostile(source, tmp_path, room, monkeypatch, RLIMIT_AS=2**32)

    assert (ending.code, found.ready, found.kind) == (code, True, None)


def test_a_group_is_not_signalled_once_its_number_may_be_anothers(
    wall, room, tmp_path, monkeypatch
):
    signalled, kill = [], os.killpg
    monkeypatch.setattr(
        "os.killpg", lambda group, number: (signalled.append(group), kill(group, number))
    )

    ending, _ = hostile("import os; os._exit(7)", tmp_path, room, monkeypatch)

    assert ending.code == 7
    # Those of a confined process without a model, which show what the machine can do, are others.
    assert len(signalled) == len(set(signalled))


def test_a_process_that_never_stops_writing_fills_nothing(wall, room, tmp_path, monkeypatch):
    source = "import os\nfor _ in range(1000): os.write(2, bytes(100_000))\nos._exit(7)"

    ending, _ = hostile(source, tmp_path, room, monkeypatch)

    assert ending.code == 7
    assert len(ending.output) <= 64 * 2**10


def test_a_process_that_hands_back_without_end_is_stopped(wall, room, tmp_path, monkeypatch):
    monkeypatch.setattr("governance.worker.launch.LARGEST", 2**20)
    source = """
import os
for place in range(3, 64):
    try:
        while os.write(place, bytes(99_999)):
            pass
    except OSError:
        pass
"""

    ending, found = hostile(source, tmp_path, room, monkeypatch)

    assert (ending.code, ending.why, found.kind) == (
        None,
        "handed back more than 1048576 bytes",
        None,
    )


def test_a_process_that_closes_everything_and_stays_is_ended(wall, room, tmp_path, monkeypatch):
    source = "import os, time\nos.closerange(0, 256)\ntime.sleep(600)"

    ending, found = hostile(source, tmp_path, room, monkeypatch, seconds=3)

    assert (ending.code, ending.why, found.kind) == (None, "took over 0.05 minutes", None)


def test_a_worker_that_is_told_to_end_ends_the_process(wall, room, tmp_path, monkeypatch):
    source = "import os, time\nos.write(1, b'x')\ntime.sleep(600)"

    ending, _ = hostile(source, tmp_path, room, monkeypatch, interrupted=lambda: True)

    assert (ending.code, ending.why) == (None, "")


def test_threads_are_counted_and_memory_files_are_small(wall, room, tmp_path, monkeypatch):
    source = """
import os, resource
with open("large", "wb") as stream:
    try:
        stream.truncate(2**31)
        size = 2**31
    except OSError:
        size = 0
os.write(1, f"{resource.getrlimit(resource.RLIMIT_NPROC)[1]} {size}".encode())
os._exit(0)
"""
    ending, _ = hostile(source, tmp_path, room, monkeypatch, RLIMIT_NPROC=99, RLIMIT_FSIZE=2**30)

    assert ending.output.endswith("99 0")

"""Lanes: what a test needs beside its own process, said once by the fixture that starts it.

`make test` leaves out every test with one of these marks. A fixture says what it starts
(`@needs("server")`), and a test that uses it, however indirectly, is marked when it is collected.
Whoever starts a process asks `allow` first, so that a test without the mark fails in every lane.
"""

import os
import sys

import pytest

#: The marks that `make test` leaves out, and what programs of a command line ask for them.
NEEDS = ("worker", "browser", "server", "postgresql", "slow")
#: Folders of tests about files and about plug-ins, neither of which coverage measures.
UNTRACED = ("tests", "mlflow_plugins")
#: Of the test that runs now.
_allowed: set[str] = set()


def needs(*marks):
    """Says what a fixture starts: written below `pytest.fixture`."""

    def said(function):
        function.needs = marks
        return function

    return said


def mark(item):
    """Give a test the marks of all fixtures behind it, and say whether coverage traces it.

    The tracer nearly doubles the time of what computes. It sees nothing of other processes, and
    only our plug-ins' callers in tests of MLflow's stores; what takes long, such as the many
    examples of a property, runs lines that other tests run too. These run untraced.
    """
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        for name in getattr(definitions[-1].func, "needs", ()):
            item.add_marker(name)
    long = hasattr(item.function, "hypothesis") or any(map(item.get_closest_marker, NEEDS))
    if long or item.path.parent.name in UNTRACED:
        item.add_marker("no_cover")


def enter(item):
    """From now on a test may start what its marks say."""
    _allowed.clear()
    _allowed.update(name for name in NEEDS if item.get_closest_marker(name))


def allow(kind):
    """Fail the test that runs now unless it is marked with a kind."""
    if kind not in _allowed:
        pytest.fail(f"this test starts a {kind} and is not marked so; see tests/support/lanes.py")


def kind_of(command):
    """Which mark a command line asks for; None where any test may start it."""
    words = command.split() if isinstance(command, str) else [os.fsdecode(word) for word in command]
    programs = {word.rpartition("/")[2] for word in words[:3]}
    if "mlflow" in programs and "server" in words:
        return "server"
    if programs & {"postgres", "initdb"}:
        return "postgresql"
    if programs & {"chromium", "chromedriver"}:
        return "browser"
    if "governance.worker.confined" in words or words[1:4] == ["-m", "governance", "worker"]:
        return "worker"
    return None


def watch():
    """Ask before any process is started, whoever starts it."""

    def look(event, about):
        if event == "subprocess.Popen" and (kind := kind_of(about[1])):
            allow(kind)

    sys.addaudithook(look)


def order(items):
    """Put the files that need most to the front, so that two processes end together.

    Files go to the processes in turn. Workers spend much of their time waiting, so each file that
    starts some is followed by one that computes: one process waits while the other works.
    """
    rank = {}
    for item in items:
        marks = [index for index, name in enumerate(NEEDS) if item.get_closest_marker(name)]
        rank[item.path] = min([*marks, rank.get(item.path, len(NEEDS))])
    waiting = [path for path in rank if rank[path] == 0]
    others = sorted((path for path in rank if rank[path] > 0), key=rank.__getitem__)
    pairs = zip(waiting, others, strict=False)
    first = dict.fromkeys([*(path for pair in pairs for path in pair), *waiting, *others])
    place = {path: index for index, path in enumerate(first)}
    items.sort(key=lambda item: place[item.path])

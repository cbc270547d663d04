"""Benches, whose stages are the functions of this very file."""

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from governance.cli.demonstration.benches import bench
from governance.errors import HostError, SubjectError

HERE = Path(__file__)


def doubled(tell, number):
    tell("doubling")
    return 2 * number


def refused(tell):
    raise SubjectError(["one", "two"])


def killed(tell):
    os.kill(os.getpid(), signal.SIGKILL)


def slow(tell, place):
    try:
        tell("waiting")
        time.sleep(60)
    finally:
        Path(place).write_text(f"{os.getpid()}")


@contextmanager
def with_these(monkeypatch, steps):
    """A bench that finds the functions of this file."""
    monkeypatch.syspath_prepend(HERE.parent)
    with bench(steps.append, HERE.stem) as found:
        yield found


def test_a_bench_works_off_stages_and_tells_their_steps(monkeypatch):
    steps = []
    with with_these(monkeypatch, steps) as found:
        assert [found.do("doubled", n) for n in (2, 3)] == [4, 6]
        with pytest.raises(SubjectError) as told:
            found.do("refused")
        assert told.value.problems == ("one", "two")
        assert found.do("doubled", 1) == 2
    assert steps == ["doubling"] * 3


def test_a_bench_that_is_killed_says_so(monkeypatch):
    with (
        pytest.raises(HostError, match="ended before its work was done"),
        with_these(monkeypatch, []) as found,
    ):
        found.do("killed")


def test_a_stage_is_interrupted_where_the_block_ends_by_an_error_and_no_process_is_left(
    monkeypatch, tmp_path
):
    class StepError(Exception):
        pass

    class Steps:
        def append(self, step):
            raise StepError(step)

    with pytest.raises(StepError), with_these(monkeypatch, Steps()) as found:
        found.do("slow", tmp_path / "interrupted")
    number = int((tmp_path / "interrupted").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)

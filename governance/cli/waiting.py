"""Waiting: what a long command says while it works, on standard error.

On a terminal one line is drawn over and over, and gone at the end. Elsewhere each step is a line of
its own, and a long step says every half a minute how far it is.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from governance.cli.console import err, text

if TYPE_CHECKING:
    from governance.workflows.progress import Progress

__all__ = ["progress_bar"]

#: Seconds between two lines about one step where there is no terminal.
PATIENCE = 30.0


@contextmanager
def progress_bar() -> Iterator["Progress"]:
    """Show the steps of a command, and how far each is."""
    if not sys.stderr.isatty():
        yield Lines(time.monotonic)
        return
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None, detail="")

        def tell(what: str, done: int, total: int, detail: str = "") -> None:
            bar.update(task, description=text(_step(what, done, total)), detail=text(detail))

        yield tell


class Lines:
    """One line a step on standard error, with the time since the command began."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = self._told = clock()
        self._step = ""

    def __call__(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Print a step as it begins, and again where it takes long."""
        step, now = _step(what, done, total), self._clock()
        if step == self._step and now - self._told < PATIENCE:
            return
        said = f"{step}: {detail}" if step == self._step and detail else step
        self._step, self._told = step, now
        minutes, seconds = divmod(int(now - self._begun), 60)
        err.print(text(f"[{minutes}:{seconds:02}] {said}"), soft_wrap=True, highlight=False)


def _step(what: str, done: int, total: int) -> str:
    return f"{what} ({done + 1} of {total})" if total > 1 else what

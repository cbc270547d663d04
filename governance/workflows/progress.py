"""Progress: what a workflow tells the person who waits, step by step and within a step.

A step is an analysis, or something else that takes a while, such as printing. Within an analysis
the images, the forward passes and the time left are told at most twice a second.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from governance.records.numbers import count, waiting
from governance.subject.meter import Meter, Reading

__all__ = ["Progress", "detail", "metered", "silent", "within"]

#: Seconds between two words about one step.
EVERY = 0.5
#: Seconds of a step after which its rate says something about the time left.
SETTLED = 2.0
#: Share of a step after which it does.
SOME = 0.02


class Progress(Protocol):
    """Called as each step begins, and again while it goes on."""

    def __call__(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Tell of a step.

        Args:
            what: Name of the step.
            done: Steps before it.
            total: All steps; 1 where they are not counted.
            detail: How far it is; empty as it begins.
        """
        ...


def silent(what: str, done: int, total: int, detail: str = "") -> None:
    """Tell nobody."""


@contextmanager
def metered(progress: Progress, what: str, done: int, total: int, meter: Meter) -> Iterator[None]:
    """Tell that a step begins, and how far it is until the block ends."""
    progress(what, done, total)
    begun = told = time.monotonic()

    def tell(reading: Reading) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= EVERY:
            told = now
            progress(what, done, total, detail(reading, now - begun))

    with meter.heard(tell):
        yield


def within(progress: Progress, where: str) -> Progress:
    """The same listener, told of the steps of one model among several."""

    def tell(what: str, done: int, total: int, detail: str = "") -> None:
        progress(f"{where}: {what}", done, total, detail)

    return tell


def detail(reading: Reading, seconds: float) -> str:
    """How far a step is, such as "14 of 24 images, 9,120 passes, 40 s left".

    Args:
        reading: What was counted.
        seconds: Time since the step began.
    """
    parts = []
    if reading.planned_images:
        done = min(reading.images, reading.planned_images)
        parts.append(f"{count(done)} of {count(reading.planned_images)} images")
    if reading.passes:
        parts.append(f"{count(reading.passes)} passes")
    share = reading.share
    if share is not None and share < 1 and share >= SOME and seconds >= SETTLED:
        parts.append(f"{waiting(seconds * (1 - share) / share)} left")
    return ", ".join(parts)

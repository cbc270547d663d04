"""Meter: how far the analysis that runs has come, for the people who wait for it.

Nothing that is measured depends on it, and no record holds it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

__all__ = ["Meter", "Reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an analysis has done so far.

    Attributes:
        passes: Forward passes of one image.
        images: Images that are done with.
        planned_passes: Number of passes in all, as far as it is known; 0 if it is not.
        planned_images: Number of images in all; 0 if it is not known.
    """

    passes: int = 0
    images: int = 0
    planned_passes: int = 0
    planned_images: int = 0

    @property
    def share(self) -> float | None:
        """Share of the work that is done, in [0, 1]; None if nothing was planned."""
        if self.planned_images:
            return min(1.0, self.images / self.planned_images)
        return min(1.0, self.passes / self.planned_passes) if self.planned_passes else None


class Meter:
    """Counts what an analysis does, and tells a listener after each batch."""

    def __init__(self) -> None:
        self._reading = Reading()
        self._tell: Callable[[Reading], None] = _nobody

    @contextmanager
    def heard(self, tell: Callable[[Reading], None]) -> Iterator[None]:
        """Count from zero, and tell `tell` of every batch until the block ends."""
        self._reading, self._tell = Reading(), tell
        try:
            yield
        finally:
            self._tell = _nobody

    def plan(self, *, passes: int = 0, images: int = 0) -> None:
        """Announce further work before it is done."""
        now = self._reading
        self._reading = replace(
            now,
            planned_passes=now.planned_passes + passes,
            planned_images=now.planned_images + images,
        )

    def count(self, *, passes: int = 0, images: int = 0) -> None:
        """Count work that was done."""
        now = self._reading
        self._reading = replace(now, passes=now.passes + passes, images=now.images + images)
        self._tell(self._reading)


def _nobody(_: Reading) -> None:
    """Where nobody waits."""

"""Scores: how well maps say what a model rests on, image by image, beside maps that say nothing.

Whatever is measured of a map is measured of two more maps of the same image: a random one, as
smooth as a coarse grid, and a constant one, whose pixels are ordered by the seed. A score without
them means nothing, since an easy image gives any map a high one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from governance.methods.statistics import intervals
from governance.records.evidence import Interval

__all__ = ["Score", "beyond", "score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A metric of maps over images, beside the same of maps that say nothing.

    Attributes:
        metric: `insertion`, `deletion`, `mu_fidelity`, `max_sensitivity` or `sparseness`.
        baseline: Fill image for removed pixels; None where none were removed.
        better: Better direction, `higher` or `lower`.
        values: Value of each image; None where there is none, as of a correlation without spread.
        controls: Values of other maps of these images: `random`, `constant`, perhaps `centre`.
        opponents: The controls that must be beaten.
        value: Mean over the images that have a value; None if none has.
        interval: Percentile bootstrap over those images.
    """

    metric: str
    baseline: str | None
    better: Literal["higher", "lower"]
    values: tuple[float | None, ...]
    controls: Mapping[str, tuple[float | None, ...]]
    opponents: tuple[str, ...]
    value: float | None
    interval: Interval | None

    @property
    def n(self) -> int:
        """Images that have a value."""
        return sum(value is not None for value in self.values)

    def control(self, name: str) -> float | None:
        """Mean over the images of a control; None if it has no value."""
        return _mean(self.controls[name])

    def advantage(self, name: str) -> tuple[float, ...]:
        """By how much each image is better than a control, where both have a value."""
        sign = 1 if self.better == "higher" else -1
        pairs = zip(self.values, self.controls[name], strict=True)
        return tuple(sign * (a - b) for a, b in pairs if a is not None and b is not None)

    def margin(self, name: str) -> Interval | None:
        """Student's t interval of the mean advantage over a control; None without spread."""
        return intervals.mean(self.advantage(name))

    @property
    def better_than_random(self) -> bool:
        """Whether the maps are shown to be better than each opponent."""
        return all(beyond(self.advantage(name), 0.0) for name in self.opponents)


def score(
    metric: str,
    better: Literal["higher", "lower"],
    values: NDArray[np.float64],
    controls: Mapping[str, NDArray[np.float64]],
    *,
    baseline: str | None = None,
    opponents: tuple[str, ...] = ("random", "constant"),
    seed: int = 0,
) -> Score:
    """A score from what was measured of each image: (N,) values, NaN where there is none."""
    kept = values[np.isfinite(values)]
    return Score(
        metric=metric,
        baseline=baseline,
        better=better,
        values=_cells(values),
        controls=MappingProxyType({name: _cells(item) for name, item in controls.items()}),
        opponents=opponents,
        value=float(kept.mean()) if kept.size else None,
        interval=intervals.bootstrap(np.mean, kept, seed),
    )


def _cells(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def beyond(values: Sequence[float], limit: float) -> bool:
    """Whether the mean of what the values are drawn from is shown to lie above a limit.

    The lower end of Student's t interval decides: the bootstrap of a handful of images is too
    narrow. Where all values are equal there is no spread to go by, and their common value decides.
    One value, or none, shows nothing.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size < 2 or not np.isfinite(data).all():  # noqa: PLR2004 - one value shows no spread
        return False
    interval = intervals.mean(data)
    return bool((data[0] if interval is None else interval.low) > limit)

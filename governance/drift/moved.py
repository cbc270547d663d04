"""Moved: images that both versions answer rightly, for another reason than before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.drift.judging import OLD
from governance.drift.version import Version
from governance.methods.coarse_maps import rank_distance, ranked
from governance.methods.statistics.intervals import wilson
from governance.records.evidence import Interval

__all__ = ["Moved", "moved_images"]

BAND = 0.95  # share of harmless distances inside the noise band


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """Which explanations moved beyond the noise band.

    Attributes:
        band: Map distance beyond which an image counts as moved.
        rests_on: What the band was taken from.
        distance: Map distance of each image between the versions, (N,).
        moved: Whether it lies beyond the band, (N,).
        both: Whether both versions answer the image rightly, (N,).
    """

    band: float
    rests_on: str
    distance: NDArray[np.float64]
    moved: NDArray[np.bool_]
    both: NDArray[np.bool_]

    @property
    def share(self) -> float | None:
        """Moved among those that both versions answer rightly; None where there are none."""
        n = int(self.both.sum())
        return int((self.moved & self.both).sum()) / n if n else None

    @property
    def interval(self) -> Interval | None:
        """Wilson's, of `share`."""
        return wilson(int((self.moved & self.both).sum()), int(self.both.sum()))


def moved_images(versions: list[Version], by_image: NDArray[np.float64]) -> Moved:
    """Hold each image's map distance between the versions against that of harmless runs.

    The band holds 95 % of the distances from the old version to the references, over all images;
    without references, of those between an image's two maps under one version, which is less than
    what harmless training does.

    Args:
        versions: Old, new, references.
        by_image: (V, V, N) map distances.
    """
    old, new = versions[:2]
    if len(versions) > 2:  # noqa: PLR2004 - references beside old and new
        harmless = by_image[OLD, 2:].ravel()
        rests_on = f"{len(versions) - 2} references"
    else:
        noise = [
            rank_distance(ranked(item.maps[item.twice]), ranked(item.again)) for item in (old, new)
        ]
        harmless, rests_on = np.concatenate(noise), "the explainer's own noise alone"
    band = float(np.quantile(harmless, BAND))
    distance = by_image[OLD, 1]
    return Moved(
        band=band, rests_on=rests_on, distance=distance, moved=distance > band,
        both=old.right & new.right,
    )  # fmt: skip

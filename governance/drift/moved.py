"""Moved images: those that both versions answer rightly, for another reason than before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.drift.judging import OLD
from governance.drift.version import Version
from governance.methods.coarse_maps import rank_distance, ranked
from governance.methods.statistics.intervals import wilson
from governance.records.evidence import Interval

__all__ = ["Moved", "moved_images"]

BAND = 0.95  # share of harmless distances within the noise limit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """Images whose heat map moved beyond the noise limit.

    Attributes:
        band: Noise limit: heat map distance beyond which an image counts as moved.
        rests_on: Source of the noise limit in words.
        distance: Heat map distance of each image between the versions, (N,).
        moved: Whether the distance of an image exceeds the noise limit, (N,).
        both: Whether both versions answer the image rightly, (N,).
    """

    band: float
    rests_on: str
    distance: NDArray[np.float64]
    moved: NDArray[np.bool_]
    both: NDArray[np.bool_]

    @property
    def share(self) -> float | None:
        """Share of moved images among those that both versions answer rightly; None without any."""
        n = int(self.both.sum())
        return int((self.moved & self.both).sum()) / n if n else None

    @property
    def interval(self) -> Interval | None:
        """Wilson interval of `share`."""
        return wilson(int((self.moved & self.both).sum()), int(self.both.sum()))


def moved_images(versions: list[Version], by_image: NDArray[np.float64]) -> Moved:
    """Compare each image's heat map distance between the versions with that of harmless runs.

    The noise limit is the 95 % point of the distances from the old version to the reference runs,
    over all images. Without reference runs it is that of the distances between the two heat maps
    of an image under one version, which are smaller than those of harmless training.

    Args:
        versions: Old version, new version and reference runs.
        by_image: Heat map distances, (V, V, N).
    """
    old, new = versions[:2]
    if len(versions) > 2:  # noqa: PLR2004 - references beside old and new
        harmless = by_image[OLD, 2:].ravel()
        rests_on = f"{len(versions) - 2} reference runs"
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

"""Controls: maps that say nothing, or nothing of the model, as opponents of those that should."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from governance.errors import AnalysisError

__all__ = ["GRID", "Explainer", "Maps", "centre_maps", "check_maps", "constant_maps", "random_maps"]

Maps = NDArray[np.floating]

#: Maps images (N, C, H, W) in [0, 1], a target for each and a seed to heat (N, H, W).
Explainer = Callable[[Tensor, Sequence[int], int], Maps]

GRID = 8  # cells a side: of a random map, and of the subsets of mu-Fidelity


def check_maps(maps: Maps, images: Tensor) -> NDArray[np.float64]:
    """Maps as float64, one finite (H, W) for each image (N, C, H, W).

    Raises:
        AnalysisError: If they are anything else.
    """
    data = np.asarray(maps, dtype=np.float64)
    wanted = (len(images), *images.shape[2:])
    if data.shape != wanted or not np.isfinite(data).all():
        raise AnalysisError(
            f"maps have shape {data.shape} or are not finite; finite numbers of shape {wanted}, "
            "one per pixel of each image, are accepted"
        )
    return data


def random_maps(shape: tuple[int, int, int], seed: int) -> NDArray[np.float64]:
    """Uniform noise on a grid of 8 x 8, linear in between: (N, H, W) as smooth as explanations are.

    Noise pixel by pixel would be an easier opponent: scattered pixels reveal no shape.
    """
    count, height, width = shape
    coarse = np.random.default_rng([seed, 1]).random((count, GRID, GRID))
    rows, columns = (np.linspace(0, GRID - 1, side) for side in (height, width))
    where = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    fine = [ndimage.map_coordinates(item, where, order=1) for item in coarse]
    return np.array(fine, dtype=np.float64).reshape(shape)


def constant_maps(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """One heat for all pixels: (N, H, W), ranked by the seed alone."""
    return np.ones(shape)


def centre_maps(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """A Gaussian around the centre, a quarter of each side wide: where photographers aim."""
    count, *sides = shape
    down, across = (np.exp(-8 * ((np.arange(s) + 0.5) / s - 0.5) ** 2) for s in sides)
    return np.broadcast_to(down[:, None] * across, (count, *sides)).copy()

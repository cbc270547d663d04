"""Measures: what is asked of a map on its image, one number a map.

Each is made once for some images and then asked for any maps of them, so that maps and their
controls are measured alike and share what can be shared.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.methods.faithfulness.controls import GRID, Maps
from governance.methods.masking import Ask, Forward, Predict, Scene, curve

__all__ = ["Measure", "curve_area", "fidelity", "gini"]

#: From maps (N, H, W) to one number each, (N,); NaN where there is none.
Measure = Callable[[Maps], NDArray[np.float64]]

SUBSET = 0.2  # share of the cells in a subset


def curve_area(
    predict: Predict,
    images: Tensor,
    replacements: Sequence[Tensor],
    targets: Sequence[int],
    *,
    kind: Literal["insertion", "deletion"],
    steps: int,
    seed: int,
    batch_size: int | None = None,
) -> Measure:
    """Area under the curve of the target's probability while pixels are revealed or removed.

    Returns:
        What maps (N, H, W) score: (N,). See `masking.curve`.
    """

    def measure(maps: Maps) -> NDArray[np.float64]:
        rows = zip(images, replacements, maps, targets, strict=True)
        found = [
            curve(predict, image, replacement, heat, target, kind=kind, steps=steps,
                  seed=seed + place, batch_size=batch_size).auc
            for place, (image, replacement, heat, target) in enumerate(rows)
        ]  # fmt: skip
        return np.array(found, dtype=np.float64)

    return measure


def fidelity(
    predict: Predict,
    images: Tensor,
    replacements: Sequence[Tensor],
    targets: Sequence[int],
    *,
    subsets: int,
    seed: int,
    batch_size: int | None = None,
) -> Measure:
    """mu-Fidelity: does heat removed foretell how much probability is lost?

    Subsets of a fifth of 8 x 8 cells, all of the same size, are replaced. With subsets of differing
    size, as of coins tossed, any positive map correlates, since more removed costs more.

    Returns:
        What maps (N, H, W) score: (N,) Pearson correlation over the subsets of an image between the
        heat in a subset and the loss; 0 for a constant map, NaN where no subset changes anything.

    Source:
        Bhatt, Weller, Moura 2020 (faithfulness correlation).
    """
    cells = _cells_of(images.shape[2], images.shape[3])
    drawn = np.random.default_rng([seed, 2]).random((len(images), subsets, GRID * GRID))
    removed = drawn.argsort(2).argsort(2) < round(SUBSET * GRID * GRID)
    losses = [
        _loss(predict, image, replacement, cells, gone, target, batch_size)
        for image, replacement, gone, target in zip(
            images, replacements, removed, targets, strict=True
        )
    ]

    def measure(maps: Maps) -> NDArray[np.float64]:
        return np.array(
            [
                _correlation(heat, cells, gone, loss)
                for heat, gone, loss in zip(maps, removed, losses, strict=True)
            ]
        )

    return measure


def _cells_of(height: int, width: int) -> NDArray[np.int64]:
    down, across = (np.arange(side) * GRID // side for side in (height, width))
    return np.asarray(down[:, None] * GRID + across, dtype=np.int64)


def _loss(
    predict: Predict,
    image: Tensor,
    replacement: Tensor,
    cells: NDArray[np.int64],
    removed: NDArray[np.bool_],
    target: int,
    batch_size: int | None,
) -> NDArray[np.float64]:
    labels = torch.from_numpy(cells).to(image.device).flatten()
    scene = Scene(image=image, labels=labels, replacements={"": replacement})
    keep = np.concatenate([np.ones_like(removed[:1]), ~removed])
    forward = Forward(predict, batch_size, image)
    told = forward(len(keep), lambda start, stop: scene.compose(Ask(keep[start:stop], "")))
    p = told[:, target].astype(np.float64)
    return np.asarray(p[0] - p[1:])


def _correlation(
    heat: Maps, cells: NDArray[np.int64], removed: NDArray[np.bool_], loss: NDArray[np.float64]
) -> float:
    if np.ptp(loss) == 0:
        return float("nan")
    if np.ptp(heat) == 0:
        return 0.0
    # Cells need not be equally large: what is above the average counts, not what is large.
    held = np.bincount(cells.ravel(), weights=(heat - heat.mean()).ravel())
    taken = removed @ (held / np.abs(held).max(initial=1e-300))
    return 0.0 if np.ptp(taken) == 0 else float(np.corrcoef(taken, loss)[0, 1])


def gini(maps: Maps) -> NDArray[np.float64]:
    """Sparseness: the Gini index of the absolute heat of each map, (N,); 0 is even, 1 one pixel.

    Source:
        Hurley, Rickard 2009; Chalasani et al. 2020 for attributions.
    """
    heat = np.sort(np.abs(maps.reshape(len(maps), -1)), axis=1)
    n, total = heat.shape[1], heat.sum(1)
    rank = 2 * np.arange(1, n + 1) - n - 1
    return np.asarray(np.where(total > 0, heat @ rank / (n * np.where(total > 0, total, 1)), 0.0))

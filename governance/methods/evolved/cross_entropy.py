"""Cross-entropy evolution of smooth masks, with a regression on everything it tries.

The engine `cem` of `maps.evolve_map`. Three parts, all black-box:

1. Random shifted masks, half of the nodes kept, and a smooth ridge regression of what they keep.
2. A distribution over masks, one chance a place, which starts from that regression and is pulled,
   generation by generation, towards its best masks (cross-entropy method, Rubinstein 1999). Masks
   are drawn at every area, and the best are those that keep more than others of their area.
3. The regression again on the whole archive, fused with where the evolution ended.
"""

import numpy as np
from numpy.typing import NDArray

from governance.methods.evolved.soft_masks import (
    TINY,
    Masks,
    Trials,
    at_nodes,
    random_shift,
    rendered,
)

__all__ = ["regression", "search"]

Numbers = NDArray[np.float64]

WARM = 0.8  # share of the budget spent on random masks
LITTER = 40
ELITE = 10
RATE = 0.3
STEEP = 2.0  # how sharply the first distribution follows the regression
FUSED = 1 / 3  # weight of the distribution beside the regression
FINER = 2  # places of the regression in each cell, a side
REACH = 1.0  # cells within which places are expected to weigh alike
STRENGTH = 0.25  # of the penalty, for each place
SURE = 0.02  # no chance comes nearer to 0 and 1


def search(trials: Trials, grid: int, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """What each place is worth, (r, r) with r twice the grid: more keeps the target's probability.

    Args:
        trials: Trials of masks, until their budget is spent.
        grid: Cells a side.
        rng: Source of the masks.

    Returns:
        The map, and two maps (2, r, r) from the regressions on every second trial each.
    """
    warm = max(1, int(trials.left * WARM))
    nodes = (rng.random((warm, grid + 1, grid + 1)) < 0.5).astype(np.float64)  # noqa: PLR2004 - a fair coin
    trials.evaluate(Masks(nodes, random_shift(warm, rng), grid))
    chance = _likely(STEEP * _standard(regression(trials, grid)))
    while trials.left:
        masks = _drawn(chance, grid, rng)
        worth = _log_odds(trials.evaluate(masks))
        seen = rendered(masks.part(0, len(worth)), *chance.shape)
        elite = np.argsort(-_beyond_area(worth, seen), kind="stable")[:ELITE]
        pull = seen[elite].mean(0) - seen.mean(0)
        chance = np.clip(chance + 2 * RATE * pull, SURE, 1 - SURE)
    found = _standard(regression(trials, grid)) + FUSED * _standard(chance)
    halves = [regression(trials, grid, slice(start, None, 2)) for start in (0, 1)]
    return found, np.stack(halves)


def regression(trials: Trials, grid: int, which: slice = slice(None)) -> Numbers:
    """Weights of places for what masks keep, (r, r), that neighbouring places share.

    Ridge regression whose penalty expects weights to be alike within `REACH` cells: the mean of a
    Gaussian process with a squared exponential covariance. What is kept is the sum of probability
    and log odds, each standardised: the first alone is blind to masks that lose the class, and the
    second hangs on them.

    Args:
        trials: Masks that were tried, with their probabilities.
        grid: Cells a side.
        which: Numbers of the trials to use.
    """
    side = FINER * grid
    masks = trials.masks
    some = masks._replace(nodes=masks.nodes[which], shift=masks.shift[which])
    smooth = _root(side)
    seen = rendered(some, side, side)
    data = (smooth.T @ (seen - seen.mean(0)) @ smooth).reshape(len(seen), -1)
    gram = data.T @ data
    gram[np.diag_indices_from(gram)] += STRENGTH * side * side
    p = trials.p[which]
    weights = np.linalg.solve(gram, data.T @ (_standard(p) + _standard(_log_odds(p))))
    return np.asarray(smooth @ weights.reshape(side, side) @ smooth.T)


def _root(side: int) -> Numbers:
    # Root of the covariance along one axis; that of the plane is its product with itself.
    away = np.subtract.outer(np.arange(side), np.arange(side)) / (FINER * REACH)
    covariance = np.exp(-(away**2) / 2) + TINY * np.eye(side)
    return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)


def _drawn(chance: Numbers, grid: int, rng: np.random.Generator) -> Masks:
    # Each mask from the same distribution moved up or down as a whole: every area is tried.
    odds = np.log(chance / (1 - chance))
    level = np.quantile(odds, rng.random(LITTER))[:, None, None]
    shift = random_shift(LITTER, rng)
    kept = _likely(at_nodes(odds, grid, shift) - level)
    return Masks((rng.random(kept.shape) < kept).astype(np.float64), shift, grid)


def _beyond_area(worth: Numbers, seen: Numbers) -> Numbers:
    # What is left of the worth once a straight line in the area is taken off.
    area = seen.mean((1, 2))
    area -= area.mean()
    slope = area @ worth / (area @ area + TINY)
    return np.asarray(worth - slope * area)


def _log_odds(p: Numbers) -> Numbers:
    inside = np.clip(p, TINY, 1 - TINY)
    return np.asarray(np.log(inside) - np.log(1 - inside))


def _likely(odds: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-odds)))


def _standard(values: Numbers) -> Numbers:
    spread = values.std()
    return np.asarray((values - values.mean()) / spread) if spread > 0 else values * 0.0

"""Descent: from the best subset known to ever smaller ones a single drop or swap away.

What the neighbours are worth is foretold by a ridge regression on the subsets already evaluated,
those most like the best one weighing most. Nothing is random, so that runs with other seeds have
this in common.
"""

import numpy as np
from numpy.typing import NDArray

from governance.explanation.subsets import Search, Steps
from governance.masking import Bits

__all__ = ["descend", "neighbours", "ridge"]

TRIED = 10  # neighbours evaluated at a time
PATIENCE = 3  # times without a smaller subset
ALIKE = 8.0  # superpixels that differ, at which a subset's weight has fallen to exp(-1/2)


def descend(search: Search, limit: int) -> Steps[None]:
    """Evaluate the most hopeful smaller neighbours of the best subset, over and over.

    Ends after `PATIENCE` times without a smaller one that reaches the goal, where no smaller
    neighbour is left, or at `limit` passes in all. Where no subset reaches the goal, or size is not
    looked for, nothing is done.
    """
    stale, best = 0, search.best()
    while stale < PATIENCE and search.spent < limit and search.met[best]:
        chosen = search.chosen(best)
        near = neighbours(chosen)
        near = near[near @ search.pixels < search.size[best]]
        near = near[search.archive.unknown(near ^ search.goal.removes)]
        if not len(near):
            return
        tried = search.chosen(np.arange(len(search.archive)))
        alike = np.exp(-(((tried ^ chosen).sum(1) / ALIKE) ** 2) / 2)
        weights, _ = ridge(tried, search.value, alike)
        hope = near @ weights
        yield from search.evaluate(near[np.argsort(-hope, kind="stable")[:TRIED]], limit)
        before, best = best, search.best()
        stale = stale + 1 if best == before else 0


def neighbours(chosen: Bits) -> Bits:
    """Every subset (B, n) that drops one member of `chosen` (n,), or swaps one for a stranger."""
    inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    dropped = np.repeat(chosen[None], len(inside), axis=0)
    dropped[np.arange(len(inside)), inside] = False
    swapped = np.repeat(dropped, len(outside), axis=0)
    swapped[np.arange(len(swapped)), np.tile(outside, len(inside))] = True
    return np.concatenate([dropped, swapped])


def ridge(
    keep: Bits,
    value: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
    strength: float = 1.0,
) -> tuple[NDArray[np.float64], float]:
    """Least squares with a penalty on the slopes: (n,) slopes and the intercept.

    Args:
        keep: (B, n).
        value: (B,).
        weight: (B,) of each row; None for all alike.
        strength: Of the penalty.
    """
    counts = np.ones(len(keep)) if weight is None else weight
    middle, mean = np.average(keep, axis=0, weights=counts), np.average(value, weights=counts)
    data = keep - middle
    gram = (data.T * counts) @ data
    gram[np.diag_indices_from(gram)] += strength
    slopes = np.linalg.solve(gram, data.T @ (counts * (value - mean)))
    return np.asarray(slopes, dtype=np.float64), float(mean - middle @ slopes)

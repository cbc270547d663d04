"""Descent: from a subset that reaches the goal to ever smaller ones.

What members are worth is foretold by a ridge regression on the subsets already evaluated, those
most like the one at hand weighing most. Nothing is random, so that runs with other seeds have this
in common.
"""

import numpy as np
from numpy.typing import NDArray

from governance.methods.evolved.subsets import Search, Steps
from governance.methods.masking import Bits

__all__ = ["descend", "neighbours", "ridge", "trim"]

TRIED = 10  # subsets evaluated at a time
DROPPED = (2, 3, 4, 6)  # least hopeful members that are dropped together in some of them
PATIENCE = 6  # times without a smaller subset
ALIKE = 8.0  # superpixels that differ, at which a subset's weight has fallen to exp(-1/2)


def trim(search: Search, chosen: Bits, limit: int) -> Steps[None]:
    """Drop as many of the least hopeful members of `chosen` (n,) as bisection finds, over and over.

    Ends where not one can be dropped; does nothing where `chosen` does not reach the goal.
    """
    dropped = bool(search.met[search.known(chosen[None])][0])
    while dropped and search.spent < limit:
        members = np.flatnonzero(chosen)
        order = members[np.argsort(_foretold(search, chosen)[members], kind="stable")]
        low, high, dropped = 0, len(order), False
        while high - low > 1:
            middle = (low + high) // 2
            trial = chosen & ~np.isin(np.arange(len(chosen)), order[:middle])
            (row,) = yield from search.evaluate(trial[None], limit)
            if row >= 0 and search.met[row]:
                low, smaller, dropped = middle, trial, True
            else:
                high = middle
        if dropped:
            chosen = smaller


def descend(search: Search, limit: int) -> Steps[None]:
    """Evaluate the most hopeful smaller neighbours of the best subset, over and over.

    Among them are subsets that drop several of the least hopeful members. Ends after `PATIENCE`
    times without a smaller one that reaches the goal, where no smaller neighbour is left, or at
    `limit` passes in all. Where no subset reaches the goal, nothing is done.
    """
    stale, best = 0, search.best()
    while stale < PATIENCE and search.spent < limit and search.met[best]:
        chosen = search.chosen(best)
        near = neighbours(chosen)
        near = near[near @ search.pixels < search.size[best]]
        near = near[search.archive.unknown(near ^ search.goal.removes)]
        if not len(near):
            return
        slopes = _foretold(search, chosen)
        several = _without_several(chosen, slopes)
        hopeful = near[np.argsort(-(near @ slopes), kind="stable")[: TRIED - len(several)]]
        yield from search.evaluate(np.concatenate([several, hopeful]), limit)
        before, best = best, search.best()
        stale = stale + 1 if best == before else 0


def _foretold(search: Search, chosen: Bits) -> NDArray[np.float64]:
    tried = search.chosen(np.arange(len(search.archive)))
    alike = np.exp(-(((tried ^ chosen).sum(1) / ALIKE) ** 2) / 2)
    return ridge(tried, search.value, alike)[0]


def _without_several(chosen: Bits, slopes: NDArray[np.float64]) -> Bits:
    members = np.flatnonzero(chosen)
    order = members[np.argsort(slopes[members], kind="stable")]
    counts = [count for count in DROPPED if count < len(members)]
    subsets = np.repeat(chosen[None], len(counts), axis=0)
    for subset, count in zip(subsets, counts, strict=True):
        subset[order[:count]] = False
    return subsets


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
        strength: Strength of the penalty.
    """
    counts = np.ones(len(keep)) if weight is None else weight
    middle, mean = np.average(keep, axis=0, weights=counts), np.average(value, weights=counts)
    data = keep - middle
    gram = (data.T * counts) @ data
    gram[np.diag_indices_from(gram)] += strength
    slopes = np.linalg.solve(gram, data.T @ (counts * (value - mean)))
    return np.asarray(slopes, dtype=np.float64), float(mean - middle @ slopes)

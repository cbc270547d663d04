"""Differential evolution: numbers in [0, 1] that make something least, by differences of others.

Strategy current-to-best/1/bin, a whole generation evaluated at once: after Storn, Price 1997. The
engine `de` of `maps.evolve_map` looks with it for the smooth mask that keeps a
prediction with little of the image.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from governance.methods.evolved.soft_masks import Masks, Trials

__all__ = ["minimise", "search"]

Numbers = NDArray[np.float64]

POPULATION = 40
DIFFERENCE = 0.6  # F
CROSSED = 0.9  # CR
THRIFT = 0.3  # what the whole area costs, in shares of the full image's probability


def minimise(
    cost: Callable[[Numbers], Numbers],
    size: int,
    budget: int,
    rng: np.random.Generator,
    population: int = POPULATION,
) -> tuple[Numbers, float]:
    """The best point found within a budget, and its cost.

    Args:
        cost: Maps points (B, size) in [0, 1] to their costs (B,).
        size: Numbers of a point.
        budget: Points that may be evaluated.
        rng: Source of everything random.
        population: Points kept; four and more.
    """
    points = _stratified(min(population, budget), size, rng)
    costs = cost(points)
    left = budget - len(points)
    every = np.arange(len(points))
    while left > 0 and len(points) > 3:  # noqa: PLR2004 - a point and two others, and one to spare
        best = points[costs.argmin()]
        one, two = (points[row] for row in _others(len(points), rng))
        step = DIFFERENCE * (best - points) + DIFFERENCE * (one - two)
        crossed = rng.random(points.shape) < CROSSED
        crossed[every, rng.integers(size, size=len(points))] = True
        trial = np.where(crossed, _reflected(points + step), points)[:left]
        told = cost(trial)
        better = np.flatnonzero(told <= costs[: len(trial)])
        points[better], costs[better] = trial[better], told[better]
        left -= len(trial)
    best_row = int(costs.argmin())
    return points[best_row], float(costs[best_row])


def search(trials: Trials, grid: int, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """The mask that keeps most of the target's probability for least area, (grid, grid).

    Two populations evolve one after the other with half of the budget each: one of 40 loses
    little by it, and whether two agree says how far to trust one.

    Args:
        trials: Trials of masks, until their budget is spent.
        grid: Cells a side.
        rng: Source of the evolution's random numbers.

    Returns:
        The better of two masks, and both, (2, grid, grid).
    """

    def cost(points: Numbers) -> Numbers:
        nodes = points.reshape(-1, grid, grid)
        p = trials.evaluate(Masks(nodes, np.zeros((len(nodes), 2)), grid))
        return np.asarray(THRIFT * nodes.mean((1, 2)) - p / trials.full)

    first = minimise(cost, grid * grid, trials.left // 2, rng)
    ends = [first, minimise(cost, grid * grid, trials.left, rng)]
    masks = np.stack([point.reshape(grid, grid) for point, _ in ends])
    return masks[int(np.argmin([least for _, least in ends]))], masks


def _stratified(count: int, size: int, rng: np.random.Generator) -> Numbers:
    # A Latin hypercube: each number of the points takes every stratum once.
    strata = rng.permuted(np.tile(np.arange(count), (size, 1)), axis=1).T
    return np.asarray((strata + rng.random((count, size))) / count)


def _others(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    # For each point two different others: (2, count).
    order = rng.random((count, count))
    np.fill_diagonal(order, 2)
    return np.asarray(order.argpartition(1, axis=1)[:, :2].T)


def _reflected(points: Numbers) -> Numbers:
    # Steps over the border come back by as much; clipping would pile points up there.
    inside = np.abs(points)
    return np.asarray(np.clip(np.where(inside > 1, 2 - inside, inside), 0, 1))

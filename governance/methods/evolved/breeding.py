"""Breeding: subsets of superpixels crossed and moved on independent islands, ever nearer a goal."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from governance.methods.evolved.descent import ridge
from governance.methods.evolved.subsets import Rows, Search, Steps
from governance.methods.masking import Bits

__all__ = ["LITTER", "breed", "islands", "jaccard"]

TINY = 1e-7
LITTER = 30  # children of all islands in a generation
POOL = 16  # parents of an island
MOVES = (0.45, 0.20, 0.25)  # drop, add, swap; the rest are left as crossed
CROSSED = 0.9
PRESCREEN = 30  # children bred for each one evaluated


def breed(parents: Bits, score: NDArray[np.float64], count: int, rng: np.random.Generator) -> Bits:
    """Children (count, n) of parents (m, n) sorted best first, by crossover and one move.

    Parents win binary tournaments. A move drops a superpixel, adds one or swaps two, chosen at
    random with odds by `score` (n,): weak ones are dropped, strong ones added.
    """
    m, n = parents.shape
    mother, father = rng.integers(m, size=(2, count, 2)).min(2)
    mixed = (rng.random((count, n)) < 0.5) & (rng.random((count, 1)) < CROSSED)  # noqa: PLR2004 - a fair coin
    child = np.where(mixed, parents[father], parents[mother])
    move = np.searchsorted(np.cumsum(MOVES), rng.random(count))
    noise = rng.gumbel(size=(2, count, n))
    scale = score / (score.std() + TINY)
    every = np.arange(count)
    out = np.where(child, noise[0] - scale, -np.inf).argmax(1)
    into = np.where(child, -np.inf, noise[1] + scale).argmax(1)
    child[every, out] &= ~((move == 0) | (move == 2))  # noqa: PLR2004 - place in MOVES
    child[every, into] |= (move == 1) | (move == 2)  # noqa: PLR2004 - place in MOVES
    return np.asarray(child)


def islands(
    search: Search,
    score: NDArray[np.float64],
    rngs: Sequence[np.random.Generator],
    limit: int,
    patience: int = 8,
) -> Steps[list[int]]:
    """Breed on independent islands, all starting from what is archived, until nothing improves.

    Children that a ridge regression on the archive expects to come nearest the goal are evaluated;
    children no smaller than the best subset are not, where size is what counts.

    Returns:
        Row of the best subset of each island.
    """
    pools = [np.arange(len(search.archive))] * len(rngs)
    best = [search.best()] * len(rngs)
    stale, reached = 0, _reached(search, best)
    while stale < patience and search.spent < limit:
        expected = ridge(search.chosen(np.arange(len(search.archive))), search.value)
        litters = [
            _litter(search, _parents(search, pool), score, expected, LITTER // len(rngs), rng)
            for pool, rng in zip(pools, rngs, strict=True)
        ]
        rows = yield from search.evaluate(np.concatenate(litters), limit)
        born = np.split(rows, np.cumsum([len(litter) for litter in litters])[:-1])
        pools = [np.union1d(pool, new[new >= 0]) for pool, new in zip(pools, born, strict=True)]
        best = [search.best(pool) for pool in pools]
        before, reached = reached, _reached(search, best)
        stale = stale + 1 if reached == before else 0
    return best


def _reached(search: Search, best: list[int]) -> list[int]:
    return search.front().tolist() if search.goal.mode == "pareto" else best


def _parents(search: Search, pool: Rows) -> Bits:
    if search.goal.mode == "confidence":
        return search.chosen(pool[np.argsort(-search.value[pool], kind="stable")[:POOL]])
    if search.goal.mode == "pareto":
        front = np.intersect1d(search.front(), pool)
        return search.chosen(front)
    met = pool[search.met[pool]]
    small = met[np.argsort(search.size[met], kind="stable")[: POOL // 2]]
    ceiling = search.size[small[:1]].max(initial=0) or search.pixels.sum()
    near = pool[~search.met[pool] & (search.size[pool] < ceiling)]
    near = near[np.argsort(-search.value[near], kind="stable")[: POOL // 2]]
    # Alternating, so that a tournament is between the smallest and the nearest alike.
    both = [row for pair in zip(small, near, strict=False) for row in pair]
    longer = small[len(near) :] if len(small) > len(near) else near[len(small) :]
    return search.chosen(np.array([*both, *longer], dtype=np.int64))


def _litter(
    search: Search,
    parents: Bits,
    score: NDArray[np.float64],
    expected: tuple[NDArray[np.float64], float],
    count: int,
    rng: np.random.Generator,
) -> Bits:
    children = breed(parents, score, count * PRESCREEN, rng)
    children = children[search.archive.unknown(children ^ search.goal.removes)]
    if search.goal.mode not in {"confidence", "pareto"}:
        best = search.best()
        if search.met[best]:
            children = children[children @ search.pixels < search.size[best]]
    hope = children @ expected[0] + expected[1]
    if search.goal.mode == "pareto":
        # Above what is known at no larger a size; the empty subset is the smallest of the front.
        front = search.front()
        place = np.searchsorted(search.size[front], children @ search.pixels, side="right") - 1
        hope -= search.value[front][place]
    return np.asarray(children[np.argsort(-hope, kind="stable")[:count]])


def jaccard(subsets: Bits, pixels: NDArray[np.int64]) -> float:
    """Mean Jaccard index of the areas of subsets (R, n), over all pairs; `pixels` (n,) weigh."""
    return float(
        np.mean([(a & b) @ pixels / max(1, (a | b) @ pixels) for a, b in combinations(subsets, 2)])
    )

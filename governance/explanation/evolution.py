"""Evolution: the search for a small subset of superpixels that reaches a goal, within a budget.

Ranked and greedy subsets come first (`governance.explanation.subsets`); the best is exchanged for
smaller neighbours (`governance.explanation.descent`); a population on independent islands is bred
from all of them by crossover and by dropping, adding and swapping superpixels; the best is shrunk
until no single superpixel can be spared. Every subset seen stays in the archive and the best of all
is taken, so that the result is never worse than what it started from.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from governance.explanation.descent import descend, ridge, trim
from governance.explanation.subsets import (
    Rows,
    Search,
    Steps,
    grow,
    partition,
    prefix,
    rank,
    shrink,
)
from governance.masking import Bits

__all__ = [
    "Found",
    "Plan",
    "alternatives",
    "breed",
    "find",
    "islands",
    "jaccard",
    "plan",
    "random_percentile",
]

TINY = 1e-7
LITTER = 30  # children of all islands in a generation
POOL = 16  # parents of an island
MOVES = (0.45, 0.20, 0.25)  # drop, add, swap; the rest are left as crossed
CROSSED = 0.9
PRESCREEN = 30  # children bred for each one evaluated
ISLANDS = 3
ALTERNATIVES = 2
GROWN = 0.3  # share of the passes left that the greedy seed may take, where it is tried
WIDTH = 6  # superpixels tried at each step of the greedy seed
DESCENT = 0.7  # share of the passes left for breeding that descent may take
# Groups that are ranked, by budget. Large ones are told apart by few passes, while small ones drown
# in what the blur alone does; but which start leads furthest differs from image to image.
GROUPS = ((250, (4, 8, 12)), (80, (4, 8)), (0, (4,)))
COARSE = 4  # pieces that shrinking an alternative starts from


class Plan(NamedTuple):
    """How a search spends its budget, in forward passes; each limit counts from the start.

    Attributes:
        groups: Groups of neighbouring superpixels that are ranked, two passes each: how many, for
            each start.
        singles: Passes that ranking each superpixel may take, in the modes `pareto` and
            `confidence`; where they need more, it is not done.
        grown: Share of the passes left that the greedy seed may take.
        found: Limit of finding the subset.
        others: Limit of finding disjoint alternatives, with the pass for the rest of the image.
        controls: Random subsets of like area.
        checks: Other baselines.
    """

    groups: tuple[int, ...]
    singles: int
    grown: float
    found: int
    others: int
    controls: int
    checks: int


def plan(budget: int) -> Plan:
    """The share of each part of a search: checks first, so that no subset goes unchecked."""
    checks = 3 if budget >= 100 else 1  # noqa: PLR2004 - see the table in decisions
    controls = budget // 16 if budget >= 160 else 0  # noqa: PLR2004 - ten subsets at least
    others = budget - checks - controls
    found = others - 1 - (budget // 10 if controls else 0)
    return Plan(
        groups=next(groups for least, groups in GROUPS if budget >= least),
        singles=budget * 2 // 5,
        grown=GROWN if budget >= GROUPS[0][0] else 0.0,
        found=found,
        others=others,
        controls=controls,
        checks=checks,
    )


class Found(NamedTuple):
    """How a search ended; the subset itself is the best of the archive.

    Attributes:
        seed: Row of the best subset that ranking and greedy growth alone gave.
        agreement: Mean Jaccard index of what the islands ended with; None if none were bred.
        minimal: Whether no single superpixel of the best subset can be spared.
    """

    seed: int
    agreement: float | None
    minimal: bool


def find(search: Search, centre: NDArray[np.float64], budget: Plan, seed: int) -> Steps[Found]:
    """Search within `budget.found` passes.

    Args:
        search: Knows at least the full and the empty subset.
        centre: (n, 2) row and column of each superpixel.
        budget: How passes are shared out.
        seed: Of the breeding.
    """
    if search.goal.mode == "confidence":
        return (yield from _most_probable(search, centre, budget, seed))
    limit, pareto = budget.found, search.goal.mode == "pareto"
    fine = (len(centre),) if pareto and 2 * len(centre) <= budget.singles else ()
    for groups in budget.groups + fine:
        score = yield from rank(search, partition(centre, search.pixels, groups), limit)
        chosen = yield from prefix(search, np.argsort(-score, kind="stable"), limit)
        if budget.grown:
            yield from trim(search, chosen, limit)
        elif search.met[search.known(chosen[None])][0]:
            yield from shrink(search, chosen, centre, limit, COARSE)
    if budget.grown:
        room = int(budget.grown * (limit - search.spent))
        grown = yield from grow(search, score, search.spent + room, WIDTH)
        if grown is not None:
            yield from trim(search, grown, limit)
    else:
        yield from _shrink_best(search, centre, limit)
    start, agreement = search.best(), None
    room = _before_shrinking(search, limit) - search.spent
    if room >= LITTER:
        if not pareto:  # there the whole front is looked for
            yield from descend(search, search.spent + int(DESCENT * room))
        bred = _before_shrinking(search, limit)
        ends = yield from islands(search, score, _streams(seed), bred)
        agreement = jaccard(search.chosen(np.array(ends)), search.pixels)
        # What an early end left over buys the full greedy search, its steps known so far free.
        grown = yield from grow(search, score, bred, len(centre))
        if grown is not None:
            yield from shrink(search, grown, centre, limit, len(centre))
            start = search.best(np.array([start, search.best(search.inside(grown))]))
    minimal = yield from _shrink_best(search, centre, limit)
    return Found(start, agreement, minimal)


def _before_shrinking(search: Search, limit: int) -> int:
    # What showing that no single superpixel of the best subset can be spared will need is kept.
    return limit - 2 * int(search.chosen(search.best()).sum()) - 6


def _most_probable(
    search: Search, centre: NDArray[np.float64], budget: Plan, seed: int
) -> Steps[Found]:
    fine = 2 * len(centre) <= budget.singles
    groups = partition(centre, search.pixels, len(centre) if fine else budget.groups[-1])
    score = yield from rank(search, groups, budget.found)
    order = np.argsort(-score, kind="stable")
    lengths = np.linspace(0, len(order), 10)[1:-1].astype(np.int64)
    nested = np.argsort(order) < lengths[:, None]
    yield from search.evaluate(nested, budget.found)
    start = search.best()
    if budget.found - search.spent < LITTER:
        return Found(start, None, minimal=False)
    ends = yield from islands(search, score, _streams(seed), budget.found)
    return Found(start, jaccard(search.chosen(np.array(ends)), search.pixels), minimal=False)


def _streams(seed: int) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, island]) for island in range(ISLANDS)]


def _shrink_best(search: Search, centre: NDArray[np.float64], limit: int) -> Steps[bool]:
    minimal, best = False, -1
    # A smaller subset may turn up on the way; then that one has to be shown minimal.
    while best != search.best() and search.met[search.best()]:
        best = search.best()
        minimal = yield from shrink(search, search.chosen(best), centre, limit, len(centre))
    return minimal


def alternatives(
    search: Search, chosen: Bits, centre: NDArray[np.float64], limit: int
) -> Steps[list[Bits]]:
    """Up to two further subsets (n,) that reach the goal, disjoint from `chosen` and each other."""
    found: list[Bits] = []
    free = ~chosen
    while len(found) < ALTERNATIVES and free.any():
        (row,) = yield from search.evaluate(free[None], limit)
        if row < 0 or not search.met[row]:
            break
        yield from shrink(search, free, centre, limit, COARSE)
        found.append(search.chosen(search.best(search.inside(free))))
        free &= ~found[-1]
    return found


def random_percentile(search: Search, best: int, limit: int, seed: int) -> Steps[float | None]:
    """Share of random subsets, of an area as like as can be, that come less near the goal.

    Ties count half; None where the limit leaves no room for a single one.
    """
    count = limit - search.spent
    if count <= 0:
        return None
    rng = np.random.default_rng([seed, ISLANDS])
    order = rng.random((count, len(search.pixels))).argsort(1)
    reached = search.pixels[order].cumsum(1)
    length = np.abs(reached - search.size[best]).argmin(1) + 1
    random = np.zeros(order.shape, dtype=np.bool_)
    np.put_along_axis(random, order, np.arange(order.shape[1]) < length[:, None], axis=1)
    rows = yield from search.evaluate(random, limit)
    value, own = search.value[rows], search.value[best]
    return float(((value < own) + 0.5 * (value == own)).mean())


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

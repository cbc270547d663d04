"""Evolution: the search for a small subset of superpixels that reaches a goal, within a budget.

Ranked and greedy subsets come first (`subsets`), trimmed where the budget
allows; the best is exchanged for smaller neighbours (`descent`); on islands
a population is bred from all of them (`breeding`); the best is shrunk until
no single superpixel can be spared. Every subset seen stays in the archive and the best of all is
taken, so that the result is never worse than what it started from.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from governance.methods.evolved.breeding import LITTER, islands, jaccard
from governance.methods.evolved.descent import descend, trim
from governance.methods.evolved.subsets import Search, Steps, grow, partition, prefix, rank, shrink
from governance.methods.masking import Bits

__all__ = [
    "Found",
    "Plan",
    "alternatives",
    "find",
    "plan",
    "random_percentile",
]

ISLANDS = 3
ALTERNATIVES = 2
GROWN = 0.3  # share of the passes left that the greedy seed may take, where it is tried
WIDTH = 6  # superpixels tried at each step of the greedy seed
DESCENT = 0.7  # share of the passes left for breeding that descent may take
# Groups that are ranked, by budget. Large ones are told apart by few passes, while small ones drown
# in what the blur alone does; but which start leads furthest differs from image to image.
GROUPS = ((250, (4, 8, 12)), (80, (4, 8)), (0, (4,)))
COARSE = 4  # pieces that shrinking a start or an alternative starts from


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
        seed: Row of the best start, which ranking, greedy growth and trimming alone gave.
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
        seed: Seed of the breeding.
    """
    if search.goal.mode == "confidence":
        return (yield from _most_probable(search, centre, budget, seed))
    score = yield from _starts(search, centre, budget)
    limit, start, agreement = budget.found, search.best(), None
    room = _before_shrinking(search, limit) - search.spent
    if room >= LITTER:
        if search.goal.mode != "pareto":  # there the whole front is looked for
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


def _starts(
    search: Search, centre: NDArray[np.float64], budget: Plan
) -> Steps[NDArray[np.float64]]:
    # Subsets to set out from, and the last ranking of the superpixels, (n,).
    limit, groups = budget.found, budget.groups
    if search.goal.mode == "pareto" and 2 * len(centre) <= budget.singles:
        groups = (*groups, len(centre))
    for count in groups:
        score = yield from rank(search, partition(centre, search.pixels, count), limit)
        chosen = yield from prefix(search, np.argsort(-score, kind="stable"), limit)
        if budget.grown:
            yield from trim(search, chosen, limit)
        elif search.met[search.known(chosen[None])][0]:
            yield from shrink(search, chosen, centre, limit, COARSE)
    if not budget.grown:
        yield from _shrink_best(search, centre, limit)
        return score
    room = int(budget.grown * (limit - search.spent))
    grown = yield from grow(search, score, search.spent + room, WIDTH)
    if grown is not None:
        yield from trim(search, grown, limit)
    return score


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

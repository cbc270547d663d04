"""Cover: which boundaries make a rule, and which rules make a class.

A boundary that keeps other classes out loses images of its own class as well. Choosing the fewest
losses for the most exclusions is a submodular cover at submodular cost: greedy, by the ratio. All
here is logic on truth tables; nothing knows a network.

Source:
    Lam et al. 2021; Iyer, Bilmes 2013, "Submodular optimization with submodular cover and
    submodular knapsack constraints", for the ratio.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose", "cover", "prune", "tighten"]

Truth = NDArray[np.bool_]


def choose(inside: Truth, own: Truth) -> list[int]:
    """The boundaries that keep out all other-class images that can be kept out, cheaply.

    Greedy: next comes the boundary that loses fewest covered images of the class for each covered
    image of another class it keeps out, until no more of these are covered than by all boundaries
    together. A boundary that later ones made idle is dropped.

    Args:
        inside: (N, Q) whether an image is on the rule's side of a boundary.
        own: (N,) whether it is of the rule's class.

    Returns:
        Columns of `inside`, in the order they were chosen.
    """
    mine, theirs = ~inside[own], ~inside[~own]
    mine_left, theirs_left = np.ones(len(mine), bool), np.ones(len(theirs), bool)
    unavoidable = int((~theirs).all(1).sum())
    chosen: list[int] = []
    while theirs_left.sum() > unavoidable:
        lost, excluded = mine[mine_left].sum(0), theirs[theirs_left].sum(0)
        ratio = np.where(excluded > 0, lost / np.maximum(excluded, 1), np.inf)
        # Of equal ratios the one that excludes most: fewer boundaries.
        best = int(np.lexsort((-excluded, ratio))[0])
        chosen.append(best)
        mine_left &= ~mine[:, best]
        theirs_left &= ~theirs[:, best]
    return _needed(theirs, chosen)


def tighten(inside: Truth, own: Truth, chosen: Sequence[int], most: int) -> list[int]:
    """Boundaries added that cost no covered image and keep somebody out.

    They change nothing on these images and keep more images of other classes out that were not
    seen. Those that exclude most images of other classes come first.

    Args:
        inside: (N, Q), as for `choose`.
        own: (N,) whether an image is of the rule's class.
        chosen: Columns that make the rule.
        most: Boundaries in all, beyond which none is added.
    """
    covered = cover(inside, chosen) & own
    excluded = (~inside[~own]).sum(0)
    free = inside[covered].all(0) & (excluded > 0)
    free[list(chosen)] = False
    order = np.argsort(-excluded, kind="stable")
    added = [int(place) for place in order if free[place]]
    return [*chosen, *added[: max(0, most - len(chosen))]]


def cover(inside: Truth, places: Sequence[int]) -> Truth:
    """Which images (N,) are on the rule's side of every boundary in `places`."""
    return np.asarray(inside[:, list(places)].all(1))


def prune(covered: Sequence[Truth]) -> list[int]:
    """The fewest of several rules, greedily, that cover what all of them cover together.

    Args:
        covered: Images of the class, (N,), that each rule covers.

    Returns:
        Numbers of rules, the one that adds most first.
    """
    if not covered:
        return []
    table = np.stack(covered)
    left = table.any(0)
    kept: list[int] = []
    while left.any():
        best = int((table & left).sum(1).argmax())
        kept.append(best)
        left &= ~table[best]
    return kept


def _needed(theirs: Truth, chosen: list[int]) -> list[int]:
    # Latest choices are the dearest: what they also exclude may have made earlier ones idle.
    kept = list(chosen)
    for place in chosen:
        others = [item for item in kept if item != place]
        if (theirs[:, others].any(1) == theirs[:, kept].any(1)).all():
            kept = others
    return kept

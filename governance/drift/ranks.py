"""Ranks: whether a run stands out among runs that it should be exchangeable with.

The training run is the replicate and not the image. If the new version were one more reference run,
each run would be equally likely to lie farthest from the rest. The rank of its distance is
therefore a p-value without any assumption on distances. Several statistics share one rank test
through the largest of their standardised values.

Source:
    Rank and permutation tests as in Lehmann, Romano, "Testing statistical hypotheses";
    the maximum statistic of Westfall, Young 1993; Holm 1979.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["combined", "holm", "reach", "share_reached", "studentised"]

Array = NDArray[np.float64]


def reach(distances: Array, members: Sequence[int], fixed: Sequence[int] = ()) -> Array:
    """Mean distance of every member to all other members and the fixed ones, (members,).

    Args:
        distances: Symmetric distances, (V, V).
        members: Places of the runs that are exchangeable under the null hypothesis.
        fixed: Places of others that all members are compared with, such as the old version.
    """
    everyone = [*members, *fixed]
    between = distances[np.ix_(members, everyone)]
    itself = np.eye(len(members), len(everyone), dtype=bool)
    means: Array = between[~itself].reshape(len(members), -1).mean(1)
    return means


def studentised(values: Array) -> Array:
    """Each value minus the mean of the others, in their standard deviations, (n,).

    The result is infinite if the others are all alike and the value is not. It is 0 if all are
    alike or there are fewer than two others.
    """
    n = len(values)
    if n < 3:  # noqa: PLR2004 - two others at least have a spread
        return np.zeros(n)
    others = np.broadcast_to(values, (n, n))[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    away, spread = values - others.mean(1), others.std(1, ddof=1)
    beyond = np.where(away == 0, 0.0, np.copysign(np.inf, away))
    scores: Array = np.divide(away, spread, out=beyond, where=spread > 0)
    return scores


def combined(totals: Mapping[str, Array]) -> Array:
    """The largest studentised value of each member over all statistics, (members,).

    All members are treated alike, so the ranks are as exchangeable as those of one statistic.
    """
    scores = np.stack([studentised(values) for values in totals.values()])
    largest: Array = scores.max(0)
    return largest


def share_reached(values: Array, place: int) -> float:
    """P-value of the rank test: share of all members whose value is at least that of `place`.

    With m references that is `(1 + #{reference >= observed}) / (m + 1)`, and never below 1/(m + 1).
    """
    return float((values >= values[place]).sum() / len(values))


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """P-values adjusted so that all may be read together, in their order.

    Source:
        Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = np.argsort(p, kind="stable")
    steps = np.array([(len(p) - k) * p[i] for k, i in enumerate(order)])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return tuple(float(value) for value in adjusted)

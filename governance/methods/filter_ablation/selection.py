"""Selection: which filters are worth measuring, by the survey alone.

Every filter is ranked by the mean of the positive parts of its first-order effects: averages of
the signed effects cancel, and a list of losses has no use for gains. What this ranking misses, a
random sample of the other filters shows.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from governance.methods.filter_ablation.survey import Filters, Survey

__all__ = [
    "AUDIT",
    "KEPT",
    "SCREENED",
    "SMOKE",
    "Tier",
    "class_candidates",
    "correlated",
    "likely_groups",
    "named",
    "ranking",
    "screened",
]

Tier = Literal["smoke", "standard", "full"]
Array = NDArray[np.float64]
Places = NDArray[np.int64]

SCREENED = 4  # filters that the screen lets through, for each place of the list
KEPT = 1.5  # and of these, filters that are measured again on more images
AUDIT = 100  # random filters that nobody chose
PER_CLASS = 2  # filters added for what they may do to one class
CLASS_MOST = 20  # and how many of these in all
SMOKE = 8  # filters measured, and audited, in the smallest tier
GROUPS = 20  # groups of correlated filters that are silenced together
LINKED = 0.9  # |correlation| above which two filters belong together
CLASS_LEAST = 10  # images of a class below which it has no candidates


def ranking(survey: Survey) -> Places:
    """Places of all filters, (F,), the most promising first."""
    return np.argsort(-_gain(survey.taylor), kind="stable")


def screened(ranked: Places, tier: Tier, top: int) -> Places:
    """The filters that a tier measures, the most promising first.

    Args:
        ranked: Places of the filters that have no closed form, as `ranking` orders them.
        tier: `smoke` and `standard` measure the head of the ranking, `full` all of it.
        top: Length of the list aimed at.
    """
    counts = {"full": len(ranked), "standard": SCREENED * top, "smoke": SMOKE}
    return ranked[: counts[tier]]


def class_candidates(
    survey: Survey, labels: NDArray[np.int64], chosen: Places, closed: NDArray[np.bool_]
) -> Places:
    """Filters that are not chosen yet but may matter to one class.

    Args:
        survey: First look at all filters.
        labels: (N,) class of each image.
        chosen: Filters that are measured anyway.
        closed: (F,) whether a filter has a closed form, and so is measured anyway.
    """
    candidates: list[tuple[float, int]] = []
    for label in np.unique(labels):
        members = labels == label
        if members.sum() < CLASS_LEAST:
            continue
        gain = _gain(survey.taylor[members])
        gain[closed] = -1.0
        best = np.argsort(-gain, kind="stable")[:PER_CLASS]
        candidates += [(float(gain[place]), int(place)) for place in best if gain[place] >= 0]
    taken = set(chosen.tolist())
    places = dict.fromkeys(place for _, place in sorted(candidates, reverse=True))
    return np.array([place for place in places if place not in taken][:CLASS_MOST], dtype=np.int64)


def likely_groups(survey: Survey, correlations: Iterable[tuple[str, Array]]) -> list[Filters]:
    """The groups of correlated filters that are most likely to matter together.

    Args:
        survey: First look at all filters.
        correlations: Layers with the correlations of their channels, (C, C).
    """
    groups = correlated(correlations, LINKED)
    if not groups:
        return []
    best = np.argsort(-_gain(survey.taylor_of(groups)), kind="stable")[:GROUPS]
    return [groups[place] for place in np.sort(best)]


def correlated(correlations: Iterable[tuple[str, Array]], limit: float) -> list[Filters]:
    """Groups of two and more filters of a layer, linked by |correlation| above `limit`.

    A chain of links makes one group, so that two members need not be that close themselves.
    """
    groups: list[Filters] = []
    for layer, matrix in correlations:
        count, member = connected_components(csr_array(np.abs(matrix) > limit), directed=False)
        sizes = np.bincount(member, minlength=count)
        groups += [
            (layer, tuple(int(j) for j in np.flatnonzero(member == label)))
            for label in np.flatnonzero(sizes > 1)
        ]
    return groups


def named(survey: Survey, places: Sequence[int] | Places) -> list[Filters]:
    """Filters by their places in the survey."""
    return [survey.filters[place] for place in places]


def _gain(taylor: Array) -> Array:
    return np.asarray(np.maximum(taylor, 0.0).mean(0))

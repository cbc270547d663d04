"""Distances: how far apart any two of several versions are, statistic by statistic.

Every statistic is a symmetric matrix over versions, so that one rank test can hold the new version
against all references. Map distances are kept image by image, since images are what is resampled.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.drift.version import Version
from governance.errors import AnalysisError
from governance.methods.coarse_maps import mass_in, rank_distance, ranked, top_cells, top_distance
from governance.records.drift_terms import Box, DriftTerms

__all__ = [
    "LEAST",
    "MEANINGS",
    "SOURCES",
    "Distances",
    "distances",
    "kind_of",
    "lens_change",
    "wanted",
]

Array = NDArray[np.float64]

#: What each statistic measures; `region` is followed by the name of a declared region.
MEANINGS: Mapping[str, str] = {
    "rank": "mean over images of 1 - rank correlation of the heat maps for the true class",
    "top": "mean over images of 1 - overlap of the top tenth of the cells",
    "region": "difference of the mean share of the heat maps inside the region",
    "lens": "largest difference of a class's lens recall at any layer",
    "importance": "largest difference of a class's filter-importance mass, relative to the mean",
    "rules": "share of images that went in or out of the rules of their class",
    "verified": "difference of the share of certified decisions",
}

#: Differences up to this count as none: a tiny effect can be significant.
LEAST: Mapping[str, float] = {
    "rank": 0.0, "top": 0.0, "region": 0.02, "lens": 0.05, "importance": 0.25, "rules": 0.05,
    "verified": 0.05,
}  # fmt: skip

#: The analysis behind a statistic that does not come from the maps.
SOURCES: Mapping[str, str] = {
    "lens": "layer_prediction",
    "importance": "filter_importance",
    "rules": "representative_interpretation",
    "verified": "verified_perturbation",
}


def kind_of(name: str) -> str:
    """`region` for `region:corner`; other names are their own kind."""
    return name.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distances:
    """Distances between versions.

    Attributes:
        by_image: Heat map distance (1 - rank correlation) of every pair per image, (V, V, N).
        between: Distance of every pair by statistic, (V, V).
    """

    by_image: Array
    between: Mapping[str, Array]


def distances(
    versions: Sequence[Version], terms: DriftTerms, unusable: Mapping[str, str]
) -> tuple[Distances, tuple[str, ...]]:
    """All distances between versions that the terms ask for and the records hold.

    Args:
        versions: At least two versions on the same images.
        terms: Terms that name the statistics and regions; no named statistic means all of them.
        unusable: Analyses that cannot be compared over all versions, each with the reason.

    Returns:
        The distances, and a sentence for each statistic that was left out.

    Raises:
        AnalysisError: If a statistic does not exist, or regions are asked for and none is declared.
    """
    _refuse_unknown(terms)
    ranks = [ranked(version.maps) for version in versions]
    by_image = _pairs(len(versions), lambda a, b: rank_distance(ranks[a], ranks[b]))
    between = {"rank": by_image.mean(2)}
    left_out = []
    for name in wanted(terms):
        if name == "rank":
            continue
        source = SOURCES.get(kind_of(name))
        reason = unusable.get(source) if source else None
        matrix = None if reason else _between(name, versions, terms.regions)
        if matrix is None:
            left_out.append(
                f"Statistic {name} was left out: {reason or 'the records hold too little'}."
            )
        else:
            between[name] = matrix
    return Distances(by_image=by_image, between=between), tuple(left_out)


def lens_change(old: Version, new: Version) -> Array:
    """Largest change of a class's lens recall over the layers both have, (K,); NaN if unknown."""
    shared = [layer for layer in old.lens if layer in new.lens]
    if not shared:
        return np.full(len(old.class_names), np.nan)
    changes = np.abs(np.stack([new.lens[layer] - old.lens[layer] for layer in shared]))
    known = np.isfinite(changes).all(0)
    return np.where(known, changes.max(0), np.nan)


def _refuse_unknown(terms: DriftTerms) -> None:
    known = [name for name in MEANINGS if name != "region"]
    known += [f"region:{name}" for name in terms.regions]
    problems = [
        f"[drift] statistics: {name!r} is none; accepted are {', '.join([*known, 'region'])}"
        for name in terms.statistics
        if name not in {*known, "region"}
    ]
    if "region" in terms.statistics and not terms.regions:
        problems.append("[drift] statistics: 'region' is asked for; [drift.regions] is needed")
    if problems:
        raise AnalysisError(problems)


def wanted(terms: DriftTerms) -> list[str]:
    """Full names of all statistics that the terms ask for."""
    regions = [f"region:{name}" for name in terms.regions]
    asked = terms.statistics or tuple(MEANINGS)
    listed = [part for name in asked for part in (regions if name == "region" else [name])]
    return list(dict.fromkeys(listed))


def _between(name: str, versions: Sequence[Version], regions: Mapping[str, Box]) -> Array | None:
    count, kind = len(versions), kind_of(name)
    if kind == "top":
        tops = [top_cells(version.maps) for version in versions]
        overlap: Array = _pairs(count, lambda a, b: top_distance(tops[a], tops[b])).mean(2)
        return overlap
    if kind == "region":
        box = regions[name.partition(":")[2]]
        return _apart([float(mass_in(version.maps, box).mean()) for version in versions])
    if kind == "verified":
        return _apart(
            [item.metrics.get("verified_perturbation.certified_share") for item in versions]
        )
    pair = {"lens": _lens_change, "importance": _mass_change, "rules": _in_or_out}[kind]
    return _known(_pairs(count, lambda a, b: pair(versions[a], versions[b])))


def _apart(values: Sequence[float | None]) -> Array | None:
    known = np.array([np.nan if value is None else value for value in values])
    return _known(np.abs(known[:, None] - known[None, :]))


def _lens_change(one: Version, other: Version) -> Array:
    return _largest(lens_change(one, other))


def _pairs(count: int, distance: Callable[[int, int], Array]) -> Array:
    """The symmetric matrix of a distance over all pairs, (count, count, ...)."""
    example = distance(0, 1)
    matrix = np.zeros((count, count, *np.shape(example)))
    for a in range(count):
        for b in range(a + 1, count):
            matrix[a, b] = matrix[b, a] = distance(a, b)
    return matrix


def _known(matrix: Array) -> Array | None:
    return matrix if np.isfinite(matrix).all() else None


def _largest(values: Array) -> Array:
    known = values[np.isfinite(values)]
    return np.array(known.max() if len(known) else np.nan)


def _mass_change(one: Version, other: Version) -> Array:
    if one.importance is None or other.importance is None:
        return np.array(np.nan)
    both = np.stack([one.importance, other.importance])
    mean = np.nanmean(both) if np.isfinite(both).any() else 0.0
    return _largest(np.abs(both[1] - both[0]) / mean) if mean > 0 else np.array(np.nan)


def _in_or_out(one: Version, other: Version) -> Array:
    shared = [image for image in one.covered if image in other.covered]
    if not shared:
        return np.array(np.nan)
    return np.array(np.mean([one.covered[image] != other.covered[image] for image in shared]))

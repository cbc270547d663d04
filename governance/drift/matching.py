"""Matching: which filters of two versions are the same, by their responses to the same images.

Filters of a fine-tune keep their places. Filters of independent training runs are unrelated, and
then no statement about single filters is made.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import linear_sum_assignment

from governance.drift.answers import Comparable, FilterMatching
from governance.drift.version import ResponseProfiles, Version
from governance.records.evidence import Cell, Table
from governance.records.numbers import number

__all__ = ["matched", "matching"]

COMPARABLE, WEAK = 0.8, 0.6
ALIKE = 0.8  # correlation from which two filters resemble each other
UNLIKE = 0.5  # and below which they do not at all
PRINTED = 15

Array = NDArray[np.float64]


def matched(old: ResponseProfiles, new: ResponseProfiles) -> tuple[NDArray[np.int64], Array, Array]:
    """The one-to-one assignment of a layer's filters with the largest total correlation.

    Returns:
        The row of the new filter for every old one, -1 for none, (old,); the correlation of each
        pair, NaN without a partner or if one of the two is constant, (old,); and all correlations,
        0 for constant filters, (old, new).

    Source:
        Kuhn 1955 (the Hungarian method), by scipy; Li et al. 2016 for networks.
    """
    one, other = _unit_length(old.responses), _unit_length(new.responses)
    correlations = np.clip(one @ other.T, -1.0, 1.0)
    rows, columns = linear_sum_assignment(-correlations)
    partner = np.full(len(one), -1, dtype=np.int64)
    partner[rows] = columns
    value = np.full(len(one), np.nan)
    live = np.any(one[rows], axis=1) & np.any(other[columns], axis=1)
    value[rows[live]] = correlations[rows[live], columns[live]]
    return partner, value, correlations


def matching(old: Version, new: Version) -> tuple[FilterMatching, Table | None, tuple[str, ...]]:
    """Match the filters of all layers that both versions have.

    Returns:
        The matching, a table with one row per filter, and notes for the reader.
    """
    shared = [layer for layer in old.filters if layer in new.filters]
    if not old.filters or not new.filters:
        return (
            FilterMatching(status="not_recorded"),
            None,
            ("Filters: no response profiles were recorded.",),
        )
    if not shared:
        return (
            FilterMatching(status="not_comparable"), None,
            ("Filters: the versions share no layer of the same name.",),
        )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    counts = np.zeros(4, dtype=np.int64)
    for layer in shared:
        one, other = old.filters[layer], new.filters[layer]
        partner, value, correlations = matched(one, other)
        counts += _turnover(one, other, correlations)
        rows += _rows(layer, one, other, partner, value, old, new)
    values = np.array([row[3] for row in rows if row[3] is not None], dtype=np.float64)
    median = float(np.median(values)) if len(values) else None
    died, born, split, merged = (int(count) for count in counts)
    same = [row[1] == row[2] for row in rows if row[3] is not None]
    matched_filters = FilterMatching(
        status=_status(median),
        correlation=median,
        identical=float(np.mean(same)) if same else None,
        born=born, died=died, split=split, merged=merged,
        filters=len(rows),
        images=old.filters[shared[0]].responses.shape[1],
    )  # fmt: skip
    return matched_filters, _table(rows, matched_filters), _notes(matched_filters, rows)


def _status(median: float | None) -> Comparable:
    if median is None or median < WEAK:
        return "not_comparable"
    return "comparable" if median >= COMPARABLE else "weak"


def _unit_length(responses: Array) -> Array:
    centred = responses - responses.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    # What a constant filter answers differs by rounding alone.
    live = length > 1e-9 * np.abs(responses).max(1, keepdims=True, initial=0.0)
    unit_length: Array = np.divide(
        centred, length, out=np.zeros_like(centred), where=live & (length > 0)
    )
    return unit_length


def _turnover(
    old: ResponseProfiles, new: ResponseProfiles, correlations: Array
) -> NDArray[np.int64]:
    """Filters died, born, split and merged in one layer."""
    one, other = _unit_length(old.responses), _unit_length(new.responses)
    died = one.any(1) & (correlations.max(1, initial=0.0) < UNLIKE)
    born = other.any(1) & (correlations.max(0, initial=0.0) < UNLIKE)
    # Redundant filters resemble each other within a version already: only more than that counts.
    split = (correlations >= ALIKE).sum(1) > np.maximum(1, (one @ one.T >= ALIKE).sum(1))
    merged = (correlations >= ALIKE).sum(0) > np.maximum(1, (other @ other.T >= ALIKE).sum(1))
    return np.array([died.sum(), born.sum(), split.sum(), merged.sum()])


def _rows(
    layer: str, old: ResponseProfiles, new: ResponseProfiles, partner: NDArray[np.int64],
    value: Array, before: Version, after: Version,
) -> list[tuple[Cell, ...]]:  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for place, unit in enumerate(old.units):
        mate = new.units[partner[place]] if partner[place] >= 0 else None
        correlation = float(value[place]) if np.isfinite(value[place]) else None
        now = None if mate is None else after.unit_importance.get((layer, mate))
        rows.append(
            (layer, unit, mate, correlation, before.unit_importance.get((layer, unit)), now)
        )
    return rows


def _table(rows: list[tuple[Cell, ...]], matched_filters: FilterMatching) -> Table:
    ordered = sorted(rows, key=lambda row: (row[3] is not None, float(row[3] or 0.0)))
    return Table(
        name="filters",
        caption=(
            "Filters of the old version and their matches in the new one "
            f"({matched_filters.status}), with the correlation of their responses to the same "
            f"{matched_filters.images} images, lowest first. The correlation is empty if one of "
            "the two is constant. Beside each stands the loss that silencing it adds (nats), where "
            "it was measured."
        ),
        columns=("layer", "old", "new", "correlation", "old_dloss", "new_dloss"),
        rows=tuple(ordered),
        shown=PRINTED,
    )


def _notes(matched_filters: FilterMatching, rows: list[tuple[Cell, ...]]) -> tuple[str, ...]:
    if matched_filters.status == "not_comparable":
        return (
            (
                "Filters: not comparable. Only statistics of whole layers and of heat maps are "
                "compared."
            ),
        )
    pairs = np.array(
        [row[4:6] for row in rows if row[4] is not None and row[5] is not None], dtype=np.float64
    )
    if len(pairs) < 3 or (np.ptp(pairs, axis=0) == 0).any():  # noqa: PLR2004 - a rank correlation of two says nothing
        return ()
    rho = float(stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
    return (
        (
            f"Importance of matched filters: rank correlation {number(rho, 2)} over {len(pairs)} "
            "filters that were measured in both versions."
        ),
    )

"""Importance, summed up: the table of all estimates and the numbers drawn from a study of filters.

Whatever stands for filters that were not measured comes from the random audit sample alone.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from governance.methods.filter_ablation.ablation import Estimate, Filters
from governance.methods.filter_ablation.study import Block, Study
from governance.methods.statistics.intervals import LEVEL, wilson, wilson_ends
from governance.records.evidence import Interval

__all__ = ["COLUMNS", "class_dependence", "concentration", "mass", "missed", "null", "rows"]

Array = NDArray[np.float64]

COLUMNS = (
    "layer", "unit", "class", "metric", "estimate", "ci_lo", "ci_hi", "n_exact", "method",
    "n_taylor", "p_value", "q_value", "rank", "screened", "audit", "members",
)  # fmt: skip

CLASS_LEAST = 10  # measured images of a class below which no row is given for it
CLASS_SOUND = 30  # and below which it enters no metric
BLOCKS = 10  # of the delete-a-group jackknife
TOP_SHARE = 0.1  # of the filters, whose share of all importance is reported
DRAWS = 200  # of random signs for the null


def rows(
    found: Study, labels: NDArray[np.int64], names: Sequence[str] | None = None
) -> pd.DataFrame:
    """One row per filter, class and metric; `COLUMNS` says which columns.

    Filters that were only screened have a rank and no estimate. Rows of groups have no unit.
    """
    parts = [_block_rows(found, block, labels, names) for block in found.blocks]
    if found.groups is not None:
        parts.append(_block_rows(found, found.groups, labels, names))
    measured = {filters for block in found.blocks for filters in block.effects.filters}
    open_ones = [f for f in found.seen.filters if f not in measured]
    if open_ones:
        parts.append(_screened_rows(open_ones))
    table = pd.concat(parts, ignore_index=True)
    table["unit"] = table["unit"].astype("Int64")
    table["n_taylor"] = len(found.seen.loss)
    place = {filters: i for i, filters in enumerate(found.seen.filters)}
    single = [
        place.get((layer, (unit,))) if not pd.isna(unit) else None
        for layer, unit in zip(table["layer"], table["unit"], strict=True)
    ]
    table["rank"] = pd.array(
        [None if i is None else int(found.rank[i]) for i in single], dtype="Int64"
    )
    table["screened"] = [i is not None and bool(found.screened[i]) for i in single]
    table["q_value"] = _adjusted(table)
    table = table[list(COLUMNS)]
    return table.sort_values(
        ["metric", "class", "estimate"],
        ascending=[True, True, False],
        na_position="last",
        kind="stable",
        key=lambda column: (
            column.astype(str).replace("all", "") if column.name == "class" else column
        ),
    ).reset_index(drop=True)


def concentration(found: Study) -> tuple[float | None, Interval | None]:
    """Share of all positive importance that the most important tenth of the filters holds.

    Filters that were not measured are stood for by the audit sample. The interval is a
    delete-a-group jackknife over images and audited filters at once.
    """
    value = _share_of_top(found, None)
    if value is None:
        return None, None
    without = [_share_of_top(found, group) for group in range(BLOCKS)]
    kept = np.array([share for share in without if share is not None])
    if len(kept) < BLOCKS:
        return value, None
    error = float(np.sqrt((BLOCKS - 1) / BLOCKS * ((kept - kept.mean()) ** 2).sum()))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, BLOCKS - 1)) * error
    return value, Interval(
        low=max(0.0, value - half), high=min(1.0, value + half), n=len(found.seen.loss),
        method="delete-a-group jackknife",
    )  # fmt: skip


def missed(found: Study) -> tuple[float | None, Interval | None]:
    """Share of the filters nobody chose that belong in the top list, from the audit sample.

    Zero without an interval where every filter was chosen; None where there is nothing to compare,
    since silencing adds to the loss with no filter or no filter was left to the audit.
    """
    if not any((block.estimate.mean > 0).any() for block in found.blocks):
        return None, None
    if found.rest == 0:
        return 0.0, None
    chosen = np.concatenate(
        [b.estimate.mean for b in found.blocks if not b.audit] or [np.array([])]
    )
    audit = np.concatenate([b.estimate.mean for b in found.blocks if b.audit] or [np.array([])])
    if not len(audit) or not len(chosen):
        return None, None
    weakest = np.sort(chosen)[::-1][min(found.top, len(chosen)) - 1]
    over = int((audit > max(weakest, 0.0)).sum())
    return over / len(audit), wilson(over, len(audit))


def null(found: Study, seed: int) -> tuple[float, int]:
    """What the head of the list would show if silencing did nothing on average.

    Each image's effects get a random sign, common to all filters; the 95 % quantile over draws of
    the largest mean, and the number of filters compared.
    """
    rng = np.random.default_rng(seed)
    largest = np.full(DRAWS, -np.inf)
    count = 0
    signs = rng.choice([-1.0, 1.0], (DRAWS, len(found.seen.loss)))
    for block in found.blocks:
        dloss, images = block.effects.dloss, block.effects.images
        weight = np.ones(len(images)) if block.chance is None else 1 / block.chance
        mean = signs[:, images] @ (weight[:, None] * dloss) / weight.sum()
        largest = np.maximum(largest, mean.max(1))
        count += dloss.shape[1]
    return (float(np.quantile(largest, LEVEL)), count) if count else (0.0, 0)


def class_dependence(table: pd.DataFrame) -> tuple[float | None, Interval | None]:
    """Largest loss of true-class probability that one filter causes in one class.

    Only classes with at least 30 measured images count; None where there is none. The interval
    allows for the largest having been picked: it holds for all filters and classes compared at
    once (Bonferroni).
    """
    single = table[(table["metric"] == "dp_true") & (table["class"] != "all")]
    single = single[single["unit"].notna() & (single["n_exact"] >= CLASS_SOUND)]
    if single.empty:
        return None, None
    n = single["n_exact"].to_numpy()
    half = (single["ci_hi"] - single["ci_lo"]).to_numpy() / 2
    wider = stats.t.ppf(1 - (1 - LEVEL) / 2 / len(n), n - 1) / stats.t.ppf(0.5 + LEVEL / 2, n - 1)
    estimate = single["estimate"].to_numpy()
    largest = int(np.argmax(estimate))
    return float(estimate[largest]), Interval(
        low=max(-1.0, float((estimate - half * wider).max())),
        high=min(1.0, float((estimate + half * wider).max())),
        n=int(n[largest]),
        method=f"Student t, Bonferroni over {len(n)}",
    )


def mass(found: Study, table: pd.DataFrame, metric: str, *, by_class: bool = False) -> pd.DataFrame:
    """Positive importance of every measured filter, audited ones standing for those not chosen.

    Returns:
        Columns `layer`, `class`, `mass`; sums over it estimate sums over all filters.
    """
    single = table[(table["metric"] == metric) & table["unit"].notna()].dropna(subset="estimate")
    single = single[single["class"].ne("all") if by_class else single["class"].eq("all")]
    audited = sum(len(block.effects.filters) for block in found.blocks if block.audit)
    weight = np.where(single["audit"], found.rest / max(1, audited), 1.0)
    return single[["layer", "class"]].assign(mass=single["estimate"].clip(lower=0) * weight)


def _block_rows(
    found: Study, block: Block, labels: NDArray[np.int64], names: Sequence[str] | None
) -> pd.DataFrame:
    effects, everywhere = block.effects, found.seen.taylor_of(block.effects.filters)
    # A change of loss moves the probability by itself times that: the covariate for dp_true.
    near_p = everywhere * found.seen.p_true[:, None]
    share = block.estimated(effects.dp_true, near_p)
    parts = [
        _metric_rows(block, "all", "dloss", block.estimate, len(effects.images)),
        _metric_rows(block, "all", "dp_true", share, len(effects.images)),
        _flip_rows(block, len(found.seen.loss)),
    ]
    for label in np.unique(labels):
        mine = labels[effects.images] == label
        if mine.sum() < CLASS_LEAST:
            continue
        name = int(label) if names is None else names[label]
        for metric, exact, covariate, whole in (
            ("dloss", effects.dloss, everywhere, block.estimate),
            ("dp_true", effects.dp_true, near_p, share),
        ):
            estimate = block.estimated(exact, covariate, labels == label, slope=whole.slope)
            parts.append(_metric_rows(block, name, metric, estimate, int(mine.sum())))
    return pd.concat(parts, ignore_index=True)


def _metric_rows(
    block: Block, label: str | int, metric: str, estimate: Estimate, n: int
) -> pd.DataFrame:
    low, high = estimate.interval()
    return _frame(block, label, metric, n).assign(
        estimate=estimate.mean, ci_lo=low, ci_hi=high, p_value=estimate.p_values()
    )


def _flip_rows(block: Block, images: int) -> pd.DataFrame:
    flips = block.effects.flip
    frame = _frame(block, "all", "flip", len(flips))
    if block.chance is None:
        low, high = wilson_ends(flips.sum(0), len(flips))
        return frame.assign(estimate=flips.mean(0), ci_lo=low, ci_hi=high, p_value=np.nan)
    # Images that count for several are no trials of a coin: Student's t, kept within 0 and 1.
    nothing = np.zeros((images, flips.shape[1]))
    estimate = block.estimated(flips.astype(np.float64), nothing)
    low, high = estimate.interval()
    return frame.assign(
        estimate=estimate.mean,
        ci_lo=np.maximum(low, 0.0),
        ci_hi=np.minimum(high, 1.0),
        p_value=np.nan,
    )


def _frame(block: Block, label: str | int, metric: str, n: int) -> pd.DataFrame:
    filters = block.effects.filters
    return pd.DataFrame(
        {
            "layer": [layer for layer, _ in filters],
            "unit": [units[0] if len(units) == 1 else None for _, units in filters],
            "class": label,
            "metric": metric,
            "n_exact": n,
            "method": block.method,
            "audit": block.audit,
            "members": ["+".join(map(str, units)) for _, units in filters],
        }
    )


def _screened_rows(filters: Sequence[Filters]) -> pd.DataFrame:
    # The screen's own values are no measurement and are not handed on.
    return pd.DataFrame(
        {
            "layer": [layer for layer, _ in filters],
            "unit": [units[0] for _, units in filters],
            "class": "all",
            "metric": "dloss",
            "estimate": np.nan,
            "ci_lo": np.nan,
            "ci_hi": np.nan,
            "n_exact": 0,
            "method": "taylor",
            "p_value": np.nan,
            "audit": False,
            "members": [str(units[0]) for _, units in filters],
        }
    )


def _adjusted(table: pd.DataFrame) -> Array:
    # Benjamini-Hochberg within each list a reader may go down: overall, by class, groups.
    result = np.full(len(table), np.nan)
    lists = [table["metric"], table["class"].eq("all"), table["unit"].isna()]
    for index in table.groupby(lists).groups.values():
        p = table.loc[index, "p_value"]
        known = p.dropna()
        if len(known):
            result[known.index] = stats.false_discovery_control(known.to_numpy())
    return result


def _share_of_top(found: Study, without: int | None) -> float | None:
    values: list[Array] = []
    weights: list[Array] = []
    groups = np.random.default_rng(0).permutation(len(found.seen.loss)) % BLOCKS
    for block in found.blocks:
        effects, everywhere = block.effects, found.seen.taylor_of(block.effects.filters)
        mean = block.estimate.mean
        if without is not None:
            mean = block.estimated(effects.dloss, everywhere, groups != without).mean
        here = np.ones(len(mean), dtype=bool)
        if block.audit and without is not None:
            here = np.arange(len(mean)) % BLOCKS != without
        if here.any():
            values.append(np.maximum(mean[here], 0.0))
            weights.append(np.full(here.sum(), found.rest / here.sum() if block.audit else 1.0))
    value, weight = np.concatenate(values), np.concatenate(weights)
    total = float((value * weight).sum())
    if total <= 0:
        return None
    order = np.argsort(-value)
    value, weight = value[order], weight[order]
    room = np.clip(TOP_SHARE * weight.sum() - (np.cumsum(weight) - weight), 0.0, weight)
    return float((value * room).sum() / total)

"""Estimates: what measurements of filters say about all images and all filters.

Whatever stands for filters that were not measured comes from the random audit sample alone.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from governance.methods.filter_ablation.measurement import FilterMeasurements, MeasuredFilters
from governance.methods.filter_ablation.regression import Estimate, estimated
from governance.methods.filter_ablation.survey import Filters, Survey
from governance.methods.statistics.intervals import LEVEL, wilson, wilson_ends
from governance.records.evidence import Interval

__all__ = [
    "COLUMNS",
    "class_dependence",
    "concentration",
    "filter_estimates",
    "mass",
    "missed",
    "null",
]

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


def filter_estimates(
    measurements: FilterMeasurements,
    labels: NDArray[np.int64],
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Estimates of all filters: one row per filter (or group of filters), class and metric.

    Args:
        measurements: The measurements, from `measure_filters`.
        labels: (N,) class of each image.
        names: K names of the classes; their numbers if not given.

    Returns:
        The columns of `COLUMNS`. Filters that were only screened have a rank and no estimate; rows
        of groups have no unit.
    """
    survey = measurements.survey
    parts = [_rows(survey, measured, labels, names) for measured in measurements.single]
    if measurements.groups is not None:
        parts.append(_rows(survey, measurements.groups, labels, names))
    done = {filters for item in measurements.single for filters in item.effects.filters}
    unmeasured = [filters for filters in survey.filters if filters not in done]
    if unmeasured:
        parts.append(_screened_rows(unmeasured))
    table = pd.concat(parts, ignore_index=True)
    table["unit"] = table["unit"].astype("Int64")
    table["n_taylor"] = len(measurements.survey.loss)
    place = {filters: i for i, filters in enumerate(measurements.survey.filters)}
    single = [
        place.get((layer, (unit,))) if not pd.isna(unit) else None
        for layer, unit in zip(table["layer"], table["unit"], strict=True)
    ]
    table["rank"] = pd.array(
        [None if i is None else int(measurements.rank[i]) for i in single], dtype="Int64"
    )
    table["screened"] = [i is not None and bool(measurements.screened[i]) for i in single]
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


def concentration(measurements: FilterMeasurements) -> tuple[float | None, Interval | None]:
    """Share of all positive importance that the most important tenth of the filters holds.

    Filters that were not measured are stood for by the audit sample. The interval is a
    delete-a-group jackknife over images and audited filters at once.
    """
    value = _share_of_top(measurements, None)
    if value is None:
        return None, None
    without = [_share_of_top(measurements, group) for group in range(BLOCKS)]
    kept = np.array([share for share in without if share is not None])
    if len(kept) < BLOCKS:
        return value, None
    error = float(np.sqrt((BLOCKS - 1) / BLOCKS * ((kept - kept.mean()) ** 2).sum()))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, BLOCKS - 1)) * error
    return value, Interval(
        low=max(0.0, value - half), high=min(1.0, value + half), n=len(measurements.survey.loss),
        method="delete-a-group jackknife",
    )  # fmt: skip


def missed(measurements: FilterMeasurements) -> tuple[float | None, Interval | None]:
    """Share of the filters nobody chose that belong in the top list, from the audit sample.

    Zero without an interval where every filter was chosen; None where there is nothing to compare,
    since silencing adds to the loss with no filter or no filter was left to the audit.
    """
    losses = [(_loss(item).mean, item.audit) for item in measurements.single]
    if not any((loss > 0).any() for loss, _ in losses):
        return None, None
    if measurements.rest == 0:
        return 0.0, None
    none = [np.array([])]
    chosen = np.concatenate([loss for loss, audited in losses if not audited] or none)
    audit = np.concatenate([loss for loss, audited in losses if audited] or none)
    if not len(audit) or not len(chosen):
        return None, None
    weakest = np.sort(chosen)[::-1][min(measurements.top, len(chosen)) - 1]
    over = int((audit > max(weakest, 0.0)).sum())
    return over / len(audit), wilson(over, len(audit))


def null(measurements: FilterMeasurements, seed: int) -> tuple[float, int]:
    """What the head of the list would show if silencing did nothing on average.

    Each image's effects get a random sign, common to all filters; the 95 % quantile over draws of
    the largest mean, and the number of filters compared.
    """
    rng = np.random.default_rng(seed)
    largest = np.full(DRAWS, -np.inf)
    count = 0
    signs = rng.choice([-1.0, 1.0], (DRAWS, len(measurements.survey.loss)))
    for measured in measurements.single:
        dloss, images = measured.effects.dloss, measured.effects.images
        weight = np.ones(len(images)) if measured.chance is None else 1 / measured.chance
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


def mass(
    measurements: FilterMeasurements, table: pd.DataFrame, metric: str, *, by_class: bool = False
) -> pd.DataFrame:
    """Positive importance of every measured filter, audited ones standing for those not chosen.

    Returns:
        Columns `layer`, `class`, `mass`; sums over it estimate sums over all filters.
    """
    single = table[(table["metric"] == metric) & table["unit"].notna()].dropna(subset="estimate")
    single = single[single["class"].ne("all") if by_class else single["class"].eq("all")]
    audited = sum(len(item.effects.filters) for item in measurements.single if item.audit)
    weight = np.where(single["audit"], measurements.rest / max(1, audited), 1.0)
    return single[["layer", "class"]].assign(mass=single["estimate"].clip(lower=0) * weight)


def _rows(
    survey: Survey,
    measured: MeasuredFilters,
    labels: NDArray[np.int64],
    names: Sequence[str] | None,
) -> pd.DataFrame:
    effects, near = measured.effects, measured.first_order
    # A change of loss moves the probability by itself times that: the covariate for dp_true.
    near_p = near * survey.p_true[:, None]
    loss, probability = _loss(measured), _among(measured, effects.dp_true, near_p)
    parts = [
        _metric_rows(measured, "all", "dloss", loss, len(effects.images)),
        _metric_rows(measured, "all", "dp_true", probability, len(effects.images)),
        _flip_rows(measured, len(survey.loss)),
    ]
    for label in np.unique(labels):
        members = labels == label
        count = int(members[effects.images].sum())
        if count < CLASS_LEAST:
            continue
        name = int(label) if names is None else names[label]
        for metric, exact, covariate, whole in (
            ("dloss", effects.dloss, near, loss),
            ("dp_true", effects.dp_true, near_p, probability),
        ):
            estimate = _among(measured, exact, covariate, members, whole.slope)
            parts.append(_metric_rows(measured, name, metric, estimate, count))
    return pd.concat(parts, ignore_index=True)


def _loss(measured: MeasuredFilters) -> Estimate:
    """Mean loss added over all images."""
    effects, near = measured.effects, measured.first_order
    return estimated(effects.dloss, near[effects.images], near, chance=measured.chance)


def _among(
    measured: MeasuredFilters,
    exact: Array,
    near: Array,
    members: NDArray[np.bool_] | None = None,
    slope: Array | None = None,
) -> Estimate:
    """The mean of what was measured, for all images or the members among them.

    Args:
        measured: Says which images were measured, and with what chance they were drawn.
        exact: (n, S), one row for each measured image.
        near: (N, S) the covariate on all images.
        members: (N,) which of all images are meant; all if not given.
        slope: Weight of the covariate, as `regression.estimated` takes it.
    """
    images = measured.effects.images
    taken = np.ones(len(images), dtype=bool) if members is None else members[images]
    chance = None if measured.chance is None else measured.chance[taken]
    whole = near if members is None else near[members]
    return estimated(exact[taken], near[images][taken], whole, slope=slope, chance=chance)


def _metric_rows(
    measured: MeasuredFilters, label: str | int, metric: str, estimate: Estimate, n: int
) -> pd.DataFrame:
    return _frame(measured, label, metric, n).assign(
        estimate=estimate.mean,
        ci_lo=estimate.low,
        ci_hi=estimate.high,
        p_value=estimate.p_value,
    )


def _flip_rows(measured: MeasuredFilters, images: int) -> pd.DataFrame:
    flips = measured.effects.flip
    frame = _frame(measured, "all", "flip", len(flips))
    if measured.chance is None:
        low, high = wilson_ends(flips.sum(0), len(flips))
        return frame.assign(estimate=flips.mean(0), ci_lo=low, ci_hi=high, p_value=np.nan)
    # Images that count for several are no trials of a coin: Student's t, kept within 0 and 1.
    nothing = np.zeros((images, flips.shape[1]))
    estimate = _among(measured, flips.astype(np.float64), nothing)
    return frame.assign(
        estimate=estimate.mean,
        ci_lo=np.maximum(estimate.low, 0.0),
        ci_hi=np.minimum(estimate.high, 1.0),
        p_value=np.nan,
    )


def _frame(measured: MeasuredFilters, label: str | int, metric: str, n: int) -> pd.DataFrame:
    filters = measured.effects.filters
    return pd.DataFrame(
        {
            "layer": [layer for layer, _ in filters],
            "unit": [units[0] if len(units) == 1 else None for _, units in filters],
            "class": label,
            "metric": metric,
            "n_exact": n,
            "method": measured.method,
            "audit": measured.audit,
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


def _share_of_top(measurements: FilterMeasurements, without: int | None) -> float | None:
    values: list[Array] = []
    weights: list[Array] = []
    groups = np.random.default_rng(0).permutation(len(measurements.survey.loss)) % BLOCKS
    for measured in measurements.single:
        if without is None:
            mean = _loss(measured).mean
        else:
            exact, near = measured.effects.dloss, measured.first_order
            mean = _among(measured, exact, near, groups != without).mean
        here = np.ones(len(mean), dtype=bool)
        if measured.audit and without is not None:
            here = np.arange(len(mean)) % BLOCKS != without
        if here.any():
            values.append(np.maximum(mean[here], 0.0))
            weights.append(
                np.full(here.sum(), measurements.rest / here.sum() if measured.audit else 1.0)
            )
    value, weight = np.concatenate(values), np.concatenate(weights)
    total = float((value * weight).sum())
    if total <= 0:
        return None
    order = np.argsort(-value)
    value, weight = value[order], weight[order]
    room = np.clip(TOP_SHARE * weight.sum() - (np.cumsum(weight) - weight), 0.0, weight)
    return float((value * room).sum() / total)

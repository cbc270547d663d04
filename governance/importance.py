"""Importance: which filters are measured, on which images, and what the measurements add up to.

Every filter is screened; the promising are measured on images that had no part in choosing them, so
that no printed estimate is flattered by its own selection; a random sample of the others is
measured as well, and says what the screen missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from governance.ablation import (
    Effects,
    Estimate,
    Filters,
    Outputs,
    Survey,
    correlated,
    estimated,
    measure,
    merged,
    survey,
)
from governance.evidence import Interval
from governance.intervals import LEVEL, wilson
from governance.network import Network

__all__ = [
    "COLUMNS",
    "Block",
    "Study",
    "Tier",
    "class_dependence",
    "concentration",
    "mass",
    "missed",
    "null",
    "rows",
    "study",
]

Tier = Literal["smoke", "standard", "full"]
Method = Literal["exact", "cv", "closed"]
Array = NDArray[np.float64]

COLUMNS = (
    "layer", "unit", "class", "metric", "estimate", "ci_lo", "ci_hi", "n_exact", "method",
    "n_taylor", "p_value", "q_value", "rank", "screened", "audit", "members",
)  # fmt: skip

SCREENED = 80  # filters that the screen lets through to exact measurement
ROUNDS = (32, 64)  # images at which successive halving drops the weaker half
SOUND = 128  # images below which an HC3 interval is too narrow
AUDIT = 100  # random filters that nobody chose
PER_CLASS = 3  # filters added for what they may do to one class
CLASS_MOST = 40  # and how many of these in all
SMOKE = 8  # filters measured, and audited, in the smallest tier
GROUPS = 20  # groups of correlated filters that are silenced together
LINKED = 0.9  # |correlation| above which two filters belong together
CLASS_LEAST = 10  # images of a class below which no row is given for it
CLASS_SOUND = 30  # and below which it enters no metric
BLOCKS = 10  # of the delete-a-group jackknife
TOP_SHARE = 0.1  # of the filters, whose share of all importance is reported
DRAWS = 200  # of random signs for the null


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Filters measured on the same images.

    Attributes:
        effects: Per image and filter.
        estimate: Mean loss added, over all images.
        method: How they were measured.
        audit: Whether they were drawn at random among those not chosen.
    """

    effects: Effects
    estimate: Estimate
    method: Method
    audit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """All measurements of one network.

    Attributes:
        seen: The survey of all filters.
        blocks: Measurements of single filters; no filter is in two of them.
        groups: Measurements of groups of correlated filters; None without groups.
        rank: Place of each filter in the screen, (F,), 1 first.
        screened: Whether the screen let it through, (F,).
        rest: Number of filters nobody chose; the audited among them stand for all of these.
        top: Length of the list that was aimed at.
        spent: Cost in whole forward passes of one image.
        exhaustive: Cost of measuring every filter on every image the same way.
        nothing: Largest change of an output when nothing is silenced.
    """

    seen: Survey
    blocks: tuple[Block, ...]
    groups: Block | None
    rank: NDArray[np.int64]
    screened: NDArray[np.bool_]
    rest: int
    top: int
    spent: float
    exhaustive: float
    nothing: float


class _Bench:
    # What every measurement needs, and a count of what they cost.
    def __init__(
        self, network: Network, inputs: Tensor, labels: NDArray[np.int64], outputs: Outputs
    ) -> None:
        self.network, self.inputs, self.labels, self.outputs = network, inputs, labels, outputs
        self.seen = survey(network, inputs, labels, outputs)
        self.images = np.arange(len(labels))
        self.cost = {unit.layer: 0.0 if unit.closed else unit.cost for unit in network.units()}
        self.closed = {unit.layer for unit in network.units() if unit.closed}
        self.spent = 3.0 * len(labels)  # forward and backward

    def effects(self, filters: Sequence[Filters], images: NDArray[np.int64]) -> Effects:
        self.spent += len(images) * (1 + sum(self.cost[layer] for layer, _ in filters))
        return measure(
            self.network, self.inputs, self.labels, self.seen, filters, images, self.outputs
        )

    def estimate(self, effects: Effects) -> Estimate:
        everywhere = self.seen.taylor_of(effects.filters)
        return estimated(effects.dloss, everywhere[effects.images], everywhere)

    def block(
        self, filters: Sequence[Filters], images: NDArray[np.int64], *, audit: bool = False,
        method: Method | None = None,
    ) -> Block:  # fmt: skip
        effects = self.effects(filters, images)
        taken: Method = "exact" if len(images) == len(self.images) else "cv"
        return Block(
            effects=effects, estimate=self.estimate(effects), method=method or taken, audit=audit
        )

    def nothing(self) -> float:
        few = self.inputs[: min(8, len(self.inputs))]
        intact = self.network.logits(few)
        sets = {unit.layer: [()] for unit in self.network.units()}
        runs = self.network.ablate(few, sets, self.seen.means)
        return max(float((output - intact[part]).abs().max()) for *_, part, output in runs)


def study(
    network: Network,
    inputs: Tensor,
    labels: NDArray[np.int64],
    *,
    tier: Tier,
    seed: int,
    top: int = 20,
    outputs: Outputs = "logits",
) -> Study:
    """Measure a network's filters.

    Args:
        network: The model, cut open.
        inputs: (N, C, H, W), in the model's input space.
        labels: (N,).
        tier: `smoke`, `standard` or `full`.
        seed: Of the choice of images and of the audit sample.
        top: Length of the list aimed at.
        outputs: What the model returns.
    """
    bench = _Bench(network, inputs, labels, outputs)
    seen = bench.seen
    rng = np.random.default_rng(seed)
    score = (seen.taylor**2).mean(0)
    order = np.argsort(-score, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    closed = np.array([layer in bench.closed for layer, _ in seen.filters])

    blocks = _measured_in_closed_form(bench, closed)
    open_order = order[~closed[order]]
    if tier == "full":
        screened, chosen, fresh = open_order, open_order, bench.images
    elif tier == "smoke":
        screened = chosen = open_order[:SMOKE]
        fresh = np.sort(_even(labels, rng)[:SOUND])
    else:
        screened = open_order[:SCREENED]
        chosen, fresh = _halved(bench, screened, top, rng)
        chosen = _with_class_candidates(bench, chosen, closed)
    if len(chosen):
        blocks.append(bench.block([seen.filters[i] for i in np.sort(chosen)], fresh))
    left = np.setdiff1d(open_order, chosen)
    audit = np.sort(rng.permutation(left)[: SMOKE if tier == "smoke" else AUDIT])
    if len(audit):
        few = np.sort(fresh[_even(labels[fresh], rng)[:SOUND]])
        blocks.append(bench.block([seen.filters[i] for i in audit], few, audit=True))
    groups = None if tier == "smoke" else _grouped(bench, fresh)
    let_through = np.zeros(len(order), dtype=bool)
    let_through[screened] = True
    exhaustive = len(labels) * (1 + sum(bench.cost[layer] for layer, _ in seen.filters))
    return Study(
        seen=seen, blocks=tuple(blocks), groups=groups, rank=rank, screened=let_through,
        rest=len(left), top=top, spent=bench.spent, exhaustive=exhaustive, nothing=bench.nothing(),
    )  # fmt: skip


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
        parts.append(
            pd.DataFrame(
                {
                    "layer": [layer for layer, _ in open_ones],
                    "unit": [units[0] for _, units in open_ones],
                    "class": "all",
                    "metric": "dloss",
                    "estimate": np.nan,
                    "ci_lo": np.nan,
                    "ci_hi": np.nan,
                    "n_exact": 0,
                    "method": "taylor",
                    "p_value": np.nan,
                    "audit": False,
                    "members": [str(units[0]) for _, units in open_ones],
                }
            )  # fmt: skip
        )
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
        key=lambda column: column.astype(str) if column.name == "class" else column,
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

    Zero without an interval where every filter was chosen; None where there is nothing to compare.
    """
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
        largest = np.maximum(largest, (signs[:, images] @ dloss / len(images)).max(1))
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


def _measured_in_closed_form(bench: _Bench, closed: NDArray[np.bool_]) -> list[Block]:
    filters = [bench.seen.filters[i] for i in np.flatnonzero(closed)]
    return [bench.block(filters, bench.images, method="closed")] if filters else []


def _halved(
    bench: _Bench, candidates: NDArray[np.int64], top: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Successive halving on images that are then put aside: what is estimated afterwards, on the
    # fresh ones, owes nothing to chance in the choice.
    order = _even(bench.labels, rng)
    fresh = np.sort(order[ROUNDS[-1] :])
    if len(fresh) < SOUND:
        return candidates, bench.images
    done = 0
    held: Effects | None = None
    for images in ROUNDS:
        keep = max(top, len(candidates) // 2)
        if keep >= len(candidates):
            continue
        filters = [bench.seen.filters[i] for i in candidates]
        news = bench.effects(filters, np.sort(order[done:images]))
        held = news if held is None else merged([held, news])
        done = images
        best = np.sort(np.argsort(-bench.estimate(held).mean, kind="stable")[:keep])
        candidates = candidates[best]
        held = _narrowed(held, best)
    return candidates, fresh


def _even(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order of images of which every beginning holds the classes in proportion."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (rng.permutation(len(members)) + rng.random(len(members))) / len(members)
    return np.argsort(place, kind="stable")


def _narrowed(effects: Effects, columns: NDArray[np.int64]) -> Effects:
    return Effects(
        filters=tuple(effects.filters[i] for i in columns),
        images=effects.images,
        dloss=effects.dloss[:, columns],
        dp_true=effects.dp_true[:, columns],
        flip=effects.flip[:, columns],
    )


def _with_class_candidates(
    bench: _Bench, chosen: NDArray[np.int64], closed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    found: list[tuple[float, int]] = []
    for label in np.unique(bench.labels):
        members = bench.labels == label
        if members.sum() < CLASS_LEAST:
            continue
        score = (bench.seen.taylor[members] ** 2).mean(0)
        score[closed] = -1.0
        best = np.argsort(-score, kind="stable")[:PER_CLASS]
        found += [(float(score[i]), int(i)) for i in best if score[i] >= 0]
    extra = list(dict.fromkeys(i for _, i in sorted(found, reverse=True)))
    extra = [i for i in extra if i not in set(chosen.tolist())][:CLASS_MOST]
    return np.concatenate([chosen, np.array(extra, dtype=np.int64)])


def _grouped(bench: _Bench, images: NDArray[np.int64]) -> Block | None:
    groups = correlated(bench.seen.correlations, LINKED)
    if not groups:
        return None
    score = (bench.seen.taylor_of(groups) ** 2).mean(0)
    best = np.sort(np.argsort(-score, kind="stable")[:GROUPS])
    return bench.block([groups[i] for i in best], images)


def _block_rows(
    found: Study, block: Block, labels: NDArray[np.int64], names: Sequence[str] | None
) -> pd.DataFrame:
    effects, everywhere = block.effects, found.seen.taylor_of(block.effects.filters)
    # A change of loss moves the probability by itself times that: the covariate for dp_true.
    near_p = everywhere * found.seen.p_true[:, None]
    share = estimated(effects.dp_true, near_p[effects.images], near_p)
    parts = [
        _metric_rows(block, "all", "dloss", block.estimate, len(effects.images)),
        _metric_rows(block, "all", "dp_true", share, len(effects.images)),
        _flip_rows(block),
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
            estimate = estimated(
                exact[mine],
                covariate[effects.images[mine]],
                covariate[labels == label],
                slope=whole.slope,
            )
            parts.append(_metric_rows(block, name, metric, estimate, int(mine.sum())))
    return pd.concat(parts, ignore_index=True)


def _metric_rows(
    block: Block, label: str | int, metric: str, estimate: Estimate, n: int
) -> pd.DataFrame:
    low, high = estimate.interval()
    return _frame(block, label, metric, n).assign(
        estimate=estimate.mean, ci_lo=low, ci_hi=high, p_value=estimate.p_values()
    )


def _flip_rows(block: Block) -> pd.DataFrame:
    flips = block.effects.flip
    ends = [wilson(int(count), len(flips)) for count in flips.sum(0)]
    return _frame(block, "all", "flip", len(flips)).assign(
        estimate=flips.mean(0),
        ci_lo=[end.low if end else np.nan for end in ends],
        ci_hi=[end.high if end else np.nan for end in ends],
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


def _adjusted(table: pd.DataFrame) -> Array:
    # Benjamini-Hochberg within each list a reader may go down: overall, by class, groups.
    result = np.full(len(table), np.nan)
    lists = [table["metric"], table["class"].eq("all"), table["unit"].isna()]
    for _, index in table.groupby(lists).groups.items():
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
            near = groups[effects.images] != without
            mean = estimated(
                effects.dloss[near], everywhere[effects.images[near]], everywhere[groups != without]
            ).mean
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

"""Importance: which filters are measured, on which images, and at what cost.

Every filter is screened by the mean of the positive parts of its first-order effects: averages of
the signed effects cancel, and a list of losses has no use for gains. The promising filters are
measured on every image; a random sample of the others is measured as well, and says what the screen
missed. Dropping filters early, on few images (successive halving), was tried and lost a quarter of
the true list on a well-trained network: few images carry the effect of a filter there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from governance.importance.ablation import (
    Effects,
    Estimate,
    Filters,
    Outputs,
    Survey,
    correlated,
    estimated,
    measure,
    survey,
)
from governance.network import Network

__all__ = ["Block", "Study", "Tier", "study"]

Tier = Literal["smoke", "standard", "full"]
Method = Literal["exact", "cv", "closed"]
Array = NDArray[np.float64]

SCREENED = 3  # filters that the screen lets through, for each place of the list
SOUND = 128  # images below which an HC3 interval is too narrow
AUDIT = 100  # random filters that nobody chose
PER_CLASS = 2  # filters added for what they may do to one class
CLASS_MOST = 20  # and how many of these in all
SMOKE = 8  # filters measured, and audited, in the smallest tier
GROUPS = 20  # groups of correlated filters that are silenced together
LINKED = 0.9  # |correlation| above which two filters belong together
CLASS_LEAST = 10  # images of a class below which it has no candidates


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

    def block(
        self,
        filters: Sequence[Filters],
        images: NDArray[np.int64],
        *,
        closed: bool = False,
        audit: bool = False,
    ) -> Block:
        self.spent += len(images) * (1 + sum(self.cost[layer] for layer, _ in filters))
        effects = measure(
            self.network, self.inputs, self.labels, self.seen, filters, images, self.outputs
        )
        everywhere = self.seen.taylor_of(effects.filters)
        estimate = estimated(effects.dloss, everywhere[images], everywhere)
        method: Method = "exact" if len(images) == len(self.images) else "cv"
        return Block(
            effects=effects, estimate=estimate, method="closed" if closed else method, audit=audit
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
    seen, rng = bench.seen, np.random.default_rng(seed)
    closed = np.array([layer in bench.closed for layer, _ in seen.filters])
    order = np.argsort(-np.maximum(seen.taylor, 0.0).mean(0), kind="stable")
    ready = order[~closed[order]]
    # How many the screen lets through, and the images they are measured on.
    count = {"full": len(ready), "standard": SCREENED * top, "smoke": SMOKE}[tier]
    images = np.sort(_even(labels, rng)[:SOUND]) if tier == "smoke" else bench.images
    screened = ready[:count]
    chosen = _with_class_candidates(bench, screened, closed) if tier == "standard" else screened
    left = np.setdiff1d(ready, chosen)
    audit = rng.permutation(left)[: SMOKE if tier == "smoke" else AUDIT]
    few = np.sort(images[_even(labels[images], rng)[:SOUND]])
    blocks = [
        bench.block([seen.filters[i] for i in np.sort(which)], where, closed=solved, audit=random)
        for which, where, solved, random in (
            (np.flatnonzero(closed), bench.images, True, False),
            (chosen, images, False, False),
            (audit, few, False, True),
        )
        if len(which)
    ]
    return Study(
        seen=seen,
        blocks=tuple(blocks),
        groups=None if tier == "smoke" else _grouped(bench, images),
        rank=np.argsort(order, kind="stable") + 1,
        screened=np.isin(np.arange(len(order)), screened),
        rest=len(left),
        top=top,
        spent=bench.spent,
        exhaustive=len(labels) * (1 + sum(bench.cost[layer] for layer, _ in seen.filters)),
        nothing=bench.nothing(),
    )


def _with_class_candidates(
    bench: _Bench, chosen: NDArray[np.int64], closed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    found: list[tuple[float, int]] = []
    for label in np.unique(bench.labels):
        members = bench.labels == label
        if members.sum() < CLASS_LEAST:
            continue
        score = np.maximum(bench.seen.taylor[members], 0.0).mean(0)
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
    score = np.maximum(bench.seen.taylor_of(groups), 0.0).mean(0)
    best = np.sort(np.argsort(-score, kind="stable")[:GROUPS])
    return bench.block([groups[i] for i in best], images)


def _even(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order of images of which every beginning holds the classes in proportion."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (rng.permutation(len(members)) + rng.random(len(members))) / len(members)
    return np.argsort(place, kind="stable")

"""Importance: which filters are measured, on which images, and at what cost.

Every filter is screened by the mean of the positive parts of its first-order effects: averages of
the signed effects cancel, and a list of losses has no use for gains. The promising filters are
measured on a quarter of the images, the best of them on two thirds; a random sample of the others
is measured as well, and says what the screen missed.

On a well-trained network few images carry the effect of a filter: dropping filters early on images
drawn at random lost a quarter of the true list. Images are therefore drawn in proportion to what
the screen expects them to show, and count for as many as their chance says, so that estimates stay
right whatever the screen is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from governance.methods.filter_ablation.ablation import (
    Effects,
    Estimate,
    Filters,
    Outputs,
    Survey,
    correlated,
    drawn,
    estimated,
    likely,
    measure,
    merged,
    survey,
)
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import TracedNetwork

__all__ = ["Block", "Study", "Tier", "study"]

Tier = Literal["smoke", "standard", "full"]
Method = Literal["exact", "cv", "closed"]
Array = NDArray[np.float64]

SCREENED = 4  # filters that the screen lets through, for each place of the list
KEPT = 1.5  # and of these, filters that are measured again on more images
ROUNDS = (1 / 4, 2 / 3)  # share of the images in either round
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
        chance: (n,) with which each image was drawn; None where all were as likely.
    """

    effects: Effects
    estimate: Estimate
    method: Method
    audit: bool = False
    chance: Array | None = None

    def estimated(
        self, exact: Array, everywhere: Array, among: NDArray[np.bool_] | None = None, **more: Any
    ) -> Estimate:
        """The mean of what was measured on these images, for all (or all `among` them).

        Args:
            exact: (n, S), one row for each measured image.
            everywhere: (N, S) the covariate on all images.
            among: (N,) which of all images are meant; all if not given.
            more: As `ablation.estimated` takes them.
        """
        images = self.effects.images
        mine = np.ones(len(images), dtype=bool) if among is None else among[images]
        chance = None if self.chance is None else self.chance[mine]
        whole = everywhere if among is None else everywhere[among]
        return estimated(exact[mine], everywhere[images][mine], whole, chance=chance, **more)


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
        self, network: TracedNetwork, inputs: Tensor, labels: NDArray[np.int64], outputs: Outputs
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
        chance: Array | None = None,
        known: Effects | None = None,
    ) -> Block:
        new = images if known is None else np.setdiff1d(images, known.images)
        self.spent += len(new) * (1 + sum(self.cost[layer] for layer, _ in filters))
        parts = [] if known is None else [known]
        if len(new):
            parts.append(
                measure(self.network, self.inputs, self.labels, self.seen, filters, new,
                        self.outputs)
            )  # fmt: skip
        effects = merged(parts)
        everywhere = self.seen.taylor_of(effects.filters)
        own = None if chance is None else chance[images]
        estimate = estimated(effects.dloss, everywhere[images], everywhere, chance=own)
        method: Method = "exact" if len(images) == len(self.images) else "cv"
        return Block(
            effects=effects, estimate=estimate, method="closed" if closed else method,
            audit=audit, chance=own,
        )  # fmt: skip

    def nothing(self) -> float:
        few = self.inputs[: min(8, len(self.inputs))]
        intact = self.network.logits(few)
        sets = {unit.layer: [()] for unit in self.network.units()}
        runs = self.network.ablate(few, sets, self.seen.means)
        return max(float((output - intact[part]).abs().max()) for *_, part, output in runs)


def study(
    network: TracedNetwork,
    inputs: Images,
    labels: ArrayLike,
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
    inputs = image_tensor(inputs)
    labels = image_labels(labels, len(inputs))
    bench = _Bench(network, inputs, labels, outputs)
    seen, rng = bench.seen, np.random.default_rng(seed)
    closed = np.array([layer in bench.closed for layer, _ in seen.filters])
    order = np.argsort(-np.maximum(seen.taylor, 0.0).mean(0), kind="stable")
    ready = order[~closed[order]]
    count = {"full": len(ready), "standard": SCREENED * top, "smoke": SMOKE}[tier]
    screened = ready[:count]
    images = np.sort(_in_proportion(labels, rng)[:SOUND]) if tier == "smoke" else bench.images
    blocks = [bench.block([seen.filters[i] for i in np.flatnonzero(closed)], bench.images,
                          closed=True)] if closed.any() else []  # fmt: skip
    if tier == "standard" and len(screened):
        blocks += _raced(bench, screened, closed, rng, round(KEPT * top))
    elif len(screened):
        blocks.append(bench.block([seen.filters[i] for i in np.sort(screened)], images))
    done = {filters for block in blocks for filters in block.effects.filters}
    left = np.array([i for i in np.sort(ready) if seen.filters[i] not in done], dtype=np.int64)
    audit = rng.permutation(left)[: SMOKE if tier == "smoke" else AUDIT]
    few = np.sort(images[_in_proportion(labels[images], rng)[:SOUND]])
    if len(audit):
        blocks.append(bench.block([seen.filters[i] for i in audit], few, audit=True))
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


def _raced(
    bench: _Bench,
    screened: NDArray[np.int64],
    closed: NDArray[np.bool_],
    rng: np.random.Generator,
    kept: int,
) -> list[Block]:
    """The screened filters on some images, the best of them and the classes' own on more."""
    seen, n = bench.seen, len(bench.labels)
    size = np.abs(seen.taylor[:, screened]).mean(1)
    ticket = rng.random(n)
    chances = [likely(size, min(n, max(SOUND, round(share * n)))) for share in ROUNDS]
    samples = [drawn(chance, ticket) for chance in chances]
    first = bench.block([seen.filters[i] for i in screened], samples[0], chance=chances[0])
    order = np.argsort(-first.estimate.mean, kind="stable")
    best, others = np.sort(order[:kept]), np.sort(order[kept:])
    again = bench.block(
        [first.effects.filters[i] for i in best], samples[1], chance=chances[1],
        known=first.effects.of(best),
    )  # fmt: skip
    extra = _class_candidates(bench, screened, closed)
    blocks = [again]
    if len(others):
        blocks.append(
            bench.block([first.effects.filters[i] for i in others], samples[0], chance=chances[0],
                        known=first.effects.of(others))
        )  # fmt: skip
    if len(extra):
        blocks.append(bench.block([seen.filters[i] for i in extra], samples[1], chance=chances[1]))
    return blocks


def _class_candidates(
    bench: _Bench, chosen: NDArray[np.int64], closed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Filters that were not screened but may matter to one class."""
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
    return np.array(extra, dtype=np.int64)


def _grouped(bench: _Bench, images: NDArray[np.int64]) -> Block | None:
    groups = correlated(bench.seen.correlations, LINKED)
    if not groups:
        return None
    score = np.maximum(bench.seen.taylor_of(groups), 0.0).mean(0)
    best = np.sort(np.argsort(-score, kind="stable")[:GROUPS])
    return bench.block([groups[i] for i in best], images)


def _in_proportion(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order of images of which every beginning holds the classes in proportion."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (rng.permutation(len(members)) + rng.random(len(members))) / len(members)
    return np.argsort(place, kind="stable")

"""Measurement: the filters worth measuring, silenced on as many images as that takes.

The promising filters are measured on a quarter of the images, the best of them on two thirds. A
random sample of the other filters is measured as well and says what the selection missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from governance.methods.filter_ablation.regression import estimated
from governance.methods.filter_ablation.sampling import drawn, in_proportion, likely
from governance.methods.filter_ablation.selection import (
    AUDIT,
    KEPT,
    SMOKE,
    Tier,
    class_candidates,
    likely_groups,
    named,
    ranking,
    screened,
)
from governance.methods.filter_ablation.silencing import Effects, merged, silence
from governance.methods.filter_ablation.survey import (
    Filters,
    Outputs,
    Survey,
    channel_correlations,
    correlation_passes,
    survey_filters,
)
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import TracedNetwork

__all__ = ["FilterMeasurements", "MeasuredFilters", "measure_filters"]

Method = Literal["exact", "cv", "closed"]
Array = NDArray[np.float64]
Places = NDArray[np.int64]

ROUNDS = (1 / 4, 2 / 3)  # share of the images in either round
SOUND = 128  # images below which an HC3 interval is too narrow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredFilters:
    """Filters measured on the same images.

    Attributes:
        effects: Effects by image and filter.
        first_order: (N, S) first-order effects of these filters on all images, from the survey.
        method: `exact` on all images, `cv` on some of them, or `closed` in closed form.
        audit: Whether the filters were drawn at random among those not chosen.
        chance: (n,) with which each measured image was drawn; None where all were as likely.
        passes: Cost of measuring them, in forward passes of one image.
    """

    effects: Effects
    first_order: Array
    method: Method
    audit: bool = False
    chance: Array | None = None
    passes: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterMeasurements:
    """All measurements of the filters of one network.

    Attributes:
        survey: First look at all filters.
        single: Measurements of single filters; no filter is in two of them.
        groups: Measurements of groups of correlated filters; None without groups.
        rank: (F,) place of each filter in the ranking, 1 first.
        screened: (F,) whether the ranking let the filter through.
        rest: Number of filters nobody chose; the audited among them stand for all of these.
        top: Length of the list that was aimed at.
        passes: Cost of everything, in forward passes of one image.
        exhaustive: Cost of measuring every filter on every image the same way.
        nothing: Largest change of an output when nothing is silenced.
    """

    survey: Survey
    single: tuple[MeasuredFilters, ...]
    groups: MeasuredFilters | None
    rank: Places
    screened: NDArray[np.bool_]
    rest: int
    top: int
    passes: float
    exhaustive: float
    nothing: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Given:
    """What every measurement starts from.

    Attributes:
        network: The model, cut open.
        inputs: (N, C, H, W) all images.
        labels: (N,) their classes.
        outputs: Whether the model returns logits or probabilities.
        survey: First look at all filters on all images.
        cost: Cost of silencing one filter of a layer, as a share of a whole forward pass.
        closed: Layers in which all filters are silenced at once, in closed form.
    """

    network: TracedNetwork
    inputs: Tensor
    labels: NDArray[np.int64]
    outputs: Outputs
    survey: Survey
    cost: Mapping[str, float]
    closed: frozenset[str]


def measure_filters(
    network: TracedNetwork,
    inputs: Images,
    labels: ArrayLike,
    *,
    tier: Tier,
    seed: int,
    top: int = 20,
    outputs: Outputs = "logits",
) -> FilterMeasurements:
    """Measure what is lost when filters of a network are silenced.

    Args:
        network: The model, cut open by `network.trace`.
        inputs: (N, C, H, W), in the model's input space.
        labels: (N,) true class of each.
        tier: `smoke` measures a handful of filters, `standard` the promising ones and a random
            sample, `full` every filter on every image.
        seed: Seed of the choice of images and of the audit sample.
        top: Length of the list of most important filters aimed at.
        outputs: Whether the model returns logits or probabilities.

    Raises:
        AnalysisError: If images or labels cannot be used, or the loss of an image is not finite.
    """
    images = image_tensor(inputs)
    classes = image_labels(labels, len(images))
    survey = survey_filters(network, images, classes, outputs)
    cost = {unit.layer: 0.0 if unit.closed else unit.cost for unit in network.units()}
    given = _Given(
        network=network,
        inputs=images,
        labels=classes,
        outputs=outputs,
        survey=survey,
        cost=cost,
        closed=frozenset(unit.layer for unit in network.units() if unit.closed),
    )
    single, used, rest, chosen = _single(given, tier, np.random.default_rng(seed), top)
    linked, looks = [], 0
    if tier != "smoke":
        looks = len(correlation_passes(network))
        linked = likely_groups(survey, channel_correlations(network, images, survey.means))
    groups = _measured(given, linked, used) if linked else None
    parts = [*single, groups] if groups else single
    ranked = ranking(survey)
    return FilterMeasurements(
        survey=survey,
        single=tuple(single),
        groups=groups,
        rank=np.argsort(ranked, kind="stable") + 1,
        screened=np.isin(np.arange(len(ranked)), chosen),
        rest=rest,
        top=top,
        # The survey is one forward pass and a backward pass, which costs about two.
        passes=(3.0 + looks) * len(classes) + sum(part.passes for part in parts),
        exhaustive=len(classes) * (1 + sum(cost[layer] for layer, _ in survey.filters)),
        nothing=_change_by_nothing(network, images, survey),
    )


def _single(
    given: _Given, tier: Tier, rng: np.random.Generator, top: int
) -> tuple[list[MeasuredFilters], Places, int, Places]:
    """Single filters, the images used, the number of filters nobody chose, and those screened."""
    survey, labels = given.survey, given.labels
    everyone = np.arange(len(labels))
    used = np.sort(in_proportion(labels, rng)[:SOUND]) if tier == "smoke" else everyone
    closed = np.array([layer in given.closed for layer, _ in survey.filters])
    ranked = ranking(survey)
    chosen = screened(ranked[~closed[ranked]], tier, top)
    single = []
    if closed.any():
        solved = named(survey, np.flatnonzero(closed))
        single.append(_measured(given, solved, everyone, method="closed"))
    if tier == "standard" and len(chosen):
        single += _raced(given, chosen, closed, rng.random(len(labels)), round(KEPT * top))
    elif len(chosen):
        single.append(_measured(given, named(survey, np.sort(chosen)), used))
    done = {filters for item in single for filters in item.effects.filters}
    open_places = np.flatnonzero(~closed)
    left = np.array([i for i in open_places if survey.filters[i] not in done], dtype=np.int64)
    audit = rng.permutation(left)[: SMOKE if tier == "smoke" else AUDIT]
    few = np.sort(used[in_proportion(labels[used], rng)[:SOUND]])
    if len(audit):
        single.append(_measured(given, named(survey, audit), few, audit=True))
    return single, used, len(left), chosen


def _measured(
    given: _Given,
    filters: Sequence[Filters],
    images: Places,
    *,
    method: Method | None = None,
    audit: bool = False,
    chance: Array | None = None,
    known: Effects | None = None,
) -> MeasuredFilters:
    """Filters silenced on images, but for those on which their effects are known already."""
    new = images if known is None else np.setdiff1d(images, known.images)
    parts = [] if known is None else [known]
    if len(new):
        parts.append(
            silence(
                given.network, given.inputs, given.labels, given.survey, filters, new, given.outputs
            )
        )
    return MeasuredFilters(
        effects=merged(parts),
        first_order=given.survey.taylor_of(filters),
        method=method or ("exact" if len(images) == len(given.labels) else "cv"),
        audit=audit,
        chance=None if chance is None else chance[images],
        passes=len(new) * (1 + sum(given.cost[layer] for layer, _ in filters)),
    )


def _raced(
    given: _Given, chosen: Places, closed: NDArray[np.bool_], ticket: Array, kept: int
) -> list[MeasuredFilters]:
    """The chosen filters on some images, the best of them and the classes' own on more.

    Args:
        given: What every measurement starts from.
        chosen: Places of the filters.
        closed: (F,) whether a filter has a closed form.
        ticket: (N,) uniform numbers by which images are drawn.
        kept: Number of filters measured again.
    """
    survey, total = given.survey, len(given.labels)
    size = np.abs(survey.taylor[:, chosen]).mean(1)
    early, late = (likely(size, min(total, max(SOUND, round(part * total)))) for part in ROUNDS)
    some, more = drawn(early, ticket), drawn(late, ticket)
    first = _measured(given, named(survey, chosen), some, chance=early)
    order = np.argsort(-_mean_loss(first), kind="stable")
    best, others = np.sort(order[:kept]), np.sort(order[kept:])
    again = _measured(
        given, [first.effects.filters[place] for place in best], more, chance=late,
        known=first.effects.of(best),
    )  # fmt: skip
    # The first round is paid once, whatever became of its filters.
    raced = [replace(again, passes=first.passes + again.passes)]
    if len(others):
        filters = [first.effects.filters[place] for place in others]
        dropped = _measured(given, filters, some, chance=early, known=first.effects.of(others))
        raced.append(dropped)
    extra = class_candidates(survey, given.labels, chosen, closed)
    if len(extra):
        raced.append(_measured(given, named(survey, extra), more, chance=late))
    return raced


def _mean_loss(measured: MeasuredFilters) -> Array:
    effects, near = measured.effects, measured.first_order
    return estimated(effects.dloss, near[effects.images], near, chance=measured.chance).mean


def _change_by_nothing(network: TracedNetwork, images: Tensor, survey: Survey) -> float:
    few = images[: min(8, len(images))]
    intact = network.logits(few)
    sets = {unit.layer: [()] for unit in network.units()}
    runs = network.ablate(few, sets, survey.means)
    return max(float((output - intact[part]).abs().max()) for *_, part, output in runs)

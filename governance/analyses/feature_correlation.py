"""Feature correlation: which features of the network move together, within and across its layers.

Purpose
    Filters that say the same are capacity that is not there, and they hide one another when single
    filters are silenced. Depths that hold the same geometry do nothing. This analysis shows which
    channels of a layer follow each other, which channels of one depth live on in the next, and how
    alike whole depths are, to one another and to the classes.

Method
    After Yang et al. 2022, of which only the abstract was read; the terms and estimators are our
    own. *Redundancy* of a layer: share of its filters (channels after normalisation and
    activation) whose Pearson correlation with another filter of the layer, over images and
    positions, is beyond 0.9 in size. *Matched correlation*: the best one-to-one assignment of the
    channels of neighbouring depths, at the smaller resolution. *CKA*: linear centred kernel
    alignment of depths with the unbiased estimator of HSIC, summed over batches, so that many
    features and few images do not inflate it; a depth compared with itself gives 1. Intervals:
    Fisher's z with images as observations for correlations, the jackknife over batches for CKA;
    that of an extreme allows for its having been picked. Controls: everything again with the
    images of one side exchanged.

Signs of risk
    A layer in which most filters are redundant: silence groups, not single filters
    (`filter_importance`), and suspect a network far too wide or a training that collapsed. A depth
    as good as equal to the one before it. A last depth that hardly follows the classes. Compare
    with the previous version on the same images.

Limits
    Correlation is linear and over these images: filters that differ on rare images look alike here.
    CKA can be changed a lot without changing what a network answers (Davari et al. 2022) and is
    dominated by directions of large variance: look at it, do not gate on it alone. Channels that
    agree only at a finer resolution than the smaller of two depths are not matched.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import nn

from governance.methods.correlation import LABELS, LEAST, Correlations, correlate, fisher
from governance.methods.correlation.pictures import pictures
from governance.methods.image_tensors import Images
from governance.methods.missing import missing
from governance.methods.network import trace
from governance.methods.statistics.intervals import LEVEL
from governance.methods.statistics.proportions import ends
from governance.records.evidence import Cell, Interval, Measurement, Metric, Table
from governance.records.numbers import percent
from governance.subject.subject import Needs, Subject

__all__ = ["FeatureCorrelation", "feature_correlation"]

BATCH = 32  # images of a batch of the CKA estimate: enough of them for a jackknife
LISTED = 20  # printed rows
COLUMNS = (
    "measure", "layer_a", "unit_a", "layer_b", "unit_b", "value", "ci_lo", "ci_hi", "control", "n",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCorrelation:
    """Redundancy within layers, matches and similarity across depths.

    Attributes:
        images: Most images used, drawn evenly over the classes.
        limit: Size of a correlation beyond which a filter counts as redundant.
    """

    images: int = 400
    limit: float = 0.9

    needs: ClassVar[Needs] = "network"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "redundancy": Metric(
                meaning="share of all filters that another filter of their layer follows",
                better="lower",
            ),
            "redundancy_worst": Metric(
                meaning="share of redundant filters in the layer that has most of them",
                better="lower",
            ),
            "depth_similarity": Metric(
                meaning="largest debiased CKA between neighbouring depths; near 1: nothing is "
                "done between them",
                better="lower",
                lowest=None,
                highest=None,
            ),
            "class_alignment": Metric(
                meaning="debiased CKA between the last depth and the classes",
                better="higher",
                lowest=None,
                highest=None,
            ),
        }
    )

    def __post_init__(self) -> None:
        if self.images < LEAST:
            raise ValueError(f"images = {self.images}: at least {LEAST} are accepted")
        if not 0 < self.limit < 1:
            raise ValueError(f"limit = {self.limit}: more than 0 and less than 1 is accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure on a sample of the validation images."""
        chosen = subject.validation.sample(self.images, seed)
        inputs = subject.network.inputs(subject.pixels(chosen))
        network = trace(subject.network.model, inputs[:2], batch_size=BATCH)
        found = correlate(
            network, inputs, layers=[unit.layer for unit in network.units()],
            depths=network.stages(), labels=subject.validation.labels[chosen], seed=seed,
        )  # fmt: skip
        how = (
            f"{len(chosen)} of {len(subject.validation)} validation images, drawn evenly over the "
            f"classes, in {len(found.products)} batches; network read by {network.path}."
        )
        return _measurement(found, self.limit, how)


def feature_correlation(
    model: nn.Module,
    images: Images,
    labels: ArrayLike | None = None,
    *,
    layers: Literal["units"] | Sequence[str] = "units",
    depths: Literal["stages"] | Sequence[str] = "stages",
    keep: float = 0.7,
    limit: float = 0.9,
    batch_size: int = BATCH,
    seed: int = 0,
) -> pd.DataFrame:
    """Which features of a classifier move together.

    Args:
        model: Maps (B, C, H, W) to (B, K); left as found.
        images: (N, C, H, W) as the model takes them, on the model's device.
        labels: (N,) true classes; with them every depth is compared with the classes too.
        layers: Whose channels are correlated with one another: names, or every convolution's
            channels after normalisation and activation.
        depths: Names in order of depth, or the network's own stages.
        keep: Size of a correlation below which a pair of channels gets no row.
        limit: Size of a correlation beyond which a channel counts as redundant.
        batch_size: Images of a batch; the CKA estimate averages over batches.
        seed: Of the order of the images.

    Returns:
        Columns `measure`, `layer_a`, `unit_a`, `layer_b`, `unit_b`, `value`, `ci_lo`, `ci_hi`,
        `control` (the same with images exchanged), `n` (images). Measures: `channels` (Pearson of
        two channels of a layer), `redundancy` and `dimensions` (of a layer; effective number of
        channels), `matched` (Pearson of a matched pair of neighbouring depths), `match` (mean size
        over all pairs), `cka`.

    Raises:
        AnalysisError: If a layer does not exist or gives no maps, or images are too few.
    """
    network = trace(model, images[:2], batch_size=batch_size)
    found = correlate(
        network, images,
        layers=[unit.layer for unit in network.units()] if layers == "units" else layers,
        depths=network.stages() if depths == "stages" else depths,
        labels=None if labels is None else np.asarray(labels, dtype=np.int64), seed=seed,
    )  # fmt: skip
    rows = [*_channel_rows(found, keep), *_layer_rows(found, limit), *_depth_rows(found)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"unit_a": "Int64", "unit_b": "Int64"})


def _channel_rows(found: Correlations, keep: float) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for layer, channels in found.channels.items():
        for i, j in np.argwhere(np.triu(np.abs(channels.correlations), 1) > keep):
            r = channels.correlations[i, j]
            control = channels.exchanged[i, j]
            rows.append(
                ("channels", layer, i, layer, j, r, *_ends(r, found), control, found.images)
            )
    return rows


def _ends(r: float, found: Correlations) -> tuple[float, float]:
    low, high = fisher(np.array(r), found.images)
    return float(low), float(high)


def _layer_rows(found: Correlations, limit: float) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for layer, channels in found.channels.items():
        share, blind = channels.redundant(limit), channels.redundant(limit, control=True)
        span = channels.redundant_ends(limit)
        at = (layer, None, layer, None)
        rows.append(("redundancy", *at, share, *span, blind, found.images))
        rows.append(("dimensions", *at, channels.dimensions(), None, None, None, found.images))
    return rows


def _depth_rows(found: Correlations) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for (one, other), match in found.matches.items():
        rows.append(
            ("match", one, None, other, None, match.mean, None, None, match.exchanged, found.images)
        )
        for (i, j), r in zip(match.pairs, match.correlations, strict=True):
            rows.append(("matched", one, i, other, j, r, *_ends(r, found), None, found.images))
    cka = found.cka()
    for i, one in enumerate(found.depths):
        for j, other in enumerate(found.depths[i:], i):
            span = ends(found.cka_interval(one, other))
            rows.append(
                ("cka", one, None, other, None, cka[i, j], *span, found.exchanged[i, j],
                 found.images)
            )  # fmt: skip
    return rows


def _measurement(found: Correlations, limit: float, how: str) -> Measurement:
    aligned = float(found.cka()[-2, -1])
    similar = _most_similar(found) or (None, None)
    measured = {
        **_redundancy(found, limit),
        "depth_similarity": similar,
        "class_alignment": (
            aligned if np.isfinite(aligned) else None, found.cka_interval(found.depths[-2], LABELS)
        ),
    }  # fmt: skip
    metrics = {name: value for name, (value, _) in measured.items()}
    return Measurement(
        metrics=metrics,
        intervals={name: item for name, (_, item) in measured.items() if item},
        figures=pictures(found, limit),
        tables=(_layer_table(found, limit), _match_table(found), _depth_table(found)),
        notes=(how, *_notes(found, limit), *_undefined(metrics)),
    )


def _redundancy(
    found: Correlations, limit: float
) -> dict[str, tuple[float | None, Interval | None]]:
    """Redundancy overall and in the worst layer; missing where no layer has two moving filters."""
    compared = [item for item in found.channels.values() if item.live.sum() > 1]
    if not compared:
        return {"redundancy": (None, None), "redundancy_worst": (None, None)}
    everything = np.concatenate([item.partners() for item in found.channels.values()])
    low, high = fisher(everything, found.images)
    spans = [item.redundant_ends(limit) for item in compared]
    method = "Fisher z, each filter by itself"
    overall = Interval(
        low=float((low > limit).mean()), high=float((high > limit).mean()), n=found.images,
        method=method,
    )  # fmt: skip
    worst = Interval(
        low=max(span[0] for span in spans), high=max(span[1] for span in spans), n=found.images,
        method=method,
    )  # fmt: skip
    return {
        "redundancy": (float((everything > limit).mean()), overall),
        "redundancy_worst": (max(item.redundant(limit) for item in compared), worst),
    }


def _undefined(metrics: Mapping[str, float | None]) -> Iterator[str]:
    """Why metrics are missing, a note each."""
    reasons = {
        ("redundancy", "redundancy_worst"): "no layer has two filters that move on these images",
        ("depth_similarity",): "a depth does not vary over these images, or there is but one",
        ("class_alignment",): "the last depth does not vary over these images, or all of them are "
        "of one class",
    }
    for names, why in reasons.items():
        absent = [name for name in names if metrics[name] is None]
        if absent:
            yield missing(absent, why)


def _most_similar(found: Correlations) -> tuple[float, Interval | None] | None:
    """The largest similarity of neighbouring depths; the interval allows for the picking."""
    depths = [depth for depth in found.depths if depth != LABELS]
    neighbours = list(pairwise(depths))
    if not neighbours:
        return None
    cka, place = found.cka(), {depth: i for i, depth in enumerate(found.depths)}
    values = [float(cka[place[one], place[other]]) for one, other in neighbours]
    if not np.isfinite(values).all():
        return None
    joint = 1 - (1 - LEVEL) / len(neighbours)
    own = [found.cka_interval(*pair) for pair in neighbours]
    wide = [found.cka_interval(*pair, level=joint) for pair in neighbours]
    known, wider = [item for item in own if item], [item for item in wide if item]
    if len(known) < len(neighbours) or len(wider) < len(neighbours):
        return max(values), None
    return max(values), Interval(
        low=max(item.low for item in wider), high=max(item.high for item in known),
        n=found.images, method=f"{known[0].method}, largest of {len(neighbours)}",
    )  # fmt: skip


def _notes(found: Correlations, limit: float) -> tuple[str, ...]:
    shares = {layer: item.redundant(limit) for layer, item in found.channels.items()}
    worst = max(shares, key=lambda layer: shares[layer])
    still = sum(int((~item.live).sum()) for item in found.channels.values())
    most = (
        f"Most redundant is {worst}: {percent(shares[worst])} of its "
        f"{len(found.channels[worst].live)} filters are followed by another one."
    )
    return (
        most if shares[worst] else "No filter is followed by another one of its layer.",
        f"{still} filters never moved on these images; they count as not redundant.",
    )


def _layer_table(found: Correlations, limit: float) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for layer, channels in found.channels.items():
        rows.append(
            (layer, len(channels.live), int((~channels.live).sum()), channels.redundant(limit),
             *channels.redundant_ends(limit), channels.redundant(limit, control=True),
             channels.dimensions(), found.images)
        )  # fmt: skip
    return Table(
        name="layers",
        caption=(
            f"Per layer: filters, how many never moved, the share that another one follows beyond "
            f"{limit} with the share at either end of the correlations' 95 % intervals, the "
            "control with images exchanged, and the number of uncorrelated filters that would vary "
            "as much."
        ),
        columns=("layer", "filters", "still", "redundant", "low", "high", "control", "dimensions",
                 "n"),
        rows=tuple(rows),
        shown=2 * LISTED,
    )  # fmt: skip


def _match_table(found: Correlations) -> Table:
    return Table(
        name="matches",
        caption=(
            "Neighbouring depths: number of channels matched one to one, mean and lowest size of "
            "their correlations, and the mean of the best match when images are exchanged "
            f"(control); n = {found.images} images. No intervals: the assignment was picked."
        ),
        columns=("depth", "next", "pairs", "mean", "lowest", "control"),
        rows=tuple(
            (one, other, len(match.pairs), match.mean, float(np.abs(match.correlations).min()),
             match.exchanged)
            for (one, other), match in found.matches.items()
        ),
    )  # fmt: skip


def _depth_table(found: Correlations) -> Table:
    rows = [row for row in _depth_rows(found) if row[0] == "cka"]
    return Table(
        name="similarity",
        caption=(
            "Debiased linear CKA of every two depths, and of each with the classes, with 95 % "
            "jackknife intervals, and the control with images exchanged."
        ),
        columns=("depth", "other", "cka", "low", "high", "control", "n"),
        rows=tuple((row[1], row[3], *row[5:]) for row in rows),
        shown=LISTED,
    )

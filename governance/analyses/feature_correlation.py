"""Feature correlation: which features of the network move together, within and across its layers?

Purpose
    Filters that respond alike waste capacity. They also hide one another when single filters are
    silenced. Depths that hold the same geometry add nothing. This analysis shows which channels of
    a layer follow each other, which channels of one depth reappear in the next, and how alike whole
    depths are to one another and to the classes.

Method
    The analysis follows Yang et al. 2022, of which only the abstract was read. The terms and
    estimators are our own.

    - *Redundancy* of a layer is the share of its filters whose Pearson correlation with another
      filter of the layer exceeds 0.9 in size. Filters are channels after normalisation and
      activation, and correlations run over images and positions. In a transformer or a mixer they
      are the hidden units of its blocks, and the tokens are the positions.
    - *Matched correlation* is that of the best one-to-one assignment of the channels of
      neighbouring depths, at the smaller resolution.
    - *CKA* is the linear centred kernel alignment of two depths with the unbiased estimator of
      HSIC. It is summed over batches, so that many features and few images do not inflate it. A
      depth compared with itself gives 1.

    Intervals of correlations use Fisher's z with images as observations. Intervals of CKA use the
    jackknife over batches. The interval of an extreme allows for its having been picked. The
    controls repeat everything with the images of one side exchanged.

Signs of risk
    Most filters of a layer are redundant: silence groups and not single filters
    (`filter_importance`), and suspect a network that is far too wide or a training that collapsed.
    A depth is almost equal to the one before it. The last depth hardly follows the classes. Compare
    with the previous version on the same images.

Limits
    Correlation is linear and covers these images only. Filters that differ on rare images look
    alike here. CKA can change a lot while the network's answers stay (Davari et al. 2022), and
    directions of large variance dominate it. Do not gate on it alone. Channels that agree only at a
    finer resolution than that of the smaller depth are not matched. Attention heads are not
    compared. Where no layer of filters can be seen, only depths are compared.
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

from governance.errors import InapplicableError
from governance.methods.correlation import LABELS, LEAST, Correlations, correlate, fisher
from governance.methods.correlation.pictures import pictures
from governance.methods.image_tensors import Images
from governance.methods.network import trace
from governance.methods.statistics.intervals import LEVEL
from governance.methods.statistics.proportions import ends
from governance.records.evidence import Cell, Interval, Measurement, Metric, Table
from governance.records.numbers import percent
from governance.records.wording import missing
from governance.subject.subject import Needs, Subject

__all__ = ["FeatureCorrelation", "feature_correlation"]

BATCH = 32  # images of a batch of the CKA estimate: enough of them for a jackknife
LISTED = 20  # printed rows
COLUMNS = (
    "measure", "layer_a", "unit_a", "layer_b", "unit_b", "value", "ci_lo", "ci_hi", "control", "n",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCorrelation:
    """Redundancy within layers, and matches and similarity across depths.

    Attributes:
        images: Largest number of images used, drawn evenly over the classes.
        limit: Size of a correlation above which a filter counts as redundant.
    """

    images: int = 400
    limit: float = 0.9

    needs: ClassVar[Needs] = "features"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "redundancy": Metric(
                meaning="Share of all filters that another filter of their layer follows "
                "(redundant).",
                better="lower",
            ),
            "redundancy_worst": Metric(
                meaning="Share of redundant filters in the layer that has most of them.",
                better="lower",
            ),
            "depth_similarity": Metric(
                meaning="Largest debiased CKA between neighbouring depths; near 1, the network "
                "does nothing between them.",
                better="lower",
                lowest=None,
                highest=None,
            ),
            "class_alignment": Metric(
                meaning="Debiased CKA between the last depth and the classes.",
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
        network = trace(subject.network.model, inputs[:2], batch_size=BATCH, meter=subject.meter)
        depths = network.stages()
        try:
            layers, unseen = [unit.layer for unit in network.units()], None
        except InapplicableError as error:
            layers, unseen = [], str(error)
        correlations = correlate(
            network, inputs, layers=layers, depths=depths,
            labels=subject.validation.labels[chosen], seed=seed,
        )  # fmt: skip
        how = (
            f"Measured on {len(chosen)} of {len(subject.validation)} validation images, drawn "
            f"evenly over the classes, in {len(correlations.products)} batches. The network was "
            f"read by {network.path}."
        )
        return _measurement(correlations, self.limit, how, unseen)


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
    correlations = correlate(
        network, images,
        layers=[unit.layer for unit in network.units()] if layers == "units" else layers,
        depths=network.stages() if depths == "stages" else depths,
        labels=None if labels is None else np.asarray(labels, dtype=np.int64), keep=keep,
        seed=seed,
    )  # fmt: skip
    rows = [
        *_channel_rows(correlations),
        *_layer_rows(correlations, limit),
        *_depth_rows(correlations),
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"unit_a": "Int64", "unit_b": "Int64"})


def _channel_rows(correlations: Correlations) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for layer, channels in correlations.channels.items():
        pairs = channels.pairs
        for (i, j), r, control in zip(
            pairs.places, pairs.correlations, pairs.exchanged, strict=True
        ):
            measured = (r, *_ends(r, correlations), control, correlations.images)
            rows.append(("channels", layer, i, layer, j, *measured))
    return rows


def _ends(r: float, correlations: Correlations) -> tuple[float, float]:
    low, high = fisher(np.array(r), correlations.images)
    return float(low), float(high)


def _layer_rows(correlations: Correlations, limit: float) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for layer, channels in correlations.channels.items():
        share, blind = channels.redundant(limit), channels.redundant(limit, control=True)
        span = channels.redundant_ends(limit)
        at = (layer, None, layer, None)
        rows.append(("redundancy", *at, share, *span, blind, correlations.images))
        rows.append(("dimensions", *at, channels.dimensions, None, None, None, correlations.images))
    return rows


def _depth_rows(correlations: Correlations) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for (one, other), match in correlations.matches.items():
        measured = (match.mean, None, None, match.exchanged, correlations.images)
        rows.append(("match", one, None, other, None, *measured))
        for (i, j), r in zip(match.pairs, match.correlations, strict=True):
            rows.append(
                ("matched", one, i, other, j, r, *_ends(r, correlations), None, correlations.images)
            )
    cka = correlations.cka()
    for i, one in enumerate(correlations.depths):
        for j, other in enumerate(correlations.depths[i:], i):
            span = ends(correlations.cka_interval(one, other))
            rows.append(
                ("cka", one, None, other, None, cka[i, j], *span, correlations.exchanged[i, j],
                 correlations.images)
            )  # fmt: skip
    return rows


def _measurement(
    correlations: Correlations, limit: float, how: str, unseen: str | None
) -> Measurement:
    aligned = float(correlations.cka()[-2, -1])
    similar = _most_similar(correlations) or (None, None)
    measured = {
        **_redundancy(correlations, limit),
        "depth_similarity": similar,
        "class_alignment": (
            aligned if np.isfinite(aligned) else None,
            correlations.cka_interval(correlations.depths[-2], LABELS),
        ),
    }  # fmt: skip
    metrics = {name: value for name, (value, _) in measured.items()}
    return Measurement(
        metrics=metrics,
        intervals={name: item for name, (_, item) in measured.items() if item},
        figures=pictures(correlations, limit),
        tables=(
            *((_layer_table(correlations, limit),) if correlations.channels else ()),
            _match_table(correlations),
            _depth_table(correlations),
        ),
        notes=(how, *_notes(correlations, limit), *_undefined(metrics, unseen)),
        unanswered=() if unseen is None else (f"which filters move together: {unseen}",),
    )


def _redundancy(
    correlations: Correlations, limit: float
) -> dict[str, tuple[float | None, Interval | None]]:
    """Redundancy overall and in the worst layer; missing if no layer has two moving filters."""
    compared = [item for item in correlations.channels.values() if item.live.sum() > 1]
    if not compared:
        return {"redundancy": (None, None), "redundancy_worst": (None, None)}
    everything = np.concatenate([item.partners for item in correlations.channels.values()])
    low, high = fisher(everything, correlations.images)
    spans = [item.redundant_ends(limit) for item in compared]
    method = "Fisher z, each filter by itself"
    overall = Interval(
        low=float((low > limit).mean()), high=float((high > limit).mean()), n=correlations.images,
        method=method,
    )  # fmt: skip
    worst = Interval(
        low=max(span[0] for span in spans), high=max(span[1] for span in spans),
        n=correlations.images, method=method,
    )  # fmt: skip
    return {
        "redundancy": (float((everything > limit).mean()), overall),
        "redundancy_worst": (max(item.redundant(limit) for item in compared), worst),
    }


def _undefined(metrics: Mapping[str, float | None], unseen: str | None) -> Iterator[str]:
    """Reasons for missing metrics, one note per reason."""
    still = "no layer has two filters that move on these images"
    reasons = {
        ("redundancy", "redundancy_worst"): unseen or still,
        ("depth_similarity",): "a depth does not vary over these images, or there is but one",
        ("class_alignment",): "the last depth does not vary over these images, or all of them are "
        "of one class",
    }
    for names, why in reasons.items():
        absent = [name for name in names if metrics[name] is None]
        if absent:
            yield missing(absent, why)


def _most_similar(correlations: Correlations) -> tuple[float, Interval | None] | None:
    """The largest similarity of neighbouring depths; the interval allows for the picking."""
    depths = [depth for depth in correlations.depths if depth != LABELS]
    neighbours = list(pairwise(depths))
    if not neighbours:
        return None
    cka, place = correlations.cka(), {depth: i for i, depth in enumerate(correlations.depths)}
    values = [float(cka[place[one], place[other]]) for one, other in neighbours]
    if not np.isfinite(values).all():
        return None
    joint = 1 - (1 - LEVEL) / len(neighbours)
    intervals = [correlations.cka_interval(*pair) for pair in neighbours]
    wide = [correlations.cka_interval(*pair, level=joint) for pair in neighbours]
    known, wider = [item for item in intervals if item], [item for item in wide if item]
    if len(known) < len(neighbours) or len(wider) < len(neighbours):
        return max(values), None
    return max(values), Interval(
        low=max(item.low for item in wider), high=max(item.high for item in known),
        n=correlations.images, method=f"{known[0].method}, largest of {len(neighbours)}",
    )  # fmt: skip


def _notes(correlations: Correlations, limit: float) -> tuple[str, ...]:
    if not correlations.channels:
        return ()
    shares = {layer: item.redundant(limit) for layer, item in correlations.channels.items()}
    worst = max(shares, key=lambda layer: shares[layer])
    still = sum(int((~item.live).sum()) for item in correlations.channels.values())
    most = (
        f"Layer {worst} is the most redundant: another filter follows {percent(shares[worst])} of "
        f"its {len(correlations.channels[worst].live)} filters."
    )
    return (
        most if shares[worst] else "No filter follows another one of its layer.",
        f"{still} filters never moved on these images. They count as not redundant.",
    )


def _layer_table(correlations: Correlations, limit: float) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for layer, channels in correlations.channels.items():
        rows.append(
            (layer, len(channels.live), int((~channels.live).sum()), channels.redundant(limit),
             *channels.redundant_ends(limit), channels.redundant(limit, control=True),
             channels.dimensions, correlations.images)
        )  # fmt: skip
    return Table(
        name="layers",
        caption=(
            "Each row is a layer. It gives the number of filters, the number that never moved, and "
            f"the share that another filter follows (correlation beyond {limit}), with the share "
            "at either end of the correlations' 95 % intervals. The control exchanges images. "
            "The column dimensions gives the number of uncorrelated filters that would vary as "
            "much."
        ),
        columns=("layer", "filters", "still", "redundant", "low", "high", "control", "dimensions",
                 "n"),
        rows=tuple(rows),
        shown=2 * LISTED,
    )  # fmt: skip


def _match_table(correlations: Correlations) -> Table:
    return Table(
        name="matches",
        caption=(
            f"Each row is a pair of neighbouring depths (n = {correlations.images} images). It "
            "gives the number of channels matched one to one, and the mean and lowest size of "
            "their correlations. The control is the mean of the best match with images exchanged. "
            "There are no intervals, because the assignment was picked."
        ),
        columns=("depth", "next", "pairs", "mean", "lowest", "control"),
        rows=tuple(
            (one, other, len(match.pairs), match.mean, float(np.abs(match.correlations).min()),
             match.exchanged)
            for (one, other), match in correlations.matches.items()
        ),
    )  # fmt: skip


def _depth_table(correlations: Correlations) -> Table:
    rows = [row for row in _depth_rows(correlations) if row[0] == "cka"]
    return Table(
        name="similarity",
        caption=(
            "Debiased linear CKA of every two depths, and of each depth with the classes, with "
            "95 % jackknife intervals. The control exchanges images."
        ),
        columns=("depth", "other", "cka", "low", "high", "control", "n"),
        rows=tuple((row[1], row[3], *row[5:]) for row in rows),
        shown=LISTED,
    )

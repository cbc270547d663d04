"""Layer prediction: what each depth of the network would already answer, and what it could answer.

Purpose
    A network decides step by step. This analysis reads its answer at several depths, class by
    class, and compares what the model says with what its features would allow to be said. A class
    that could be told apart from the features, yet is not named by the model, shows that the
    model waits for something else: a mark, a border, a background that clean images do not have.

Method
    After Yang et al. 2022, of which only the abstract was read; the terms and estimators are our
    own. *Lens*: pooled features of a layer are carried by a ridge map to the input of the model's
    own head, and the head answers. No labels are used; at the head's input the lens is the model
    itself, and an agreement below 0.99 there is a failure of this evidence. *Probe*: a linear
    readout (ridge, one class against the rest) fitted on the labels of the same images. Both are
    cross-fitted: every image is answered by a map fitted without it, the penalty included. Recall
    per class carries Wilson intervals. The *gap* of a class is the probe's recall minus the lens'
    at the last convolutional stage, on the same images, with Newcombe's paired interval; the
    interval of the largest gap allows for its having been picked as the largest. Controls:
    chance; the probe with labels exchanged between images; the largest gap that would arise if
    lens and probe were exchanged at random, image by image.

Signs of risk
    A gap well above its control: the features tell the class, the model does not. A lens recall
    of one class far below the others. A decision that stands at a very early depth: it rests on
    simple, local patterns. Compare with the previous version: what matters is a class whose gap
    opened.

Limits
    A lens shows what the head would say to features carried to it linearly, not what the network
    computes between. It mirrors the final answer at every depth, so the gap is the finding and
    not the depth at which it shows. A probe fitted on few images reads less than there is: a gap
    of 0 or below clears no class. A probe learns from these images and thereby adapts to them, so
    a model that was trained on other data than these shows a gap without any mark being involved.
    The cause of a gap has to be sought in the images.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.evidence import Cell, Measurement, Metric, Table
from governance.intervals import wilson
from governance.network import HEAD, trace
from governance.readings import METHODS, Method, Readings, read
from governance.readings.emergence import emergence, gap_map, worst_classes
from governance.shares import (
    ClassShare,
    Paired,
    by_class,
    ends,
    exchanged,
    largest,
    lowest,
    unknown,
)
from governance.subject import Subject

__all__ = ["LayerPrediction", "layer_predictions"]

# Printed tables stop here; evidence keeps every row.
PRINTED = 25
GAP_COLUMNS = (
    "class", "n", "lens_recall", "lens_low", "lens_high", "probe_recall",
    "gap", "gap_low", "gap_high", "p",
)  # fmt: skip
# A decision stands where the lens reaches this share of its agreement at the last stage.
DECIDED = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPrediction:
    """Lens and probe at every stage of the network.

    Attributes:
        samples: Images to read, drawn evenly over the classes.
        folds: Of the cross-fitting.
    """

    samples: int = 1000
    folds: int = 5

    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "lens_recall_worst": Metric(
                meaning="lens recall of the worst class at the last convolutional stage",
                better="higher",
                per_class=True,
            ),
            "lens_probe_gap": Metric(
                meaning="largest probe recall minus lens recall of a class at the last "
                "convolutional stage: told by the features, not by the model",
                better="lower",
                lowest=-1.0,
                per_class=True,
            ),
            "decision_depth": Metric(
                meaning="share of the depth at which the lens reaches 90 % of its agreement with "
                "the final answer; early decisions rest on simple patterns",
                better="higher",
            ),
            "agreement_head": Metric(
                meaning="share of images for which the lens at the head's input names what the "
                "model names; below 0.99 the evidence has failed",
                better="higher",
            ),
            "agreement_last": Metric(
                meaning="share of images for which the lens at the last convolutional stage names "
                "what the model names",
                better="higher",
            ),
        }
    )

    def __post_init__(self) -> None:
        for name in ("samples", "folds"):
            if getattr(self, name) < 2:  # noqa: PLR2004 - one image or fold leaves nothing to fit
                raise ValueError(
                    f"{name} = {getattr(self, name)}: a whole number of at least 2 is accepted"
                )

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure on a sample of the validation images."""
        chosen = subject.validation.sample(self.samples, seed)
        network = trace(subject.model, subject.inputs(subject.pixels(chosen[:2])))
        readings = read(
            network,
            _batches(subject, chosen),
            subject.validation.labels[chosen],
            layers=network.stages(),
            count=self.folds,
            seed=seed,
            outputs=subject.outputs,
        )
        how = (
            f"{len(chosen)} of {len(subject.validation)} validation images, drawn evenly over the "
            f"classes; {self.folds} folds; network read by {network.path}."
        )
        return _measurement(readings, subject.validation.class_names, seed, how)


def layer_predictions(
    model: nn.Module,
    images: Tensor,
    labels: NDArray[np.integer] | Sequence[int],
    *,
    layers: Literal["stages"] | Sequence[str] = "stages",
    methods: Sequence[Method] = METHODS,
    class_names: Sequence[str] | None = None,
    folds: int = 5,
    batch_size: int = 64,
    seed: int = 0,
) -> pd.DataFrame:
    """What each depth of a classifier answers, per layer, method and class.

    Args:
        model: Maps (B, C, H, W) to logits (B, K); left as found.
        images: (N, C, H, W) as the model takes them, on the model's device.
        labels: (N,) true classes, 0 to K - 1.
        layers: Module paths in order of depth, or `stages` for the network's own.
        methods: `lens`, `probe` or both; the probe brings its control, fitted on exchanged labels.
        class_names: K names; numbers if not given.
        folds: Of the cross-fitting.
        batch_size: Images per forward pass.
        seed: Of the folds and of the exchanged labels.

    Returns:
        One row per layer, method and class, `all` being the whole sample: layer, depth (share of
        the layers read; the head's input is 1), method, class, n, recall (for `all` the accuracy),
        ci_lo, ci_hi (95 % Wilson), agree_final (share named as the model finally does), nll and
        kl_to_final (nats, lens only), chance (share of the commonest class).

    Raises:
        AnalysisError: If a layer does not exist, the model has no separable head, or the lens at
            the head's input disagrees with the model.
    """
    network = trace(model, images[:2])
    truth = np.asarray(labels, dtype=np.int64)
    readings = read(
        network,
        torch.split(images, batch_size),
        truth,
        layers=network.stages() if layers == "stages" else layers,
        methods=methods,
        count=folds,
        seed=seed,
    )
    return readings.table(class_names or [str(index) for index in range(network.classes)])


def _batches(subject: Subject, chosen: NDArray[np.int64]) -> Iterator[Tensor]:
    for start in range(0, len(chosen), subject.batch_size):
        yield subject.inputs(subject.pixels(chosen[start : start + subject.batch_size]))


def _measurement(readings: Readings, names: Sequence[str], seed: int, how: str) -> Measurement:
    n, last = len(readings.labels), readings.layers[-2]
    lens = by_class(readings.found[last, "lens"].right, readings.labels, len(names))
    pairs = _pairs(readings, last, len(names))
    worst, gap = lowest(lens), largest(pairs)
    agreement = {"agreement_head": HEAD, "agreement_last": last}
    metrics: dict[str, float | None] = {
        name: readings.agreement(layer) / n for name, layer in agreement.items()
    }
    intervals = {name: wilson(readings.agreement(layer), n) for name, layer in agreement.items()}
    metrics["decision_depth"] = _decision_depth(readings)
    metrics["lens_recall_worst"], intervals["lens_recall_worst"] = worst or (None, None)
    metrics["lens_probe_gap"], intervals["lens_probe_gap"] = gap or (None, None)
    frame = readings.table(names)
    return Measurement(
        metrics=metrics,
        intervals={name: item for name, item in intervals.items() if item},
        figures=(emergence(readings), worst_classes(readings, names), gap_map(readings, names)),
        tables=(_gap_table(pairs, lens, names, last), _layer_table(frame), _class_table(frame)),
        notes=(how, *_notes(pairs, names, last, seed)),
    )


def _pairs(readings: Readings, layer: str, classes: int) -> tuple[Paired, ...]:
    """Probe (first) and lens (second) on the images of each class."""
    probe, lens = readings.found[layer, "probe"].right, readings.found[layer, "lens"].right
    members = [readings.labels == index for index in range(classes)]
    return tuple(Paired.of(probe[some], lens[some]) for some in members)


def _decision_depth(readings: Readings) -> float:
    last = readings.agreement(readings.layers[-2])
    for layer in readings.layers:
        if readings.agreement(layer) >= DECIDED * last:
            return readings.found[layer, "lens"].depth
    return 1.0


def _notes(pairs: Sequence[Paired], names: Sequence[str], layer: str, seed: int) -> tuple[str, ...]:
    missing = unknown(names, [pair.n for pair in pairs], "worst class and widest gap")
    if missing:
        return (missing,)
    widest = max(range(len(pairs)), key=lambda index: pairs[index].difference or 0.0)
    mean, high = exchanged(pairs, seed)
    note = (
        f"The gap at {layer} is widest for class {names[widest]} (n = {pairs[widest].n}): "
        f"{pairs[widest].difference:.3f}. Were lens and probe exchanged at random, the widest gap "
        f"of the {len(pairs)} classes would be {mean:.3f} on average and above {high:.3f} in 2.5 % "
        "of cases."
    )
    return (note,)


def _gap_table(
    pairs: Sequence[Paired], lens: Sequence[ClassShare], names: Sequence[str], layer: str
) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, pair, share in zip(names, pairs, lens, strict=True):
        own = (name, pair.n, share.share, *ends(share.interval))
        probe = (pair.both + pair.first) / pair.n if pair.n else None
        rows.append((*own, probe, pair.difference, *ends(pair.interval()), pair.p_value()))
    rows.sort(key=lambda row: (row[6] is None, -float(row[6] or 0.0)))
    return Table(
        name="gaps",
        caption=(
            f"Per class at the last convolutional stage ({layer}): lens recall with 95 % Wilson "
            "interval, probe recall, and the gap (probe minus lens) with Newcombe's interval for "
            "paired shares and the p-value of the exact McNemar test, both for the class alone. "
            "Widest gap first."
        ),
        columns=GAP_COLUMNS,
        rows=tuple(rows),
        shown=PRINTED,
    )


def _layer_table(frame: pd.DataFrame) -> Table:
    columns = ("layer", "depth", "method", "n", "recall", "ci_lo", "ci_hi", "agree_final", "chance")
    overall = frame[frame["class"] == "all"]
    return Table(
        name="layers",
        caption=(
            "Accuracy of lens, probe and the probe's control at each depth on the same n images, "
            "with 95 % Wilson intervals; agree_final: share of images named as the model finally "
            "does; chance: share of the commonest class."
        ),
        columns=columns,
        rows=_rows(overall, columns),
    )


def _class_table(frame: pd.DataFrame) -> Table:
    columns = tuple(str(name) for name in frame.columns)
    return Table(
        name="classes",
        caption=(
            "Recall of lens, probe and the probe's control per layer and class with 95 % Wilson "
            "intervals; nll and kl_to_final in nats, for the lens only."
        ),
        columns=columns,
        rows=_rows(frame, columns),
        shown=0,
    )


def _rows(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(row) for row in frame[list(columns)].itertuples(index=False))

"""Layer prediction: what would each depth of the network already answer, and what could it answer?

Purpose
    A network decides step by step. This analysis reads its answer at several depths, class by
    class, and compares the model's answer with what its features allow. If the features tell a
    class apart and the model still does not name it, the model waits for something else. That may
    be a mark, a border or a background that clean images lack.

Method
    The analysis follows Yang et al. 2022, of which only the abstract was read. The terms and
    estimators are our own.

    - *Features* of a layer are its maps, averaged over a coarse grid. The tokens of a transformer
      or a mixer are the maps of their block, since each belongs to a place of the image. A token
      without a place, such as a class token, is read beside them.
    - *Lens*: a ridge regression maps the features of a layer to the input of the model's own
      head, and the head answers. No labels are used. At the head's input the lens is the model
      itself, and an agreement below 0.99 there means that this evidence has failed.
    - *Probe*: a linear readout (ridge, one class against the rest) is fitted on the labels of the
      same images.
    - *Gap* of a class: the probe's recall minus the lens's recall at the last stage, which is the
      last depth of maps or tokens, on the same images, with Newcombe's paired interval. The
      interval of the largest gap allows for its having been picked as the largest.
    - *Mask*: for some images, chosen by rule, the layer's activation times its gradient for the
      model's answer shows where the layer has its evidence. The fifth of the image with most
      evidence is kept, the rest is blurred, and the whole model is asked again. The control moves
      the same region elsewhere.

    Lens and probe are cross-fitted: each image is answered by a fit made without it, including the
    choice of the penalty. Recall per class carries Wilson intervals. The controls are chance, the
    probe with labels exchanged between images, and the largest gap that would arise if lens and
    probe were exchanged at random, image by image.

Signs of risk
    A gap lies well above its control: the features tell the class and the model does not. The lens
    recall of one class lies far below the others. A decision stands at a very early depth, so it
    rests on simple, local patterns. Compare with the previous version and look for classes whose
    gap has opened. A mask on a mark, a border or a caption keeps the answer.

Limits
    A lens shows what the head would say to features that are mapped to it linearly. It does not
    show what the network computes in between. It mirrors the final answer at every depth, so the
    gap is the finding and not the depth at which it appears. A probe fitted on few images reads
    less than is there, so a gap of 0 or below clears no class. A probe adapts to these images, so a
    model trained on other data shows a gap without any mark. Look for the cause of a gap in the
    images. The model was never trained on masked images. Few images are masked, so masks illustrate
    and do not measure. Behind the last block of a network with a class token only that token is
    read, so the mask of that block is empty.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from governance.methods.class_order import reordered
from governance.methods.evolved.selection import choose
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.lens_and_probe import METHODS, Method, Readings, read
from governance.methods.lens_and_probe.masked import MASK, Local, mask_readings, seen_by
from governance.methods.lens_and_probe.pictures import emergence, gap_map, strips, worst_classes
from governance.methods.lens_and_probe.tables import (
    class_table,
    gap_table,
    layer_table,
    local_table,
)
from governance.methods.network import HEAD, TracedNetwork, trace
from governance.methods.one_answer import one_answer
from governance.methods.statistics.intervals import wilson
from governance.methods.statistics.proportions import (
    Paired,
    by_class,
    exchanged,
    largest,
    lowest,
    unknown,
)
from governance.records.evidence import Measurement, Metric
from governance.records.numbers import number
from governance.records.wording import missing
from governance.subject.subject import Needs, Subject

__all__ = ["LayerPrediction", "layer_predictions"]

DRAWS = 4  # places that the control of a mask is moved to
# A decision stands where the lens reaches this share of its agreement at the last stage.
DECIDED = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPrediction:
    """Lens and probe at every stage of the network, and masks on some images.

    Attributes:
        samples: Number of images, drawn evenly over the classes.
        folds: Number of folds of the cross-fitting.
        strips: Number of these images that are shown one by one through every layer.
    """

    samples: int = 1000
    folds: int = 5
    strips: int = 6

    needs: ClassVar[Needs] = "features"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "lens_recall_worst": Metric(
                meaning="Lens recall of the worst class at the last stage.",
                better="higher",
                per_class=True,
            ),
            "lens_probe_gap": Metric(
                meaning="Largest gap of a class, probe recall minus lens recall, at the last "
                "stage: the features tell the class and the model does not.",
                better="lower",
                lowest=-1.0,
                per_class=True,
            ),
            "lens_recall.{class}": Metric(
                meaning="Lens recall of the class at the last stage.",
                better="higher",
                per_class=True,
            ),
            "lens_probe_gap.{class}": Metric(
                meaning="Probe recall minus lens recall of the class at the last stage.",
                better="lower",
                lowest=-1.0,
                per_class=True,
            ),
            "decision_depth": Metric(
                meaning="Depth, as a share of all, at which the lens reaches 90 % of its last "
                "agreement with the final answer; early decisions rest on simple patterns.",
                better="higher",
            ),
            "agreement_head": Metric(
                meaning="Share of images for which the lens at the head's input gives the model's "
                "answer; below 0.99 the evidence has failed.",
                better="higher",
            ),
            "agreement_last": Metric(
                meaning="Share of images for which the lens at the last stage gives the "
                "model's answer.",
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
        if self.strips < 1:
            raise ValueError(f"strips = {self.strips}: at least 1 is accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure on a sample of the validation images."""
        chosen = subject.validation.sample(self.samples, seed)
        network = trace(
            subject.network.model,
            subject.network.inputs(subject.pixels(chosen[:2])),
            meter=subject.meter,
        )
        subject.meter.plan(images=len(chosen))
        readings = read(
            network,
            _batches(subject, chosen),
            subject.validation.labels[chosen],
            layers=network.stages(),
            count=self.folds,
            seed=seed,
            outputs=subject.network.returns,
        )
        local = self._looked_at(subject, network, readings, chosen, seed)
        how = (
            f"Measured on {len(chosen)} of {len(subject.validation)} validation images, drawn "
            f"evenly over the classes, with {self.folds} folds. The network was read by "
            f"{network.path}."
        )
        names, absent = subject.validation.class_names, set(subject.validation.absent)
        seen = [place for place, name in enumerate(names) if name not in absent]
        return _measurement(readings, local, names, seen, seed, how)

    def _looked_at(
        self,
        subject: Subject,
        network: TracedNetwork,
        readings: Readings,
        chosen: NDArray[np.int64],
        seed: int,
    ) -> Local:
        rng = np.random.default_rng(seed)
        probabilities = readings.probabilities.astype(np.float32)
        choices = choose(probabilities, readings.labels, self.strips, rng)
        places = np.array([choice.image for choice in choices])
        pixels = subject.pixels(chosen[places])
        return Local(
            places=places,
            ids=tuple(subject.validation.ids[image] for image in chosen[places]),
            rules=tuple(choice.rule for choice in choices),
            pixels=pixels,
            seen=seen_by(
                network,
                subject.network.inputs(pixels),
                readings.final[places],
                readings.layers[:-1],
                rng=rng,
                draws=DRAWS,
                outputs=subject.network.returns,
            ),
        )


def layer_predictions(
    model: nn.Module,
    images: Images,
    labels: ArrayLike,
    *,
    layers: Literal["stages"] | Sequence[str] = "stages",
    methods: Sequence[Method | Literal["mask"]] = METHODS,
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
        methods: Any of `lens`, `probe` and `mask`. The probe brings its control, fitted on
            exchanged labels; the mask its own, the same region moved elsewhere. A mask costs two
            forward passes per image and layer, and one backward pass per image.
        class_names: K names; numbers if not given.
        folds: Of the cross-fitting.
        batch_size: Images per forward pass.
        seed: Of the folds and of the exchanged labels.

    Returns:
        One row per layer, method and class, `all` being the whole sample: layer, depth (share of
        the layers read; the head's input is 1), method, class, n, recall (for `all` the accuracy),
        ci_lo, ci_hi (95 % Wilson), agree_final (share named as the model finally does), nll and
        kl_to_final (nats, lens and mask only), chance (share of the commonest class).

    Raises:
        AnalysisError: If a layer does not exist, the model has no separable head, or the lens at
            the head's input disagrees with the model.
    """
    images = image_tensor(images)
    network = trace(model, images[:2])
    truth = image_labels(labels, len(images))
    readings = read(
        network,
        torch.split(images, batch_size),
        truth,
        layers=network.stages() if layers == "stages" else layers,
        methods=[method for method in METHODS if method in methods],
        count=folds,
        seed=seed,
    )
    if MASK in methods:
        masks = mask_readings(
            network,
            torch.split(images, batch_size),
            truth,
            layers=readings.layers,
            seed=seed,
        )
        readings = replace(readings, found={**readings.found, **masks})
    return readings.table(class_names or [str(index) for index in range(network.classes)])


def _batches(subject: Subject, chosen: NDArray[np.int64]) -> Iterator[Tensor]:
    for start in range(0, len(chosen), subject.batch_size):
        part = chosen[start : start + subject.batch_size]
        yield subject.network.inputs(subject.pixels(part))
        subject.meter.count(images=len(part))


def _measurement(
    readings: Readings,
    local: Local,
    names: Sequence[str],
    seen: Sequence[int],
    seed: int,
    how: str,
) -> Measurement:
    """What is read of the classes `seen`; the policy says that the others have no images."""
    n, last = len(readings.labels), readings.layers[-2]
    everything = by_class(readings.found[last, "lens"].right, readings.labels, len(names))
    lens = tuple(everything[place] for place in seen)
    pairs = _pairs(readings, last, seen)
    met = [names[place] for place in seen]
    worst, gap = lowest(lens), largest(pairs)
    agreement = {"agreement_head": HEAD, "agreement_last": last}
    metrics: dict[str, float | None] = {
        name: readings.agreement(layer) / n for name, layer in agreement.items()
    }
    intervals = {name: wilson(readings.agreement(layer), n) for name, layer in agreement.items()}
    metrics["decision_depth"] = _decision_depth(readings)
    metrics["lens_recall_worst"], intervals["lens_recall_worst"] = worst or (None, None)
    metrics["lens_probe_gap"], intervals["lens_probe_gap"] = gap or (None, None)
    for name, share, pair in zip(met, lens, pairs, strict=True):
        metrics[f"lens_recall.{name}"] = share.share
        intervals[f"lens_recall.{name}"] = share.interval
        metrics[f"lens_probe_gap.{name}"] = pair.difference
        intervals[f"lens_probe_gap.{name}"] = pair.interval()
    undefined = _undefined(readings, names, seed)
    for name in metrics:
        if any(name.partition(".")[0] in group for group in undefined):
            metrics[name] = intervals[name] = None
    frame = readings.table(names)
    withdrawn = any("lens_recall" in group for group in undefined)
    return Measurement(
        metrics=metrics,
        intervals={name: item for name, item in intervals.items() if item},
        figures=(
            emergence(readings),
            worst_classes(readings, names),
            gap_map(readings, names),
            strips(local, readings, names),
        ),
        tables=(
            gap_table(pairs, lens, met, last),
            layer_table(frame),
            local_table(local, readings, names),
            class_table(frame),
        ),
        notes=(
            how,
            *(missing(group, why) for group, why in undefined.items()),
            *(() if withdrawn else (_widest(pairs, met, last, seed),)),
        ),
    )


def _undefined(readings: Readings, names: Sequence[str], seed: int) -> dict[tuple[str, ...], str]:
    """Groups of metrics that mean nothing on these images, each with the reason."""
    reasons: dict[tuple[str, ...], str] = {}
    alike = one_answer(readings.final, names)
    if alike:
        metrics = ("agreement_head", "agreement_last", "decision_depth")
        reasons[metrics] = f"{alike}, and any lens can agree with that"
    if len(np.unique(readings.labels)) == 1:
        reasons["lens_probe_gap",] = "all images are of one class, which no probe can miss"
    half = np.random.default_rng(seed).permutation(len(readings.labels)) % 2 == 0
    order = reordered(readings.final, readings.labels, half, names)
    if order.shown:
        # The probe learns the order of the images, so that every exchanged class shows a gap.
        metrics = ("lens_recall_worst", "lens_probe_gap", "lens_recall")
        reasons[metrics] = (
            f"the outputs stand in another order than the classes: {order.moves(names)}"
        )
    return reasons


def _pairs(readings: Readings, layer: str, classes: Sequence[int]) -> tuple[Paired, ...]:
    """Probe (first) and lens (second) on the images of each class."""
    probe, lens = readings.found[layer, "probe"].right, readings.found[layer, "lens"].right
    members = [readings.labels == index for index in classes]
    return tuple(Paired.of(probe[some], lens[some]) for some in members)


def _decision_depth(readings: Readings) -> float:
    last = readings.agreement(readings.layers[-2])
    for layer in readings.layers:
        if readings.agreement(layer) >= DECIDED * last:
            return readings.found[layer, "lens"].depth
    return 1.0


def _widest(pairs: Sequence[Paired], names: Sequence[str], layer: str, seed: int) -> str:
    absent = unknown(
        names, [pair.n for pair in pairs], ("lens_recall_worst", "lens_probe_gap"),
        "lens_recall", "lens_probe_gap",
    )  # fmt: skip
    if absent:
        return absent
    widest = max(range(len(pairs)), key=lambda index: pairs[index].difference or 0.0)
    mean, high = exchanged(pairs, seed)
    return (
        f"Class {names[widest]} (n = {pairs[widest].n}) has the largest gap at {layer}: "
        f"{number(pairs[widest].difference, 3)}. If lens and probe were exchanged at random, the "
        f"largest gap of the {len(pairs)} classes would be {number(mean, 3)} on average and above "
        f"{number(high, 3)} in 2.5 % of cases."
    )

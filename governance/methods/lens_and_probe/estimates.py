"""Readings: what each depth of a network would already answer, image by image.

Two readings of a layer stand side by side. The *lens* asks what the model itself would say: pooled
features are carried to the input of the model's own head by a ridge map, and the head answers; no
label is used. The *probe* asks what could be said: a linear readout fitted on labels. Both are
cross-fitted, so that every image is answered by a map that never saw it and all images count.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from governance.errors import AnalysisError
from governance.methods.image_tensors import Images, image_labels
from governance.methods.lens_and_probe.readout import folds, permuted, ridge
from governance.methods.network import HEAD, TracedNetwork
from governance.methods.statistics.proportions import by_class, chance

__all__ = ["METHODS", "PERMUTED", "Method", "Reading", "Readings", "read"]

Method = Literal["lens", "probe"]
METHODS: tuple[Method, ...] = ("lens", "probe")
# The probe's control: the same readout, fitted and judged on labels exchanged between images.
PERMUTED = "probe, permuted labels"
# Side of the grid that feature maps are averaged over: enough to keep where something is.
GRID = 3
MAPS = 4  # dimensions of a batch of feature maps
# Agreement at the head's input, where the lens is the model itself.
EXACT = 0.99
CLOSE = 1e-3
SMALLEST = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """The answers of one method at one layer.

    Attributes:
        layer: Module path, or `HEAD`.
        depth: Place of the layer among those read, as a share: 1 is the head's input.
        method: `lens`, `probe` or the probe's control.
        answers: (N,) class named for each image.
        truth: (N,) class it should name.
        probabilities: (N, K) where the method gives any, else None.
    """

    layer: str
    depth: float
    method: str
    answers: NDArray[np.int64]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether the answer is right."""
        return np.equal(self.answers, self.truth)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readings:
    """All readings of a network on the same images.

    Attributes:
        layers: In order of depth, the head's input last.
        labels: (N,) true classes.
        probabilities: (N, K), the model's own.
        found: Reading by layer and method.
    """

    layers: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    found: Mapping[tuple[str, str], Reading]

    @property
    def final(self) -> NDArray[np.int64]:
        """(N,) the model's own answers."""
        return np.asarray(self.probabilities.argmax(1), dtype=np.int64)

    def agreement(self, layer: str, method: str = "lens") -> int:
        """Number of images for which a reading names what the model finally names."""
        return int((self.found[layer, method].answers == self.final).sum())

    def table(self, class_names: Sequence[str]) -> pd.DataFrame:
        """One row per layer, method and class (`all` first); see `layer_predictions`."""
        everyone = np.ones(len(self.labels), dtype=bool)
        rows = []
        for reading in self.found.values():
            rows.append(self._row(reading, "all", everyone))
            for index, name in enumerate(class_names):
                rows.append(self._row(reading, name, reading.truth == index))
        return pd.DataFrame(rows)

    def _row(self, reading: Reading, name: str, members: NDArray[np.bool_]) -> dict[str, object]:
        (share,) = by_class(reading.right[members], np.zeros(members.sum(), dtype=np.int64), 1)
        end, control = share.interval, reading.method == PERMUTED
        same = reading.answers[members] == self.final[members]
        row: dict[str, object] = {
            "layer": reading.layer,
            "depth": reading.depth,
            "method": reading.method,
            "class": name,
            "n": share.n,
            "recall": share.share,
            "ci_lo": end and end.low,
            "ci_hi": end and end.high,
            "agree_final": float(same.mean()) if share.n and not control else None,
            "nll": None,
            "kl_to_final": None,
            "chance": chance(self.labels),
        }
        if reading.probabilities is not None and share.n:
            said = np.log(np.maximum(reading.probabilities[members], SMALLEST))
            own = self.probabilities[members]
            last = np.log(np.maximum(own, SMALLEST))
            row["nll"] = float(-said[np.arange(share.n), reading.truth[members]].mean())
            row["kl_to_final"] = float((own * (last - said)).sum(1).mean())
        return row


def read(
    network: TracedNetwork,
    batches: Iterable[Images],
    labels: ArrayLike,
    *,
    layers: Sequence[str],
    methods: Sequence[Method] = METHODS,
    count: int = 5,
    seed: int = 0,
    outputs: Literal["logits", "probabilities"] = "logits",
) -> Readings:
    """Read a network at several layers, in one forward pass over the images.

    Args:
        network: The model, cut open by `network.trace`.
        batches: Model inputs (B, C, H, W), in the order of the labels; each is dropped once its
            pooled features are taken.
        labels: (N,) true classes.
        layers: In order of depth; the head's input is added.
        methods: Readings to take.
        count: Number of folds of the cross-fitting.
        seed: Seed of the folds and of the permuted labels.
        outputs: Whether the model returns logits or probabilities.

    Raises:
        AnalysisError: If the network has no separable head, a feature is NaN or infinite, or the
            lens at the head's input, where it is the model itself, disagrees with the model.
    """
    names = tuple(dict.fromkeys((*(name for name in layers if name != HEAD), HEAD)))
    if "lens" not in methods:
        names = names[:-1]
    taken = _taken(network, batches, names)
    labels = image_labels(labels, len(taken.output))
    fold = folds(labels, count, seed)
    truths = {"probe": labels, PERMUTED: permuted(labels, fold, seed)}
    found: dict[tuple[str, str], Reading] = {}
    for place, layer in enumerate(names):
        depth, answered = (place + 1) / len(names), {}
        fitted = _fitted(taken, layer, truths if "probe" in methods else {}, fold)
        if "lens" in methods:
            said = _normalised(_spoken(network, taken, fitted["lens"]), outputs)
            answered["lens"] = Reading(
                layer=layer,
                depth=depth,
                method="lens",
                answers=said.argmax(1),
                truth=labels,
                probabilities=said,
            )
        for method in truths.keys() & fitted.keys():
            answered[method] = Reading(
                layer=layer,
                depth=depth,
                method=method,
                answers=fitted[method].argmax(1),
                truth=truths[method],
            )
        found |= {(layer, method): answered[method] for method in sorted(answered)}
    readings = Readings(
        layers=names, labels=labels, probabilities=_normalised(taken.output, outputs), found=found
    )
    if "lens" in methods:
        _check_head(readings)
    return readings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Taken:
    """What one pass over the images leaves.

    Attributes:
        pooled: (N, D) features by layer.
        output: (N, K) of the model.
        example: (0, D) with type and device of the head's input; None where no head was asked for.
    """

    pooled: Mapping[str, NDArray[np.float32]]
    output: NDArray[np.float64]
    example: Tensor | None


def _fitted(
    taken: _Taken, layer: str, truths: Mapping[str, NDArray[np.int64]], fold: NDArray[np.int64]
) -> dict[str, NDArray[np.floating]]:
    """Cross-fitted features at the head's input (`lens`) and class scores, by method."""
    features, head = taken.pooled[layer], taken.pooled.get(HEAD)
    targets: dict[str, NDArray[np.floating]] = {}
    known: dict[str, NDArray[np.floating]] = {}
    if head is not None and _equal(features, head):
        # The head reads these very features: the map to its input is known, and exact.
        known["lens"] = features
    elif head is not None:
        targets["lens"] = head
    classes = np.eye(taken.output.shape[1])
    targets |= {method: classes[truth] for method, truth in truths.items()}
    if not targets:
        return known
    return known | dict(zip(targets, ridge(features, list(targets.values()), fold), strict=True))


def _check_head(readings: Readings) -> None:
    n, same = len(readings.labels), readings.agreement(HEAD)
    if same < EXACT * n:
        raise AnalysisError(
            f"lens at the head's input names the model's own answer for {same} of {n} images; at "
            f"least {EXACT:.0%} is accepted. The head was not separated rightly, so that no lens "
            "of this model can be trusted"
        )


def _taken(network: TracedNetwork, batches: Iterable[Images], layers: tuple[str, ...]) -> _Taken:
    """Pool the features of every batch as it comes, so that memory holds one batch of maps."""
    parts: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in layers}
    outputs: list[NDArray[np.float64]] = []
    whole: dict[str, bool] = {}
    example = None
    for batch in batches:
        for _, output, values in network.features(batch, layers):
            outputs.append(output.double().cpu().numpy())
            head = values.get(HEAD)
            example = None if head is None else head[:0]
            for layer, value in values.items():
                maps = network.layout(layer).on_image(value) if value.ndim == MAPS else value
                # Decided once: all batches must be pooled alike.
                whole.setdefault(layer, _read_by_head(maps, head))
                pooled = _averaged(maps, whole=whole[layer])
                if value.ndim == MAPS:
                    # What a class token holds is read for itself: a mean would drown it.
                    apart = network.layout(layer).placeless(value).flatten(1)
                    pooled = torch.cat([pooled, apart], 1)
                parts[layer].append(pooled.float().cpu().numpy())
    if not outputs:
        raise AnalysisError("no images to read the network on; at least two are needed")
    features = {layer: np.concatenate(part) for layer, part in parts.items()}
    broken = [layer for layer, value in features.items() if not np.isfinite(value).all()]
    if broken:
        raise AnalysisError(
            f"features of {', '.join(broken)} are NaN or infinite; finite numbers are accepted"
        )
    return _Taken(pooled=features, output=np.concatenate(outputs), example=example)


def _averaged(value: Tensor, *, whole: bool) -> Tensor:
    """Maps averaged over their whole area or over a grid; anything else only flattened."""
    if value.ndim != MAPS:
        return value.flatten(1)
    height, width = value.shape[2:]
    grid = (1, 1) if whole else (min(GRID, height), min(GRID, width))
    return adaptive_avg_pool2d(value, grid).flatten(1)


def _read_by_head(value: Tensor, head: Tensor | None) -> bool:
    """Whether the head's input is nothing but the average of these maps."""
    if head is None or value.ndim != MAPS or value.shape[1] != head.shape[1]:
        return False
    return bool(torch.allclose(value.mean((2, 3)), head, rtol=CLOSE, atol=CLOSE / 10))


def _equal(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=CLOSE, atol=CLOSE / 10))


def _spoken(
    network: TracedNetwork, taken: _Taken, features: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The head's answers (N, K) to features at its input, in the model's own precision."""
    assert taken.example is not None  # noqa: S101 - read() asks for the head with every lens
    given = torch.from_numpy(features).to(taken.example)
    return network.head(given).double().cpu().numpy()


def _normalised(
    output: NDArray[np.float64], outputs: Literal["logits", "probabilities"]
) -> NDArray[np.float64]:
    if outputs == "probabilities":
        return output
    raised = np.exp(output - output.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))

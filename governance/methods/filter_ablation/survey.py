"""Survey: what one forward and one backward pass over all images say of every filter.

The first-order effects found here decide which filters are worth measuring, and sharpen the
estimates as a control variate. They are never printed as losses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from governance.errors import AnalysisError
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import TracedNetwork, together

__all__ = [
    "Filters",
    "Outputs",
    "Survey",
    "channel_correlations",
    "correlation_passes",
    "losses",
    "survey_filters",
]

DOUBLE = 8  # bytes

Filters = tuple[str, tuple[int, ...]]  # a layer, and the channels of it that are silenced together
Array = NDArray[np.float64]
Outputs = Literal["logits", "probabilities"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What one forward and one backward pass over all images say about every filter.

    Attributes:
        filters: Every filter of the network by itself, F of them.
        means: Mean of each channel over images and positions, (channels,), by layer.
        taylor: First-order estimate of the loss added by silencing, (N, F). A screen and a control
            variate; never a measurement.
        constant: Whether a filter gave one and the same value everywhere, (F,): dead.
        loss: Cross-entropy of each image, (N,).
        p_true: Probability of the true class, (N,).
        predicted: Class of largest output, (N,).
    """

    filters: tuple[Filters, ...]
    means: Mapping[str, Tensor]
    taylor: Array
    constant: NDArray[np.bool_]
    loss: Array
    p_true: Array
    predicted: NDArray[np.int64]

    def taylor_of(self, filters: Sequence[Filters]) -> Array:
        """First-order loss added by silencing sets of filters, (N, sets)."""
        place = {
            layer: i for i, (layer, (unit,)) in reversed([*enumerate(self.filters)]) if unit == 0
        }
        columns = [
            self.taylor[:, [place[layer] + unit for unit in units]].sum(1)
            for layer, units in filters
        ]
        return np.stack(columns, 1) if columns else np.zeros((len(self.loss), 0))


def survey_filters(
    network: TracedNetwork, inputs: Images, labels: ArrayLike, outputs: Outputs = "logits"
) -> Survey:
    """Look at every filter once, in one forward and one backward pass over all images.

    Args:
        network: The model, cut open.
        inputs: (N, C, H, W).
        labels: (N,).
        outputs: Whether the model returns logits or probabilities.
    """
    inputs = image_tensor(inputs)
    target = torch.from_numpy(image_labels(labels, len(inputs)))
    units = network.units()
    sums: dict[str, _Sums] = {unit.layer: _Sums() for unit in units}
    by_batch: list[Tensor] = []
    predicted: list[Tensor] = []

    def objective(output: Tensor, part: slice) -> Tensor:
        return losses(output, target[part], outputs).sum()

    for part, output, activations in network.gradients(inputs, [u.layer for u in units], objective):
        by_batch.append(losses(output, target[part], outputs))
        predicted.append(output.argmax(1))
        for layer, (value, slope) in activations.items():
            sums[layer].add(value, slope)
    loss = torch.cat(by_batch).double().cpu().numpy()
    if not np.isfinite(loss).all():
        raise AnalysisError(
            f"the loss of {int((~np.isfinite(loss)).sum())} of {len(loss)} images is not finite"
        )
    return Survey(
        filters=tuple((u.layer, (j,)) for u in units for j in range(u.channels)),
        means={layer: item.mean() for layer, item in sums.items()},
        taylor=np.concatenate([item.taylor() for item in sums.values()], 1),
        constant=np.concatenate([item.constant() for item in sums.values()]),
        loss=loss,
        p_true=np.exp(-loss),
        predicted=torch.cat(predicted).cpu().numpy(),
    )


def correlation_passes(network: TracedNetwork) -> list[list[str]]:
    """Layers whose channels `channel_correlations` correlates in one pass over the images."""
    return together({unit.layer: unit.channels**2 * DOUBLE for unit in network.units()})


def channel_correlations(
    network: TracedNetwork, inputs: Images, means: Mapping[str, Tensor]
) -> Iterator[tuple[str, Array]]:
    """Pearson correlation of the channels of each layer over images and positions, (C, C).

    The layers of a pass are held together, and one matrix is given at a time: those of a wide
    network do not fit into memory at once.

    Args:
        network: The model, cut open.
        inputs: (N, C, H, W).
        means: Mean of each channel, by layer, as the survey found it.
    """
    for layers in correlation_passes(network):
        squares: dict[str, Tensor] = {}
        for _, _, activations in network.features(inputs, layers):
            for layer, value in activations.items():
                flat = value.transpose(0, 1).flatten(1) - means[layer][:, None]
                square = (flat @ flat.T).double()
                squares[layer] = squares[layer] + square if layer in squares else square
        for layer in layers:
            covariance = squares.pop(layer).cpu().numpy()
            deviation = np.sqrt(np.diag(covariance))
            scale = np.where(deviation > 0, deviation, np.inf)
            yield layer, np.asarray(covariance / scale[:, None] / scale[None, :])


def losses(output: Tensor, target: Tensor, outputs: Outputs) -> Tensor:
    """Cross-entropy of each image, (B,), from the model's outputs (B, K) and true classes (B,)."""
    scores = output if outputs == "logits" else output.clamp_min(1e-30).log()
    return torch.nn.functional.cross_entropy(scores, target.to(scores.device), reduction="none")


class _Sums:
    # Running sums over batches for one layer; nothing of the size of the images is kept.
    def __init__(self) -> None:
        self.n = 0
        self.slopes: list[Tensor] = []
        self.products: list[Tensor] = []

    def add(self, value: Tensor, slope: Tensor) -> None:
        value, slope = value.flatten(2), slope.flatten(2)
        self.slopes.append(slope.sum(2))
        self.products.append((slope * value).sum(2))
        low, high = value.amin((0, 2)), value.amax((0, 2))
        flat = value.transpose(0, 1).flatten(1)
        if not self.n:
            # Sums are taken about the first batch's mean: no digits lost to a large offset.
            self.shift = flat.mean(1, keepdim=True)
            self.low, self.high = low, high
            self.total = torch.zeros_like(self.shift[:, 0], dtype=torch.float64)
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        self.total += (flat - self.shift).sum(1)
        self.n += flat.shape[1]

    def mean(self) -> Tensor:
        return (self.shift[:, 0] + self.total / self.n).to(self.shift.dtype)

    def taylor(self) -> Array:
        moved = self.mean() * torch.cat(self.slopes) - torch.cat(self.products)
        return moved.double().cpu().numpy()

    def constant(self) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = (self.low == self.high).cpu().numpy()
        return result

"""Ablation: what silencing filters does to each image, and what follows for images like them.

Silencing holds a filter at its mean over the images, everywhere. Its *effect* on an image is the
loss added, the probability of the true class lost, and whether the predicted class changes.

Effects are kept per image, so they add up: measured in parts, on other machines or later, and put
together with `merged`, they give the same numbers as measured at once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from governance.errors import AnalysisError
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import TracedNetwork

__all__ = [
    "Effects",
    "Estimate",
    "Filters",
    "Survey",
    "correlated",
    "drawn",
    "estimated",
    "likely",
    "measure",
    "merged",
    "survey",
]

Filters = tuple[str, tuple[int, ...]]  # a layer, and the channels of it that are silenced together
Array = NDArray[np.float64]
Outputs = Literal["logits", "probabilities"]

FLOOR = 0.02  # of the mean size, added to each: a tenth found two of a hundred filters less
MIXED = 3  # images needed for a line and what is left over


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What one forward and one backward pass over all images say about every filter.

    Attributes:
        filters: Every filter of the network by itself, F of them.
        means: By layer, mean of each channel over images and positions, (channels,).
        taylor: First-order estimate of the loss added by silencing, (N, F). A screen and a control
            variate; never a measurement.
        constant: Whether a filter gave one and the same value everywhere, (F,): dead.
        correlations: By layer, Pearson correlation of channels over images and positions.
        loss: Cross-entropy of each image, (N,).
        p_true: Probability of the true class, (N,).
        predicted: Class of largest output, (N,).
    """

    filters: tuple[Filters, ...]
    means: Mapping[str, Tensor]
    taylor: Array
    constant: NDArray[np.bool_]
    correlations: Mapping[str, Array]
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """What silencing sets of filters did to images.

    Attributes:
        filters: The sets, S of them.
        images: Which images, ascending, (n,).
        dloss: Loss added, (n, S).
        dp_true: Probability of the true class lost, (n, S).
        flip: Whether the predicted class changed, (n, S).
    """

    filters: tuple[Filters, ...]
    images: NDArray[np.int64]
    dloss: Array
    dp_true: Array
    flip: NDArray[np.bool_]

    def of(self, sets: NDArray[np.int64]) -> "Effects":
        """The same for some of the sets, by their place."""
        return Effects(
            filters=tuple(self.filters[i] for i in sets),
            images=self.images,
            dloss=self.dloss[:, sets],
            dp_true=self.dp_true[:, sets],
            flip=self.flip[:, sets],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """Mean effects of S sets of filters with what is needed for intervals.

    Attributes:
        mean: Estimates, (S,).
        error: Standard errors, (S,).
        freedom: Degrees of freedom of Student's t.
        slope: Weight of the control variate, (S,); 0 for a plain mean.
    """

    mean: Array
    error: Array
    freedom: int
    slope: Array

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Lower and upper ends, (S,) each."""
        half = stats.t.ppf(0.5 + level / 2, self.freedom) * self.error
        return self.mean - half, self.mean + half

    def p_values(self) -> Array:
        """Two-sided p of no effect, (S,); 1 where every image shows exactly none."""
        nothing = (self.mean == 0) & (self.error == 0)
        ratio = np.abs(self.mean) / np.where(self.error > 0, self.error, 1e-300)
        return np.where(nothing, 1.0, 2 * stats.t.sf(ratio, self.freedom))


def survey(
    network: TracedNetwork, inputs: Images, labels: ArrayLike, outputs: Outputs = "logits"
) -> Survey:
    """Look at every filter once, in one forward and one backward pass over all images.

    Args:
        network: The model, cut open.
        inputs: (N, C, H, W).
        labels: (N,).
        outputs: What the model returns.
    """
    inputs = image_tensor(inputs)
    target = torch.from_numpy(image_labels(labels, len(inputs)))
    units = network.units()
    sums: dict[str, _Sums] = {unit.layer: _Sums() for unit in units}
    losses: list[Tensor] = []
    predicted: list[Tensor] = []

    def objective(output: Tensor, part: slice) -> Tensor:
        return _losses(output, target[part], outputs).sum()

    for part, output, found in network.gradients(inputs, [u.layer for u in units], objective):
        losses.append(_losses(output, target[part], outputs))
        predicted.append(output.argmax(1))
        for layer, (value, slope) in found.items():
            sums[layer].add(value, slope)
    loss = torch.cat(losses).double().cpu().numpy()
    if not np.isfinite(loss).all():
        raise AnalysisError(
            f"the loss of {int((~np.isfinite(loss)).sum())} of {len(loss)} images is not finite"
        )
    return Survey(
        filters=tuple((u.layer, (j,)) for u in units for j in range(u.channels)),
        means={layer: item.mean() for layer, item in sums.items()},
        taylor=np.concatenate([item.taylor() for item in sums.values()], 1),
        constant=np.concatenate([item.constant() for item in sums.values()]),
        correlations={layer: item.correlation() for layer, item in sums.items()},
        loss=loss,
        p_true=np.exp(-loss),
        predicted=torch.cat(predicted).cpu().numpy(),
    )


def measure(
    network: TracedNetwork,
    inputs: Images,
    labels: ArrayLike,
    seen: Survey,
    filters: Sequence[Filters],
    images: NDArray[np.int64],
    outputs: Outputs = "logits",
) -> Effects:
    """Silence each set of filters on each image, exactly.

    Args:
        network: The model, cut open.
        inputs: All images, (N, C, H, W).
        labels: Of all images, (N,).
        seen: The survey of all images; gives the means and the undisturbed predictions.
        filters: What is silenced.
        images: Indices of the images to do it on, ascending.
        outputs: What the model returns.
    """
    by_layer: dict[str, list[int]] = defaultdict(list)
    for number, (layer, _) in enumerate(filters):
        by_layer[layer].append(number)
    sets = {layer: [filters[i][1] for i in numbers] for layer, numbers in by_layer.items()}
    inputs = image_tensor(inputs)
    chosen = torch.from_numpy(images)
    some = inputs[chosen.to(inputs.device)]
    target = torch.from_numpy(image_labels(labels, len(inputs)))[chosen]
    loss = np.zeros((len(images), len(filters)))
    predicted = np.zeros((len(images), len(filters)), dtype=np.int64)
    for layer, number, part, output in network.ablate(some, sets, seen.means):
        column = by_layer[layer][number]
        loss[part, column] = _losses(output, target[part], outputs).double().cpu().numpy()
        predicted[part, column] = output.argmax(1).cpu().numpy()
    return Effects(
        filters=tuple(filters),
        images=images,
        dloss=loss - seen.loss[images, None],
        dp_true=seen.p_true[images, None] - np.exp(-loss),
        flip=predicted != seen.predicted[images, None],
    )


def merged(parts: Sequence[Effects]) -> Effects:
    """Effects of the same sets of filters on other images, put together.

    Raises:
        AnalysisError: If the sets differ or an image was measured twice.
    """
    if len({part.filters for part in parts}) != 1:
        raise AnalysisError("effects of the same sets of filters can be merged; these differ")
    images = np.concatenate([part.images for part in parts])
    if len(np.unique(images)) != len(images):
        raise AnalysisError("effects on different images can be merged; an image occurs twice")
    order = np.argsort(images)
    return Effects(
        filters=parts[0].filters,
        images=images[order],
        dloss=np.concatenate([part.dloss for part in parts])[order],
        dp_true=np.concatenate([part.dp_true for part in parts])[order],
        flip=np.concatenate([part.flip for part in parts])[order],
    )


def likely(size: Array, n: int) -> Array:
    """Chances of images to be drawn, n of them on average, in proportion to their size.

    A share of the mean is added to every size, so that no image is as good as impossible and none
    of the weights that follow (one over the chance) is extreme.

    Args:
        size: (N,) how much an image is expected to say, at least 0.
        n: Images wanted, at most N.

    Returns:
        (N,) chances that sum to n; 1 for images that are certain.

    Source:
        Sampling proportional to size: Saerndal, Swensson, Wretman 1992.
    """
    scaled = size / size.max() if size.any() else np.ones(len(size))
    floor = scaled + FLOOR * scaled.mean()
    chance = np.minimum(1.0, n * floor / floor.sum())
    while (left := n - chance.sum()) > 1e-9 * n:
        unsure = chance < 1.0
        room = chance[unsure].sum()
        chance[unsure] = np.minimum(1.0, chance[unsure] * (1 + left / room))
    return np.asarray(chance)


def drawn(chance: Array, ticket: Array) -> NDArray[np.int64]:
    """Images drawn with given chances, ascending; with the same tickets more chance adds images.

    Args:
        chance: (N,), summing to the whole number of images wanted.
        ticket: (N,) uniform in (0, 1), one for each image.

    Source:
        Sequential Poisson sampling: Ohlsson 1998.
    """
    order = np.argsort(np.where(chance >= 1 - 1e-9, -1.0, ticket / chance), kind="stable")
    return np.asarray(np.sort(order[: round(float(chance.sum()))]), dtype=np.int64)


def estimated(
    exact: Array,
    near: Array,
    everywhere: Array,
    *,
    slope: Array | None = None,
    chance: Array | None = None,
) -> Estimate:
    """Mean of a quantity measured on few images, helped by a covariate known on many.

    The regression estimator (control variate): mean(exact) + slope * (mean(everywhere) -
    mean(near)). Whatever the covariate is worth, the estimate stays right; the better it predicts,
    the narrower the interval. Standard errors are HC3, plus that of the covariate's own mean, so
    that intervals speak of images like these and not of these images only.

    Args:
        exact: (n, S), measured.
        near: (n, S), the covariate on the same images.
        everywhere: (N, S), the covariate on all images, those n among them.
        slope: (S,) to use in place of the least-squares one, for subgroups too small for their own.
        chance: (n,) with which each measured image was drawn; None where all were as likely. Each
            image then counts for as many as its chance says, in slope, mean and error.

    Source:
        Cochran 1977 (regression estimators); MacKinnon, White 1985 (HC3); Saerndal, Swensson,
        Wretman 1992, for unequal chances.
    """
    n, total = len(exact), len(everywhere)
    if chance is not None and n < total and n >= MIXED:
        return _weighted(exact, near, everywhere, 1 / chance[:, None], slope)
    if n == total or (slope is None and n < MIXED):
        return _plain(exact)
    gap = everywhere.mean(0) - near.mean(0)
    away = near - near.mean(0)
    spread = (away**2).sum(0)
    usable = spread > 0
    safe = np.where(usable, spread, 1.0)
    own = slope is None
    weight = np.where(usable, (away * exact).sum(0) / safe, 0.0) if slope is None else slope
    left = exact - exact.mean(0) - weight * away
    if own:
        leverage = np.minimum(1 / n + away**2 / safe, 1 - 1e-9)
        share = 1 / n + away * gap / safe
        variance = (share**2 * left**2 / (1 - leverage) ** 2).sum(0)
    else:
        variance = left.var(0, ddof=1) / n
    variance = variance + weight**2 * everywhere.var(0, ddof=1) / total
    return Estimate(
        mean=exact.mean(0) + weight * gap,
        error=np.sqrt(variance),
        freedom=n - 2 if own else n - 1,
        slope=weight,
    )


def _weighted(
    exact: Array, near: Array, everywhere: Array, weight: Array, slope: Array | None
) -> Estimate:
    # An image of weight 1 was certain: what it shows adds no error of sampling.
    n, total, size = len(exact), len(everywhere), weight.sum()
    centre, middle = (weight * exact).sum(0) / size, (weight * near).sum(0) / size
    away = near - middle
    spread = (weight * away**2).sum(0)
    usable = spread > 0
    safe = np.where(usable, spread, 1.0)
    gap = everywhere.mean(0) - middle
    own = slope is None
    fitted = (weight * away * exact).sum(0) / safe
    tilt = np.where(usable, fitted, 0.0) if slope is None else slope
    left = exact - centre - tilt * away
    share = weight / size + (weight * away * gap / safe if own else 0.0)
    leverage = np.minimum(weight / size + (weight * away**2 / safe if own else 0.0), 0.9)
    sampling = ((1 - 1 / weight) * (share * left / (1 - leverage)) ** 2).sum(0)
    varied = (weight * (exact - centre) ** 2).sum(0) / size
    return Estimate(
        mean=centre + tilt * gap,
        error=np.sqrt(sampling + varied / total),
        freedom=n - 2 if own else n - 1,
        slope=tilt,
    )


def correlated(correlations: Mapping[str, Array], limit: float) -> list[Filters]:
    """Groups of two and more filters of a layer, linked by |correlation| above `limit`.

    A chain of links makes one group, so that two members need not be that close themselves.
    """
    groups: list[Filters] = []
    for layer, matrix in correlations.items():
        count, member = connected_components(csr_array(np.abs(matrix) > limit), directed=False)
        sizes = np.bincount(member, minlength=count)
        groups += [
            (layer, tuple(int(j) for j in np.flatnonzero(member == label)))
            for label in np.flatnonzero(sizes > 1)
        ]
    return groups


def _plain(exact: Array) -> Estimate:
    n = len(exact)
    error = exact.std(0, ddof=1) / np.sqrt(n) if n > 1 else np.full(exact.shape[1], np.inf)
    return Estimate(
        mean=exact.mean(0), error=error, freedom=max(1, n - 1), slope=np.zeros(exact.shape[1])
    )


def _losses(output: Tensor, target: Tensor, outputs: Outputs) -> Tensor:
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
            self.square = torch.zeros(len(flat), len(flat), dtype=torch.float64, device=flat.device)
        flat = flat - self.shift
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        self.total += flat.sum(1)
        self.square += flat @ flat.T
        self.n += flat.shape[1]

    def mean(self) -> Tensor:
        return (self.shift[:, 0] + self.total / self.n).to(self.shift.dtype)

    def taylor(self) -> Array:
        moved = self.mean() * torch.cat(self.slopes) - torch.cat(self.products)
        return moved.double().cpu().numpy()

    def constant(self) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = (self.low == self.high).cpu().numpy()
        return result

    def correlation(self) -> Array:
        mean = self.total / self.n
        covariance = (self.square / self.n - mean[:, None] * mean[None, :]).cpu().numpy()
        deviation = np.sqrt(np.clip(np.diag(covariance), 0, None))
        scale = np.where(deviation > 0, deviation, np.inf)
        return np.asarray(covariance / scale[:, None] / scale[None, :])

"""Correlation: which features of a network move together, within a layer and across layers.

Three views of the same activations, in one pass over the images and with nothing of their number
kept in memory: the correlation of the channels of a layer (redundancy), the best one-to-one match
of the channels of neighbouring depths, and the similarity of whole layers as geometries of images
(linear CKA, with an estimator that many features and few images do not inflate). Each stands beside
its control: the same with the images of one side exchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot

from governance.errors import AnalysisError
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import TracedNetwork, together
from governance.methods.statistics.intervals import LEVEL
from governance.records.evidence import Interval

__all__ = ["LABELS", "LEAST", "Channels", "Correlations", "Match", "Pairs", "correlate", "fisher"]

LABELS = "labels"  # the classes, as a layer that every depth can be compared with
LEAST = 8  # images below which nothing is estimated
CLOSEST = 48  # channels of a layer whose correlations with one another are kept
DOUBLE = 8  # bytes
GRAM = 4  # images of a batch that an unbiased estimate of HSIC needs
MAPS = 4  # dimensions of a batch of feature maps

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Channels of one layer that move together, two by two.

    Attributes:
        places: (P, 2) the channels, the lower number first.
        correlations: (P,) Pearson over images and positions.
        exchanged: (P,) the same with the second channel on another image: the control.
    """

    places: NDArray[np.int64]
    correlations: Array
    exchanged: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channels:
    """How the channels of one layer move together.

    The correlations of all channels with all others are not kept: in a wide network they are
    gigabytes.

    Attributes:
        partners: (C,) largest absolute correlation of each channel with another one, over images
            and positions; 0 for a channel that never moves.
        exchanged: (C,) the same with those on another image: the control.
        live: (C,) whether a channel moves at all.
        dimensions: Number of uncorrelated channels that would vary as much (participation ratio).
        closest: (Q,) at most 48 moving channels, those with the closest partners first.
        block: (Q, Q) correlations of these.
        pairs: Pairs whose correlation is beyond the size that was asked for.
        images: Number of images.
    """

    partners: Array
    exchanged: Array
    live: NDArray[np.bool_]
    dimensions: float
    closest: NDArray[np.int64]
    block: Array
    pairs: Pairs
    images: int

    def redundant(self, limit: float, *, control: bool = False) -> float:
        """Share of the channels that another one follows beyond `limit`."""
        return float(((self.exchanged if control else self.partners) > limit).mean())

    def redundant_ends(self, limit: float) -> tuple[float, float]:
        """That share if every correlation lay at the lower, or the upper, end of its interval."""
        low, high = fisher(self.partners, self.images)
        return float((low > limit).mean()), float((high > limit).mean())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Match:
    """The best one-to-one match of the channels of two layers.

    Attributes:
        pairs: (P, 2) channel of the first and of the second layer, P the smaller number of both.
        correlations: (P,) Pearson of each pair, at the smaller of both resolutions.
        exchanged: Mean absolute correlation of the best match when images are exchanged.
        images: Number of images.
    """

    pairs: NDArray[np.int64]
    correlations: Array
    exchanged: float
    images: int

    @property
    def mean(self) -> float:
        """Mean absolute correlation of the matched channels."""
        return float(np.abs(self.correlations).mean())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correlations:
    """All correlations of a network on the same images.

    Attributes:
        images: Number of images.
        channels: Correlations of the channels of each layer.
        matches: Best match of the channels of each pair of neighbouring depths.
        depths: Names of the depths compared as wholes; `LABELS` last where labels were given.
        products: (batches, D, D) unbiased HSIC of every two depths.
        exchanged: (D, D) debiased CKA with the images of one side exchanged: the control.
    """

    images: int
    channels: Mapping[str, Channels]
    matches: Mapping[tuple[str, str], Match]
    depths: tuple[str, ...]
    products: Array
    exchanged: Array

    def cka(self) -> Array:
        """(D, D) debiased linear CKA; NaN where a depth does not vary."""
        return _normalised(self.products.sum(0))

    def cka_interval(self, one: str, other: str, level: float = LEVEL) -> Interval | None:
        """Interval of one entry by the jackknife over batches; None where it is not known."""
        i, j = self.depths.index(one), self.depths.index(other)
        count = len(self.products)
        value = float(self.cka()[i, j])
        if count < 2 or not np.isfinite(value):  # noqa: PLR2004 - one batch leaves nothing out
            return None
        total = self.products.sum(0)
        left = np.array([_normalised(total - part)[i, j] for part in self.products])
        if not np.isfinite(left).all():
            return None
        error = float(np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum()))
        half = float(stats.t.ppf(0.5 + level / 2, count - 1)) * error
        return Interval(
            low=max(-1.0, value - half), high=max(value, min(1.0, value + half)), n=self.images,
            level=level, method=f"jackknife over {count} batches",
        )  # fmt: skip


def correlate(
    network: TracedNetwork,
    inputs: Images,
    *,
    layers: Sequence[str],
    depths: Sequence[str],
    labels: ArrayLike | None = None,
    keep: float = 1.0,
    seed: int = 0,
) -> Correlations:
    """Measure what moves together.

    This takes one pass over the images, or more where the layers are so wide or their maps so large
    that they do not fit into memory at once.

    Args:
        network: The model, cut open by `network.trace`; its batch size is that of the CKA estimate.
        inputs: (N, C, H, W) as the model takes them.
        layers: Layers whose channels are correlated.
        depths: In order; neighbours are matched, all are compared by CKA.
        labels: (N,) classes, to be compared with every depth.
        keep: Size of a correlation beyond which a pair of channels is kept.
        seed: Seed of the order of the images, which decides the batches.

    Raises:
        AnalysisError: If there are too few images, a layer gives no maps, or a number is not
            finite.

    Source:
        Song et al. 2012 (unbiased HSIC); Nguyen, Raghu, Kornblith 2021 (sums over
        batches).
    """
    inputs = image_tensor(inputs)
    if len(inputs) < LEAST:
        raise AnalysisError(f"{len(inputs)} images were given; at least {LEAST} are accepted")
    order = np.random.default_rng(seed).permutation(len(inputs))
    mixed = inputs[torch.from_numpy(order).to(inputs.device)]
    known = None if labels is None else image_labels(labels, len(inputs))[order]
    truth = None if known is None else torch.from_numpy(known)
    first, *others = _parts(network, layers)
    inner = {layer: (_Products(), _Products()) for layer in first}
    outer = {pair: (_Products(), _Products()) for pair in pairwise(depths)}
    products, exchanged = [], []
    for part, _, found in network.features(mixed, list(dict.fromkeys((*first, *depths)))):
        _add(inner, found)
        for (one, two), (same, other) in outer.items():
            # Tokens without a place have none to be matched at.
            x, y = (network.layout(depth).on_image(found[depth]) for depth in (one, two))
            same.add(x, y)
            other.add(x, y.roll(1, 0))
        if part.stop - part.start >= GRAM:
            flat = [found[depth].flatten(1).double() for depth in depths]
            if truth is not None:
                flat.append(one_hot(truth[part], network.classes).double().to(flat[0].device))
            centred = torch.stack([_centred(x @ x.T) for x in flat])
            turned = centred.roll((1, 1), (1, 2)).flatten(1)
            centred = centred.flatten(1)
            products.append((centred @ centred.T).cpu().numpy())
            exchanged.append((centred @ turned.T).cpu().numpy())
    if not products:
        raise AnalysisError(
            f"no batch held {GRAM} images, which an unbiased similarity of layers needs; smaller "
            "images or fewer layers at once are accepted"
        )
    total = np.sum(products, axis=0)
    channels = _channels(inner, len(inputs), keep)
    for part_of_layers in others:
        inner = {layer: (_Products(), _Products()) for layer in part_of_layers}
        for _, _, found in network.features(mixed, part_of_layers):
            _add(inner, found)
        channels |= _channels(inner, len(inputs), keep)
    return Correlations(
        images=len(inputs),
        channels=channels,
        matches={pair: _match(same, other, len(inputs)) for pair, (same, other) in outer.items()},
        depths=(*depths, *((LABELS,) if labels is not None else ())),
        products=np.stack(products),
        exchanged=np.sum(exchanged, axis=0) / _scale(total),
    )  # fmt: skip


def _parts(network: TracedNetwork, layers: Sequence[str]) -> list[list[str]]:
    # Products of channels on the same and on another image, and what is made of them; maps of so
    # many images that half of the memory is left to the depths.
    sizes = {
        layer: 4 * channels**2 * DOUBLE + 2 * GRAM * size
        for layer in layers
        for channels, size in [network.size(layer)]
    }
    return together(sizes) or [[]]


def _add(inner: Mapping[str, tuple["_Products", "_Products"]], found: Mapping[str, Tensor]) -> None:
    _check(found)
    for layer, (same, other) in inner.items():
        same.add(found[layer], found[layer])
        other.add(found[layer], found[layer].roll(1, 0))


def _channels(
    inner: Mapping[str, tuple["_Products", "_Products"]], images: int, keep: float
) -> dict[str, Channels]:
    return {layer: _summed(*products, images, keep) for layer, products in inner.items()}


def _summed(same: "_Products", other: "_Products", images: int, keep: float) -> Channels:
    correlations, exchanged, live = same.correlation(), other.correlation(), same.live()
    partners, control = _partners(correlations), _partners(exchanged)
    moving = np.flatnonzero(live)
    closest = moving[np.argsort(-partners[moving], kind="stable")[:CLOSEST]]
    square = float((correlations[np.ix_(live, live)] ** 2).sum())
    places = np.argwhere(np.triu(np.abs(correlations), 1) > keep)
    return Channels(
        partners=partners, exchanged=control, live=live, images=images,
        dimensions=float(live.sum()) ** 2 / square if square > 0 else 0.0,
        closest=closest, block=correlations[np.ix_(closest, closest)],
        pairs=Pairs(
            places=places, correlations=correlations[tuple(places.T)],
            exchanged=exchanged[tuple(places.T)],
        ),
    )  # fmt: skip


def _partners(correlations: Array) -> Array:
    strength = np.abs(correlations)
    np.fill_diagonal(strength, 0.0)
    return np.asarray(strength.max(1, initial=0.0))


def fisher(correlation: ArrayLike, n: int, level: float = LEVEL) -> tuple[Array, Array]:
    """Interval of correlations by Fisher's z, images taken as the independent observations.

    Positions of an image are not independent of one another; to count images alone is cautious.
    """
    half = float(stats.norm.ppf(0.5 + level / 2)) / np.sqrt(max(1, n - 3))
    z = np.arctanh(np.clip(np.asarray(correlation, dtype=np.float64), -1 + 1e-12, 1 - 1e-12))
    return np.tanh(z - half), np.tanh(z + half)


class _Products:
    # Running sums of two sets of channels over images and positions, at the smaller resolution.
    def __init__(self) -> None:
        self.n = 0

    def add(self, one: Tensor, other: Tensor) -> None:
        size = (min(one.shape[2], other.shape[2]), min(one.shape[3], other.shape[3]))
        x, y = (
            (value if value.shape[2:] == size else adaptive_avg_pool2d(value, size))
            .transpose(0, 1)
            .flatten(1)
            for value in (one, other)
        )
        if not self.n:
            # Sums are taken about the first batch's mean: no digits lost to a large offset.
            self.shift = x.mean(1, keepdim=True), y.mean(1, keepdim=True)
            one, other = (torch.zeros(len(value)).to(x.device).double() for value in (x, y))
            self.sums, self.squares = (one, other), (one.clone(), other.clone())
            self.cross = torch.outer(one, other)
        x, y = x - self.shift[0], y - self.shift[1]
        for value, sums, squares in zip((x, y), self.sums, self.squares, strict=True):
            sums.add_(value.sum(1))
            squares.add_((value * value).sum(1))
        self.cross += x @ y.T
        self.n += x.shape[1]

    def live(self) -> NDArray[np.bool_]:
        deviation, _ = self._deviations()
        result: NDArray[np.bool_] = (deviation > 0).cpu().numpy()
        return result

    def correlation(self) -> Array:
        covariance = self.cross / self.n - torch.outer(*self.sums) / self.n**2
        one, other = (torch.where(d > 0, d, torch.inf) for d in self._deviations())
        return np.asarray((covariance / one[:, None] / other[None, :]).clamp(-1, 1).cpu().numpy())

    def _deviations(self) -> tuple[Tensor, Tensor]:
        one, other = (
            # What is left of a constant after rounding is no variance.
            torch.where(
                (variance := square / self.n - (total / self.n) ** 2)
                > 1e-12 * (shift[:, 0].double() ** 2 + square / self.n),
                variance, 0.0,
            ).sqrt()
            for total, square, shift in zip(self.sums, self.squares, self.shift, strict=True)
        )  # fmt: skip
        return one, other


def _match(same: _Products, other: _Products, images: int) -> Match:
    correlation = same.correlation()
    rows, columns = linear_sum_assignment(-np.abs(correlation))
    control = np.abs(other.correlation())
    best = control[linear_sum_assignment(-control)]
    return Match(
        pairs=np.stack([rows, columns], 1),
        correlations=correlation[rows, columns],
        exchanged=float(best.mean()),
        images=images,
    )


def _centred(gram: Tensor) -> Tensor:
    """U-centred Gram matrix: its inner products are unbiased estimates of HSIC, up to scale."""
    n = len(gram)
    gram = gram - torch.diag(torch.diag(gram))
    sums = gram.sum(0) / (n - 2)
    centred = gram - sums[:, None] - sums[None, :] + gram.sum() / ((n - 1) * (n - 2))
    centred = centred - torch.diag(torch.diag(centred))
    return centred / float(np.sqrt(n * (n - 3)))


def _scale(products: Array) -> Array:
    own = np.diag(products)
    scale = np.sqrt(np.where(own > 0, own, np.nan))
    return np.asarray(scale[:, None] * scale[None, :])


def _normalised(products: Array) -> Array:
    """CKA; rounding alone could take that of two depths of the same geometry beyond 1."""
    return np.clip(products / _scale(products), -1.0, 1.0)


def _check(found: Mapping[str, Tensor]) -> None:
    for layer, value in found.items():
        if value.ndim != MAPS:
            raise AnalysisError(
                f"layer {layer!r} gives shape {tuple(value.shape)}; a layer that gives feature "
                "maps (B, C, H, W) is accepted"
            )
        if not torch.isfinite(value).all():
            raise AnalysisError(f"features of {layer} are NaN or infinite; finite ones are needed")

"""Baselines: plain ways to say which images belong together, held against rules.

Each gives every image a score for a class; taking images from the top until as many of the class
are covered as a rule covers makes the two comparable. Choices that a baseline leaves open (penalty,
number of clusters) are made in its favour, by what does best on the very images compared on.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.methods.statistics.proportions import ClassShare

__all__ = ["BASELINES", "ball", "best", "coordinates", "k_means", "linear", "matched"]

BASELINES = ("linear", "k-means", "ball")
PENALTIES = (1e-4, 1e-3, 1e-2)
CLUSTERS = (2, 8)  # a class
ROUNDS = 30
ROUNDING = 1e-6  # share of the largest variance below which a direction is rounding

Scores = NDArray[np.float64]


def coordinates(reference: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Reference and other features in the span of the reference, its largest variance being one.

    Nothing a linear map fitted on the reference could use is lost.

    Args:
        reference: (N, D).
        other: (M, D).

    Returns:
        (N, R) and (M, R) in double precision, on the CPU.
    """
    centre = reference.mean(0)
    centred = reference - centre
    gram = (centred @ centred.T).double().cpu()
    power, basis = torch.linalg.eigh(gram)
    kept = power > ROUNDING * power[-1].clamp_min(torch.finfo(power.dtype).tiny)
    length = power[kept].sqrt()
    unit = length.max() / len(reference) ** 0.5 if kept.any() else 1.0
    across = ((other - centre) @ centred.T).double().cpu()
    return basis[:, kept] * length / unit, across @ (basis[:, kept] / length) / unit


def linear(one: Tensor, named: NDArray[np.int64], two: Tensor, classes: int) -> list[Scores]:
    """Log-probabilities (M, K) of a linear surrogate for the model's answers, by penalty.

    Args:
        one: (N, R) features to fit on.
        named: (N,) what the model answers there.
        two: (M, R) features to answer.
        classes: K.
    """
    target = torch.as_tensor(named)
    found = []
    for penalty in PENALTIES:
        weight = torch.zeros(one.shape[1], classes, dtype=one.dtype, requires_grad=True)
        bias = torch.zeros(classes, dtype=one.dtype, requires_grad=True)
        _fit(one, target, weight, bias, penalty)
        found.append((two @ weight + bias).detach().log_softmax(1).numpy())
    return found


def _fit(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, penalty: float) -> None:
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(x @ weight + bias, y)
        value = value + penalty / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]


def k_means(
    one: Tensor, named: NDArray[np.int64], two: Tensor, classes: int, seed: int
) -> list[Scores]:
    """Scores (M, K) by cluster: the share of a class in it, then closeness to its centre.

    Returns:
        One matrix for each number of clusters, 2 and 8 times the number of classes.

    Source:
        Lloyd 1982.
    """
    x, z = one.numpy(), two.numpy()
    found = []
    for factor in CLUSTERS:
        count = min(factor * len(np.unique(named)), len(x))
        centres = x[np.random.default_rng([seed, factor]).choice(len(x), count, replace=False)]
        for _ in range(ROUNDS):
            nearest = _distances(x, centres).argmin(1)
            for index in np.unique(nearest):
                centres[index] = x[nearest == index].mean(0)
        nearest = _distances(x, centres).argmin(1)
        share = np.zeros((count, classes))
        np.add.at(share, (nearest, named), 1.0)
        share /= np.maximum(share.sum(1, keepdims=True), 1)
        far = _distances(z, centres)
        closeness = -far.min(1) / (far.max() + 1) / len(x)  # below any difference of shares
        found.append(share[far.argmin(1)] + closeness[:, None])
    return found


def _distances(x: Scores, centres: Scores) -> Scores:
    squares = (x**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * x @ centres.T
    return np.asarray(np.maximum(squares, 0))


def ball(features: Tensor, seeds: Tensor) -> Scores:
    """Score (M,) of images by the Euclidean distance to the nearest of some seeds.

    Args:
        features: (M, D).
        seeds: (S, D).
    """
    return -torch.cdist(features, seeds).amin(1).double().cpu().numpy()


def matched(score: Scores, own: NDArray[np.bool_], covered: int) -> ClassShare | None:
    """Images of the class among those from the top of a score down to its `covered`-th.

    Args:
        score: (M,) higher is more like the class.
        own: (M,) whether an image is of the class.
        covered: How many of them a rule covers.

    Returns:
        None where the rule covers none: there is nothing to match.
    """
    if covered == 0:
        return None
    least = np.sort(score[own])[-covered]
    taken = score >= least
    return ClassShare(hits=int((taken & own).sum()), n=int(taken.sum()))


def best(
    scores: Sequence[Scores], owns: Mapping[int, NDArray[np.bool_]], covered: Mapping[int, int]
) -> Scores:
    """Of several scores (M, K) the one with the highest precision over all classes together."""

    def precision(score: Scores) -> float:
        found = [matched(score[:, c], owns[c], covered[c]) for c in owns]
        known = [item for item in found if item]
        return sum(item.hits for item in known) / max(1, sum(item.n for item in known))

    return max(scores, key=precision)

"""Readout: what a linear map reads from features, each image by a map that never saw it.

Ridge regression in closed form: one eigendecomposition serves every penalty, every fold and any
number of targets, and the answers for a fold left out follow exactly from the fit with all images.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from governance.errors import AnalysisError

__all__ = ["PENALTIES", "folds", "permuted", "ridge"]

# Multiples of the mean eigenvalue of the features' Gram matrix.
PENALTIES: tuple[float, ...] = tuple(10.0**power for power in range(-6, 3))
# Eigenvalues below this share of the largest are rounding.
ROUNDING = 1e-10


def folds(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Fold of each image, every class spread evenly over the folds.

    Args:
        labels: (N,) class of each image.
        count: Number of folds.
        seed: Seed of the order within a class.

    Raises:
        AnalysisError: If there are fewer than two folds or fewer images than folds.
    """
    if not 2 <= count <= len(labels):  # noqa: PLR2004 - one fold leaves nothing to fit on
        raise AnalysisError(
            f"{count} folds for {len(labels)} images; at least 2 folds and an image in each "
            "are accepted"
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    dealt = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    # Dealing on from class to class keeps the folds of equal size too.
    fold[dealt] = np.arange(len(labels)) % count
    return fold


def permuted(labels: NDArray[np.int64], fold: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Labels exchanged among the images of a fold: a control in which nothing can be read.

    Class shares of every fold stay as they are; exchanging over all images would make a class rarer
    in the fit where it is commoner in the fold left out, and the control worse than chance.
    """
    rng = np.random.default_rng(seed)
    mixed = labels.copy()
    for index in np.unique(fold):
        members = np.flatnonzero(fold == index)
        mixed[members] = labels[rng.permutation(members)]
    return mixed


def ridge(
    features: NDArray[np.floating],
    targets: Sequence[NDArray[np.floating]],
    fold: NDArray[np.int64],
    *,
    penalties: Sequence[float] = PENALTIES,
) -> tuple[NDArray[np.float64], ...]:
    """Cross-fitted ridge predictions of several targets from the same features.

    With the smoother H (intercept unpenalised) the residuals of a fold B left out are
    (I - H_BB)^-1 (Y_B - H_B Y): what a refit without B would leave, without the refit. Columns are
    scaled to unit variance over all images. The penalty of a fold is the one with the
    smallest squared error over the *other* folds, so that no image chooses its own.

    Args:
        features: (N, D); constant columns are ignored.
        targets: (N, M) each; every one gets penalties of its own.
        fold: (N,) fold of each image.
        penalties: To choose from, as multiples of the mean eigenvalue.

    Returns:
        Predictions in the shape of each target.

    Source:
        Hastie, Tibshirani, Friedman 2009; An, Liu, Venkatesh 2007 for the residuals of a left-out
        block.
    """
    basis, spectrum = _spectrum(np.asarray(features, dtype=np.float64))
    n, members = len(basis), [np.flatnonzero(fold == index) for index in np.unique(fold)]
    stacked = np.concatenate([np.asarray(target, dtype=np.float64) for target in targets], axis=1)
    blocks = np.split(np.arange(stacked.shape[1]), np.cumsum([t.shape[1] for t in targets])[:-1])
    centre = stacked.mean(0)
    coordinates = basis.T @ stacked
    answers = np.empty((len(penalties), *stacked.shape))
    for index, penalty in enumerate(penalties):
        gain = spectrum / (spectrum + penalty * spectrum.mean()) if spectrum.size else spectrum
        for part in members:
            rows = basis[part]
            smoother = (rows * gain) @ rows.T + 1 / n
            residual = stacked[part] - centre - (rows * gain) @ coordinates
            left = np.linalg.solve(np.eye(len(part)) - smoother, residual)
            answers[index, part] = stacked[part] - left
    return tuple(_chosen(answers[:, :, block], stacked[:, block], members) for block in blocks)


def _spectrum(
    features: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left singular vectors (N, R), squared singular values (R,) of standardised features."""
    spread = features.std(0)
    kept = spread > ROUNDING * max(1.0, float(np.abs(features).max(initial=0.0)))
    x = (features[:, kept] - features[:, kept].mean(0)) / spread[kept]
    if x.shape[1] == 0:
        return np.zeros((len(x), 0)), np.zeros(0)
    if x.shape[1] <= len(x):
        spectrum, right = np.linalg.eigh(x.T @ x)
        real = spectrum > ROUNDING * spectrum[-1]
        return x @ right[:, real] / np.sqrt(spectrum[real]), spectrum[real]
    spectrum, basis = np.linalg.eigh(x @ x.T)
    real = spectrum > ROUNDING * spectrum[-1]
    return basis[:, real], spectrum[real]


def _chosen(
    answers: NDArray[np.float64], target: NDArray[np.float64], members: list[NDArray[np.intp]]
) -> NDArray[np.float64]:
    """Of (penalties, N, M) answers, each fold's under the penalty that is best on the others."""
    losses = np.stack(
        [((answers[:, part] - target[part]) ** 2).sum(axis=(1, 2)) for part in members], axis=1
    )
    picked = np.empty_like(target)
    for index, part in enumerate(members):
        best = int(np.argmin(np.delete(losses, index, axis=1).sum(1)))
        picked[part] = answers[best, part]
    return picked

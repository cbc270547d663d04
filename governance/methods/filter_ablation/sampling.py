"""Sampling: which images are measured, and how many each of them counts for.

On a well-trained network few images carry the effect of a filter: dropping filters early on images
drawn at random lost a quarter of the true list. Images are therefore drawn in proportion to what
the survey expects them to show. Each counts for as many as its chance says, so that estimates stay
right whatever the survey is worth.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["drawn", "in_proportion", "likely"]

Array = NDArray[np.float64]

FLOOR = 0.02  # of the mean size, added to each: a tenth found two of a hundred filters less


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


def in_proportion(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random order of images, (N,), of which every beginning holds the classes in proportion."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (rng.permutation(len(members)) + rng.random(len(members))) / len(members)
    return np.argsort(place, kind="stable")

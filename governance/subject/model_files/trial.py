"""Trial: whether a model classifies images at all, tried on a few before anything is measured."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from governance.errors import SubjectError
from governance.records.numbers import number
from governance.subject.precision import tolerance

__all__ = ["FAILURES", "TOLERANCE", "check_batch", "difference"]

#: What the code of a model raises on images that it does not take, or where it lacks a part.
FAILURES = (
    RuntimeError, ValueError, TypeError, LookupError, AssertionError, AttributeError,
)  # fmt: skip
#: Largest difference between two answers on the CPU that are the same, relative to the largest
#: number.
TOLERANCE = tolerance(torch.float32, torch.device("cpu"))


def check_batch(
    model: Callable[[Tensor], Tensor],
    inputs: Tensor,
    where: str,
    accepted: float = TOLERANCE,
) -> Tensor:
    """Outputs (B, K) for a few inputs, checked to be the same for each image alone.

    Args:
        model: Module in evaluation mode, or another function of images.
        inputs: (B, C, H, W), B >= 2, images that differ.
        where: Name of the model in messages.
        accepted: Largest difference between two answers to one image, relative to the largest
            number.

    Raises:
        SubjectError: If the model fails, does not return one tensor (B, K), answers differently
            when asked again, or lets the images of a batch influence one another.
    """
    try:
        with torch.no_grad():
            outputs, again = model(inputs), model(inputs)
            alone = [model(image[None]) for image in inputs]
    except SubjectError as error:
        raise SubjectError(f"{where}: {problem}" for problem in error.problems) from error
    except FAILURES as error:
        raise SubjectError(
            f"{where}: fails on a batch of shape {tuple(inputs.shape)}: {error}; a model of images "
            "(B, C, H, W) is accepted: check size and channels in [model] of the policy"
        ) from error
    if not isinstance(outputs, Tensor) or outputs.shape[:1] != inputs.shape[:1]:
        answer = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise SubjectError(
            f"{where}: returns {answer} for {len(inputs)} images; one tensor (B, K) is accepted"
        )
    if difference(outputs, again) > accepted:
        raise SubjectError(
            f"{where}: answers differently when asked twice; a model without randomness is accepted"
        )
    if (found := difference(outputs, torch.cat(alone))) > accepted:
        raise SubjectError(
            f"{where}: an image gets another answer in a batch than alone (by {number(found)} of "
            f"the largest number, and at most {number(accepted)} is rounding); a model that looks "
            "at each image by itself is accepted"
        )
    return outputs


def difference(one: Tensor, other: Tensor) -> float:
    """Largest difference relative to the largest number in `one`; infinite for other shapes.

    NaN counts as equal to NaN, so that a model of NaN is refused for what it is.
    """
    if one.shape != other.shape or not torch.equal(one.isnan(), other.isnan()):
        return math.inf
    one, other = torch.nan_to_num(one), torch.nan_to_num(other)
    if one.numel() == 0:
        return 0.0
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-30))

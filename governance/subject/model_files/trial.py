"""Trial: whether a model classifies images at all, tried on a few before anything is measured."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from governance.errors import SubjectError
from governance.records.numbers import number

__all__ = ["TOLERANCE", "check_batch", "check_outputs", "difference"]

#: Largest difference between two answers that are the same, relative to the largest number.
TOLERANCE = 1e-5


def check_batch(model: Callable[[Tensor], Tensor], inputs: Tensor, where: str) -> Tensor:
    """Outputs (B, K) for a few inputs, checked to be the same for each image alone.

    Args:
        model: Module in evaluation mode, or another function of images.
        inputs: (B, C, H, W), B >= 2, images that differ.
        where: Name of the model in messages.

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
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise SubjectError(
            f"{where}: fails on a batch of shape {tuple(inputs.shape)}: {error}; a model of images "
            "(B, C, H, W) is accepted: check size and channels in [model] of the policy"
        ) from error
    if not isinstance(outputs, Tensor) or outputs.shape[:1] != inputs.shape[:1]:
        answer = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise SubjectError(
            f"{where}: returns {answer} for {len(inputs)} images; one tensor (B, K) is accepted"
        )
    if difference(outputs, again) > TOLERANCE:
        raise SubjectError(
            f"{where}: answers differently when asked twice; a model without randomness is accepted"
        )
    if difference(outputs, torch.cat(alone)) > TOLERANCE:
        raise SubjectError(
            f"{where}: an image gets another answer in a batch than alone; a model that looks at "
            "each image by itself is accepted"
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


def check_outputs(
    outputs: Tensor, *, classes: int, kind: Literal["logits", "probabilities"], where: str
) -> None:
    """Refuse outputs that are not what a classifier of these classes returns.

    Args:
        outputs: (B, K) for some real images.
        classes: Number of classes of the validation set.
        kind: Meaning of the outputs that the policy declares.
        where: Name of the model in messages.

    Raises:
        SubjectError: If the shape is another, a number is not finite, or the outputs are
            probabilities where logits are declared, or the reverse.
    """
    if outputs.dim() != 2 or outputs.shape[1] != classes:  # noqa: PLR2004 - (B, K)
        raise SubjectError(
            f"{where}: returns {tuple(outputs.shape[1:])} numbers per image and the validation set "
            f"names {classes} classes; as many outputs as classes are accepted: class_names in "
            "[model] of the policy names classes without images too"
        )
    if not bool(torch.isfinite(outputs).all()):
        raise SubjectError(f"{where}: an output is NaN or infinite; finite numbers are accepted")
    sums = outputs.sum(1)
    sum_to_one = bool((outputs >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())  # noqa: PLR2004 - rounding of a float32 softmax
    if sum_to_one and kind == "logits":
        raise SubjectError(
            f"{where}: returns numbers from 0 to 1 that sum to 1, and the policy says logits; set "
            "outputs = 'probabilities' in [model] of the policy"
        )
    if not sum_to_one and kind == "probabilities":
        raise SubjectError(
            f"{where}: returns numbers that are no probabilities (sums from "
            f"{number(float(sums.min()))} "
            f"to {number(float(sums.max()))}), and the policy says they are; set outputs = "
            "'logits' in [model] of the policy"
        )

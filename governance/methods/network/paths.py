"""Paths: the ways in which a model can be run piece by piece, and what must hold before.

A way is taken only if it gives the model's own numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn
from torch.export import UnflattenedModule

from governance.errors import AnalysisError, InapplicableError
from governance.methods.network.replay import Replay
from governance.methods.network.rerun import Rerun
from governance.methods.network.tracing import exported, traced

__all__ = ["Path", "as_the_model_takes", "check_precision", "evaluating", "same", "way_to_run"]

Path = Literal["fx", "export", "hooks"]

TOLERANCE = 1e-4  # largest difference of outputs between two ways to run a network


def way_to_run(model: nn.Module, example: Tensor, path: Path | None) -> tuple[Replay | Rerun, Path]:
    """The fastest way to run a model that gives its own numbers, or the way asked for.

    Args:
        model: In evaluation mode.
        example: (B, C, H, W), as the model takes images.
        path: The way asked for; None for the fastest.

    Raises:
        AnalysisError: If the model fails on the example, returns no (B, K), or cannot be run in the
            way asked for.
    """
    output = _output(model, example)
    _check_output(output, len(example))
    best: Path = "export" if isinstance(model, UnflattenedModule) else "fx"
    if path in {None, best}:
        replay = exported(model, example) if best == "export" else traced(model, example)
        if replay is not None and same(replay.run(example, {replay.output})[replay.output], output):
            return replay, best
    if path in {None, "hooks"}:
        return Rerun(model, example), "hooks"
    raise AnalysisError(
        f"the network cannot be run by way of {path!r}; leave the choice open or use 'hooks'"
    )


def _output(model: nn.Module, images: Tensor) -> Tensor:
    try:
        output: Tensor = model(images)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError) as error:
        raise AnalysisError(
            f"the model fails on images of shape {tuple(images.shape)} "
            f"({str(error).partition(chr(10))[0]}); images (B, C, H, W) as the model takes them "
            "are accepted"
        ) from error
    return output


def _check_output(output: object, images: int) -> None:
    if not isinstance(output, Tensor):
        raise AnalysisError(
            f"the model returns {type(output).__name__}; one tensor (B, K) is accepted: wrap a "
            "model with several outputs so that it returns its class scores alone"
        )
    if output.ndim != 2 or len(output) != images:  # noqa: PLR2004 - (B, K)
        raise AnalysisError(
            f"the model returns shape {tuple(output.shape)} for {images} images; ({images}, K) is "
            "accepted"
        )


def check_precision(model: nn.Module) -> None:
    """Refuse a model whose numbers are in less than single precision."""
    numbers = [*model.named_parameters(), *model.named_buffers()]
    odd = [
        f"{name} is {tensor.dtype}"
        for name, tensor in numbers
        if tensor.is_floating_point() and tensor.dtype not in {torch.float32, torch.float64}
    ]
    if odd:
        raise InapplicableError(
            f"{len(odd)} of {len(numbers)} tensors are not in single or double precision, as "
            f"{odd[0]}; convert the model with .float(): the effects measured here are smaller "
            "than the rounding of half precision"
        )


def as_the_model_takes(model: nn.Module, images: Tensor) -> Tensor:
    """Images in the type, on the device and in the layout of the model."""
    numbers = (item for item in chain(model.parameters(), model.buffers()))
    like = next((item for item in numbers if item.is_floating_point()), images)
    return images.to(like).contiguous()


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two outputs are the same up to rounding."""
    if one.shape != other.shape:
        return False
    limit = TOLERANCE * max(1.0, float(other.abs().max()))
    return float((one - other).abs().max()) < limit


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode while inside, then every training flag as it was."""
    flags = [(module, module.training) for module in model.modules() if module.training]
    if flags:
        model.eval()
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag

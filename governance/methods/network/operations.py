"""Operations: what a network does, step by step, whichever way it was found out.

A network is a list of operations in order of execution, each with the operations it reads. `replay`
and `rerun` make such lists and run them; `layers` finds filters and depths in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

__all__ = ["Operation", "canonical", "described", "tensors"]

# Modules, functions, methods and ATen operators spell an operation differently; in lower case and
# without underscores most agree.
SAME = {"iadd": "add", "imul": "mul", "convolution": "conv2d"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One step of a network.

    Attributes:
        kind: Canonical name: `conv2d`, `batchnorm2d`, `relu`, `add`, ...
        module: Path of the innermost module it runs in.
        inputs: The operations it reads, by index.
        shape: Shape of its output with the example's batch; None where it is no tensor.
        macs: Multiply-accumulate operations per image, of convolutions and linear layers.
        bytes: Size of its output, per image.
    """

    kind: str
    module: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...] | None
    macs: int
    bytes: int


def described(
    kind: str, module: str, inputs: tuple[int, ...], value: Any, weight: Tensor | None
) -> Operation:
    """The record of a step.

    Args:
        kind: Canonical name.
        module: Path of the innermost module.
        inputs: The operations it read.
        value: Value that it gave.
        weight: Weight of a convolution or linear layer; None for anything else.
    """
    shape = tuple(value.shape) if isinstance(value, Tensor) else None
    macs = 0
    if weight is not None and shape:
        # Each output number of a feature costs its share of the weight.
        features = shape[1] if kind == "conv2d" else shape[-1]
        macs = weight.numel() * (prod(shape[1:]) // features)
    size = sum(t.numel() * t.element_size() // max(1, t.shape[0]) for t in tensors(value) if t.ndim)
    return Operation(kind=kind, module=module, inputs=inputs, shape=shape, macs=macs, bytes=size)


def canonical(name: str) -> str:
    """The one name of an operation: `aten.relu_.default`, `ReLU` and `relu` are all `relu`."""
    plain = name.split(".", maxsplit=1)[0].lower().replace("_", "").removeprefix("parametrized")
    return SAME.get(plain, plain)


def tensors(values: Any) -> list[Tensor]:
    """All tensors in nested tuples, lists and mappings."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, tuple | list):
        return [tensor for item in values for tensor in tensors(item)]
    return []

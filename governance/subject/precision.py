"""Precision: models are computed in full float32, whatever the surrounding program chose.

TF32 rounds the inputs of a multiplication to ten bits and bfloat16 to seven. With either, an image
alone and in a batch gets different answers, and a version and its reference runs differ by how
they were computed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import backends
from torch.backends import cudnn

__all__ = ["full_precision", "tolerance"]

#: Largest difference between two answers of a float32 model to one image, relative to the largest
#: number. A GPU takes other kernels for other sizes of a batch, which add in another order.
ON_CPU, ON_GPU = 1e-5, 1e-4
#: The same of narrower numbers, in steps of their own between 1 and the next one.
STEPS = 4

T = TypeVar("T")


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in full float32 with deterministic convolutions; the settings before come back.

    Covers convolutions, recurrent layers and matrix products, on a GPU and on the CPU. The settings
    hold for the whole process. Use it as a context or as a decorator; it may be nested.
    """
    # The wide settings first: a narrow one that torch resets inside falls back to them.
    gpu, cpu, cublas = map(_untyped, (backends.cudnn, backends.mkldnn, backends.cuda))
    operations = (
        *(_untyped(backends), gpu),
        *(cublas.matmul, gpu.conv, gpu.rnn),
        *(cpu.matmul, cpu.conv, cpu.rnn),
    )
    wide_on_cpu = cpu.fp32_precision
    precisions = [operation.fp32_precision for operation in operations]
    # torch keeps the same choice twice, and asks some kernels' questions of the older settings.
    products = _older_setting(torch.get_float32_matmul_precision)
    tf32 = _older_setting(lambda: cudnn.allow_tf32)
    deterministic, benchmark = cudnn.deterministic, cudnn.benchmark
    try:
        _set_older(None if products is None else "highest", None if tf32 is None else False)
        cpu.set_flags(_fp32_precision="ieee")  # its attribute sets that of all devices
        for operation in operations:
            operation.fp32_precision = "ieee"
        cudnn.deterministic, cudnn.benchmark = True, False
        yield
    finally:
        _set_older(products, tf32)
        cpu.set_flags(_fp32_precision=wide_on_cpu)
        for operation, precision in zip(operations, precisions, strict=True):
            operation.fp32_precision = precision
        cudnn.deterministic, cudnn.benchmark = deterministic, benchmark


def tolerance(precision: torch.dtype, device: torch.device) -> float:
    """Largest difference between two answers to one image, relative to the largest number.

    Args:
        precision: Precision that the model computes in.
        device: Device that it computes on.
    """
    widest = ON_CPU if device.type == "cpu" else ON_GPU
    return max(widest, STEPS * torch.finfo(precision).eps)


def _untyped(module: object) -> Any:
    """A module whose attributes torch makes when it is imported, unseen by a type checker."""
    return module


def _older_setting(read: Callable[[], T]) -> T | None:
    """A setting of torch's older interface; None where the newer one has overridden it."""
    try:
        return read()
    except RuntimeError:
        return None


def _set_older(products: str | None, tf32: bool | None) -> None:  # noqa: FBT001 - a value to set
    if products is not None:
        torch.set_float32_matmul_precision(products)
    if tf32 is not None:
        cudnn.allow_tf32 = tf32

"""Aten: what each operator of an exported graph is, in the kinds of `operators.py`.

One function an operator, with the operator's own arguments: what depends on the image arrives as a
`Source`, everything else as tensors and numbers. A function returns None for a use that has no
sound bound here, and the graph is then refused by the operator's name. Operators outside `READERS`
are refused likewise, so nothing is ever passed through.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from governance.methods.bounds.affine import (
    convolution,
    dense,
    padding,
    rearrangement,
    reshaping,
    scaling,
)
from governance.methods.bounds.operators import (
    Concatenation,
    Elementwise,
    Maximum,
    Operator,
    Product,
    Sum,
)
from governance.methods.bounds.relaxations import CURVES, curve

__all__ = ["READERS", "Source"]

PICTURE = 3  # dimensions of (C, H, W)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """An earlier step as argument.

    Attributes:
        place: Position of the step.
        shape: Shape of its output, without the leading dimension.
        example: A tensor of the dtype and device that new constants take.
    """

    place: int
    shape: tuple[int, ...]
    example: Tensor


Read = Operator | Source | None


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    items = [value] if isinstance(value, int) else list(value)
    return (items[0], items[-1])


def _convolution(
    out: tuple[int, ...],  # noqa: ARG001 - same for all
    x: Source,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    margin: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Read:
    if not isinstance(x, Source) or isinstance(weight, Source) or isinstance(bias, Source):
        return None
    if len(x.shape) != PICTURE or weight.ndim != PICTURE + 1:
        return None
    if isinstance(margin, str):
        # `same` puts the odd pixel on the far side; only the even case is one of our convolutions.
        reach = [d * (k - 1) for d, k in zip(_pair(dilation), weight.shape[2:], strict=True)]
        if margin == "same" and any(r % 2 for r in reach):
            return None
        margin = [r // 2 for r in reach] if margin == "same" else 0
    return convolution(x.shape, weight, bias, _pair(stride), _pair(margin), _pair(dilation), groups)


def _dense(out: tuple[int, ...], x: Source, weight: Any, bias: Any = None) -> Read:  # noqa: ARG001 - same for all
    if not isinstance(x, Source) or isinstance(weight, Source) or isinstance(bias, Source):
        return None
    return dense(weight, bias)


def _dense_sum(
    out: tuple[int, ...], bias: Any, x: Any, weight: Any, *, beta: float = 1, alpha: float = 1
) -> Read:
    return None if (beta, alpha) != (1, 1) else _dense(out, x, weight.T, bias)


def _dense_product(out: tuple[int, ...], x: Any, weight: Any) -> Read:
    if isinstance(weight, Source) or weight.ndim != 2:  # noqa: PLR2004 - a matrix
        return None
    return _dense(out, x, weight.T)


def _normalisation(
    out: tuple[int, ...],  # noqa: ARG001 - same for all
    x: Source,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    momentum: float,  # noqa: ARG001 - of training only
    epsilon: float,
) -> Read:
    # Frozen statistics make it one scale and one shift per channel, folded here.
    factor = (variance.detach() + epsilon).rsqrt()
    factor = factor if weight is None else factor * weight.detach()
    offset = -mean.detach() * factor
    offset = offset if bias is None else offset + bias.detach()
    shape = (-1, *(1,) * (len(x.shape) - 1))
    return scaling(x.shape, factor.view(shape), offset.view(shape))


def _curve(name: str) -> Callable[..., Read]:
    def made(out: tuple[int, ...], x: Source, *parameters: float) -> Read:  # noqa: ARG001 - same for all
        return Elementwise(curve=curve(name, *parameters))

    return made


def _gelu(out: tuple[int, ...], x: Source, approximate: str = "none") -> Read:  # noqa: ARG001 - same for all
    return Elementwise(curve=curve("gelu")) if approximate == "none" else None


def _clamp(
    out: tuple[int, ...],  # noqa: ARG001 - same for all
    x: Source,  # noqa: ARG001 - it is the only source
    least: Any = None,
    most: Any = None,
) -> Read:
    if not isinstance(least, int | float) or not isinstance(most, int | float) or least > most:
        return None
    return Elementwise(curve=curve("hardtanh", float(least), float(most)))


def _maximum(
    out: tuple[int, ...],
    x: Source,
    kernel: Any,
    stride: Any = (),
    margin: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,  # noqa: ARG001, FBT001, FBT002 - the output's size says it all
) -> Read:
    kernel, dilation, margin = _pair(kernel), _pair(dilation), _pair(margin)
    stride = _pair(stride) if stride else kernel
    if len(x.shape) != PICTURE:
        return None
    channels, *sizes = x.shape
    # Rounding up the size lets the last window hang over the far side.
    reach = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(out[1:], stride, dilation, kernel, strict=True)]  # fmt: skip  # noqa: E501
    far = [max(p, r - p - size) for p, r, size in zip(margin, reach, sizes, strict=True)]
    return Maximum(
        source=(channels, sizes[0], sizes[1]),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=(margin[1], far[1], margin[0], far[0]),
        output=(out[1], out[2]),
    )


def _average(name: str, x: Source, *parameters: Any, **named: Any) -> Read:
    if len(x.shape) != PICTURE:
        return None
    divisor = named.get("divisor_override") or (parameters[5] if len(parameters) > 5 else None)  # noqa: PLR2004 - its position
    if divisor:
        return None
    step = getattr(torch.ops.aten, name).default
    # No window is larger than the picture.
    terms = math.prod(x.shape[1:])
    return rearrangement(x.shape, lambda t: step(t, *parameters, **named), x.example, terms)


def _reduction(reduce: Callable[..., Tensor]) -> Callable[..., Read]:
    """A mean or a sum over dimensions of the picture."""

    def found(
        out: tuple[int, ...],
        x: Source,
        dims: Any = None,
        keepdim: bool = False,  # noqa: FBT001, FBT002 - aten's own signature
        *,
        dtype: Any = None,
    ) -> Read:
        if not dims or dtype not in {None, torch.float32} or _touches_images(x, *dims):
            return None
        terms = math.prod(x.shape) // max(1, math.prod(out))
        return rearrangement(x.shape, lambda t: reduce(t, dims, keepdim), x.example, terms)

    return found


def _reshaped(out: tuple[int, ...], x: Source, *sizes: Any) -> Read:  # noqa: ARG001 - the output's shape says it all
    return reshaping(x.shape, out, x.example)


def _permuted(out: tuple[int, ...], x: Source, order: Sequence[int]) -> Read:  # noqa: ARG001 - same for all
    if order[0] != 0:
        return None
    return rearrangement(x.shape, lambda t: t.permute(*order), x.example)


def _transposed(out: tuple[int, ...], x: Source, one: int, two: int) -> Read:  # noqa: ARG001 - same for all
    if _touches_images(x, one, two):
        return None
    return rearrangement(x.shape, lambda t: t.transpose(one, two), x.example)


def _slice(
    out: tuple[int, ...],
    x: Source,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Read:
    if out == x.shape and step == 1:
        return x
    if _touches_images(x, dim):
        return None
    aten = torch.ops.aten.slice.Tensor
    return rearrangement(x.shape, lambda t: aten(t, dim, start, end, step), x.example)


def _select(out: tuple[int, ...], x: Source, dim: int, index: int) -> Read:  # noqa: ARG001 - same for all
    if _touches_images(x, dim):
        return None
    return rearrangement(x.shape, lambda t: t.select(dim, index), x.example)


def _padded(out: tuple[int, ...], x: Source, widths: Sequence[int], value: float = 0.0) -> Read:  # noqa: ARG001 - same for all
    if len(widths) // 2 > len(x.shape):
        return None
    return padding(x.shape, widths, x.example, value)


def _bordered(
    out: tuple[int, ...],
    x: Source,
    widths: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Read:
    if mode == "constant":
        return _padded(out, x, widths, value or 0.0)
    # Mirrored and repeated borders are linear too.
    return rearrangement(x.shape, lambda t: functional.pad(t, list(widths), mode), x.example)


def _joined(out: tuple[int, ...], sources: Sequence[Any], dim: int = 0) -> Read:
    if not all(isinstance(item, Source) for item in sources):
        return None
    dim = dim % (len(out) + 1)
    if dim == 0:
        return None
    return Concatenation(dimension=dim, lengths=tuple(item.shape[dim - 1] for item in sources))


def _sum(sign: int) -> Callable[..., Read]:
    def made(out: tuple[int, ...], x: Any, y: Any, *, alpha: float = 1) -> Read:  # noqa: ARG001 - same for all
        if alpha != 1:
            return None
        if isinstance(x, Source) and isinstance(y, Source):
            if len(x.shape) != len(y.shape):
                return None
            return Sum(shapes=(x.shape, y.shape), signs=(1, sign))
        source, constant, signs = (x, y, (1, sign)) if isinstance(x, Source) else (y, x, (sign, 1))
        one = source.example.new_ones(())
        added = _number(source, constant)
        return None if added is None else scaling(source.shape, signs[0] * one, signs[1] * added)

    return made


def _reversed_difference(out: tuple[int, ...], x: Any, y: Any, alpha: float = 1) -> Read:
    return _sum(-1)(out, y, x, alpha=alpha)


def _product(out: tuple[int, ...], x: Any, y: Any) -> Read:  # noqa: ARG001 - same for all
    if isinstance(x, Source) and isinstance(y, Source):
        # A square is a curve, not a product of two variables; the planes would be sound but loose.
        same_rank = len(x.shape) == len(y.shape)
        return Product(shapes=(x.shape, y.shape)) if same_rank else None
    source, constant = (x, y) if isinstance(x, Source) else (y, x)
    factor = _number(source, constant)
    return None if factor is None else scaling(source.shape, factor)


def _quotient(out: tuple[int, ...], x: Any, y: Any) -> Read:  # noqa: ARG001 - same for all
    if not isinstance(x, Source) or isinstance(y, Source):
        return None
    divisor = _number(x, y)
    if divisor is None or not divisor.all():
        return None
    return scaling(x.shape, 1 / divisor)


def _negative(out: tuple[int, ...], x: Source) -> Read:  # noqa: ARG001 - same for all
    return scaling(x.shape, -x.example.new_ones(()))


def _same(out: tuple[int, ...], x: Source, *rest: Any, **named: Any) -> Read:  # noqa: ARG001 - same for all
    return x


def _dropout(out: tuple[int, ...], x: Source, share: float, train: bool) -> Read:  # noqa: ARG001, FBT001 - aten's own signature
    return None if train else x


def _number(x: Source, constant: Any) -> Tensor | None:
    """A constant operand that broadcasts within each image, as a tensor; None for any other."""
    number = torch.as_tensor(constant, dtype=x.example.dtype, device=x.example.device).detach()
    if number.ndim > len(x.shape) + 1:
        return None
    return None if number.ndim == len(x.shape) + 1 and number.shape[0] != 1 else number


def _touches_images(x: Source, *dims: int) -> bool:
    return any(dim % (len(x.shape) + 1) == 0 for dim in dims)


def _averaging(name: str) -> Callable[..., Read]:
    return lambda _out, x, *parameters, **named: _average(name, x, *parameters, **named)


READERS: dict[str, Callable[..., Read]] = {
    **{name: _curve(name) for name in CURVES if name != "gelu"},
    "_native_batch_norm_legit_no_training": _normalisation,
    "_unsafe_view": _reshaped,
    "adaptive_avg_pool2d": _averaging("adaptive_avg_pool2d"),
    "add": _sum(1),
    "addmm": _dense_sum,
    "alias": _same,
    "avg_pool2d": _averaging("avg_pool2d"),
    "cat": _joined,
    "clamp": _clamp,
    "clone": _same,
    "constant_pad_nd": _padded,
    "contiguous": _same,
    "conv2d": _convolution,
    "detach": _same,
    "div": _quotient,
    "dropout": _dropout,
    "flatten": _reshaped,
    "gelu": _gelu,
    "max_pool2d": _maximum,
    "mean": _reduction(torch.mean),
    "mm": _dense_product,
    "linear": _dense,
    "mul": _product,
    "neg": _negative,
    "pad": _bordered,
    "permute": _permuted,
    "reshape": _reshaped,
    "rsub": _reversed_difference,
    "select": _select,
    "slice": _slice,
    "squeeze": _reshaped,
    "sub": _sum(-1),
    "sum": _reduction(torch.sum),
    "transpose": _transposed,
    "unsqueeze": _reshaped,
    "view": _reshaped,
}

"""Affine: the steps that bounds pass through exactly.

Convolutions, linear layers, normalisation, averages, and everything that only moves numbers about:
y = A x + b, known by what A, |A| and the transpose of A do to tensors. No matrix is ever built.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input

__all__ = [
    "Affine",
    "Convolved",
    "Pulled",
    "Range",
    "convolution",
    "dense",
    "padding",
    "rearrangement",
    "reshaping",
    "scaling",
    "summed",
]

Range = tuple[Tensor, Tensor]
Pulled = tuple[Tensor, list[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Affine:
    """y = A x + b.

    Attributes:
        linear: A applied to (N, *source) without b.
        absolute: |A| applied likewise.
        adjoint: The transpose of A applied to (N, *output).
        offset: Gives b, broadcastable to (N, *output), when asked, so that it stays current while
            weights are trained; None for zero.
        terms: Longest sum behind one output, for the rounding bound; 0 where nothing is computed.
        pointwise: Whether each pixel depends on the same pixel alone, in the same way everywhere.
    """

    linear: Callable[[Tensor], Tensor]
    absolute: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]
    offset: Callable[[], Tensor] | None = None
    terms: int = 0
    pointwise: bool = False

    def value(self, sources: Sequence[Tensor]) -> Tensor:
        """A x + b."""
        (x,) = sources
        return self._shifted(self.linear(x))

    def span(self, sources: Sequence[Range]) -> Range:
        """Centre through A, radius through |A|."""
        ((low, high),) = sources
        centre = self._shifted(self.linear(low / 2 + high / 2))
        radius = self.absolute(high / 2 - low / 2)
        return centre - radius, centre + radius

    def relax(self, sources: Sequence[Range]) -> None:
        """Nothing: an affine map is its own bound."""

    def pull(self, weights: Tensor, relaxed: Any) -> Pulled:  # noqa: ARG002 - as the protocol asks
        """Transposed A on the weights; their product with b is the constant."""
        n, rows = weights.shape[:2]
        flat = weights.flatten(0, 1)
        constant = flat.new_zeros(n * rows)
        if self.offset is not None:
            constant = (flat * self.offset()).flatten(1).sum(1)
        back = self.adjoint(flat)
        return constant.view(n, rows), [back.view(n, rows, *back.shape[1:])]

    def rounding(self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float) -> Tensor:
        """Any order of summation: gamma_n (|A| |x| + |b|), and |A| on the error that arrives."""
        size = self.absolute(sizes[0])
        if self.offset is not None:
            size = size + self.offset().abs()
        n = self.terms + 1 if self.terms else 0
        return self.absolute(errors[0]) + n * unit / (1 - n * unit) * size

    def _shifted(self, y: Tensor) -> Tensor:
        return y if self.offset is None else y + self.offset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolved(Affine):
    """A two-dimensional convolution, which can be cut down to a part of the picture.

    Attributes:
        weight: (out, in / groups, height, width).
        stride: Down and across.
        padding: Down and across.
        dilation: Down and across.
        groups: Number of groups of channels.
    """

    weight: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width."""
        return (self.weight.shape[2], self.weight.shape[3])

    def cut(self, shape: Sequence[int], widths: tuple[int, int, int, int]) -> Affine:
        """The same weights on sources of `shape`, padded by `widths`, without the offset."""
        return convolution(
            shape, self.weight, None, self.stride, (0, 0), self.dilation, self.groups, widths
        )


def convolution(
    shape: Sequence[int],
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    widths: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Convolved:
    """A convolution of sources of `shape` (C, H, W), first padded with `widths` of zeros."""
    padded = bool(any(widths))
    channels, height, width = shape
    size = (channels, height + widths[2] + widths[3], width + widths[0] + widths[1])

    def forward(x: Tensor, kernel: Tensor) -> Tensor:
        x = functional.pad(x, widths) if padded else x
        return functional.conv2d(x, kernel, None, stride, padding, dilation, groups)

    def adjoint(y: Tensor) -> Tensor:
        back: Callable[..., Tensor] = conv2d_input
        x = back((len(y), *size), weight, y, stride, padding, dilation, groups)
        return functional.pad(x, [-item for item in widths]) if padded else x

    return Convolved(
        linear=lambda x: forward(x, weight),
        absolute=lambda x: forward(x, weight.abs()),
        adjoint=adjoint,
        offset=None if bias is None else lambda: bias.view(-1, 1, 1),
        terms=weight[0].numel(),
        weight=weight,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def dense(weight: Tensor, bias: Tensor | None) -> Affine:
    """A linear layer on the last dimension."""
    return Affine(
        linear=lambda x: x @ weight.T,
        absolute=lambda x: x @ weight.abs().T,
        adjoint=lambda y: y @ weight,
        offset=None if bias is None else lambda: bias,
        terms=weight.shape[1],
    )


def scaling(shape: Sequence[int], factor: Tensor, offset: Tensor | None = None) -> Affine:
    """Numbers of sources of `shape` times a constant plus a constant, broadcast as torch does."""
    constants = [factor] if offset is None else [factor, offset]
    one = torch.zeros((1, *shape), device="meta")
    fits = all((one + item.to("meta")).shape == one.shape for item in constants)
    return Affine(
        linear=lambda x: x * factor,
        absolute=lambda x: x * factor.abs(),
        adjoint=lambda y: y * factor if fits else summed(y * factor, shape),
        offset=None if offset is None else lambda: offset,
        terms=2,
        pointwise=fits and all(item.shape[-2:].numel() == 1 for item in constants),
    )


def rearrangement(
    shape: Sequence[int],
    step: Callable[[Tensor], Tensor],
    example: Tensor,
    terms: int = 0,
    back: Callable[[Tensor], Tensor] | None = None,
) -> Affine:
    """Any affine step without negative coefficients: reshaping, padding, averages, slices.

    Args:
        shape: Shape of the source, without the leading dimension.
        step: Applied to (N, *shape).
        example: A tensor of the wanted dtype and device.
        terms: Longest sum behind one output.
        back: The transpose of the step without its offset, where it is known; else autograd's.
    """
    offset = step(example.new_zeros(1, *shape))
    shifted = bool(offset.any())

    def linear(x: Tensor) -> Tensor:
        return step(x) - offset if shifted else step(x)

    def transposed(y: Tensor) -> Tensor:
        with torch.enable_grad():
            x = y.new_zeros(len(y), *shape, requires_grad=True)
            # While weights are trained the result itself is differentiated.
            return torch.autograd.grad(step(x), x, y, create_graph=y.requires_grad)[0]

    return Affine(
        linear=linear,
        absolute=linear,
        adjoint=back or transposed,
        offset=(lambda: offset) if shifted else None,
        terms=terms,
    )


def padding(
    shape: Sequence[int], widths: Sequence[int], example: Tensor, value: float = 0.0
) -> Affine:
    """A picture with a border of one value, or cut where a width is negative."""
    inward = [-width for width in widths]
    return rearrangement(
        shape,
        lambda t: functional.pad(t, widths, value=value),
        example,
        back=lambda y: functional.pad(y, inward),
    )


def reshaping(shape: Sequence[int], out: Sequence[int], example: Tensor) -> Affine:
    """The same numbers of each image in another shape."""
    return rearrangement(
        shape,
        lambda t: t.reshape(len(t), *out),
        example,
        back=lambda y: y.reshape(len(y), *shape),
    )


def summed(y: Tensor, shape: Sequence[int]) -> Tensor:
    """(N, *output) summed to (N, *shape), undoing a broadcast."""
    return y.sum_to_size(len(y), *(1,) * (y.ndim - 1 - len(shape)), *shape).view(len(y), *shape)

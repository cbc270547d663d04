"""Operators: what each step of a network does to values, to ranges and to linear bounds.

Six kinds cover a convolutional classifier: affine maps of one source (convolution, linear layers,
normalisation, pooling by averages, every reshaping), signed sums, concatenation, curved functions
of one variable, maxima over windows, and products of two sources. Each answers the same questions:

- `value`: the output for given inputs;
- `span`: a range of the output from ranges of the sources (interval arithmetic);
- `relax`: the enclosing lines for given ranges, computed once and reused;
- `pull`: linear weights on the output turned into linear weights on the sources and a constant
  that together are a *lower* bound (the backward step of CROWN);
- `rounding`: by how much the output computed with a given rounding unit may differ from the exact.

Values and ranges have a leading dimension N (boxes); weights have leading dimensions N, S (rows).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input

from governance.relaxations import Curve, lines, product_planes, span, window_lines

__all__ = [
    "Affine",
    "Concatenation",
    "Convolved",
    "Elementwise",
    "Maximum",
    "Operator",
    "Product",
    "Range",
    "Sum",
    "convolution",
    "dense",
    "padding",
    "rearrangement",
    "reshaping",
    "scaling",
]

Range = tuple[Tensor, Tensor]
Pulled = tuple[Tensor, list[Tensor]]


class Operator(Protocol):
    """One kind of step; see the module for what the methods answer."""

    def value(self, sources: Sequence[Tensor]) -> Tensor:
        """The output for given inputs."""
        ...

    def span(self, sources: Sequence[Range]) -> Range:
        """A range of the output from ranges of the sources."""
        ...

    def relax(self, sources: Sequence[Range]) -> Any:
        """Enclosing lines for given ranges."""
        ...

    def pull(self, weights: Tensor, relaxed: Any) -> Pulled:
        """A lower bound's weights on the sources, and its constant."""
        ...

    def rounding(
        self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float
    ) -> Tensor: ...


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
class Sum:
    """x + y or x - y, broadcast as torch does.

    Attributes:
        shapes: Of the sources, without the leading dimension.
        signs: 1 or -1 for each source.
    """

    shapes: tuple[tuple[int, ...], ...]
    signs: tuple[int, ...]

    def value(self, sources: Sequence[Tensor]) -> Tensor:
        """The signed sum."""
        x, y = (sign * source for sign, source in zip(self.signs, sources, strict=True))
        return x + y

    def span(self, sources: Sequence[Range]) -> Range:
        """Sums of the ends that fit the signs."""
        ordered = [
            pair if sign > 0 else (-pair[1], -pair[0])
            for sign, pair in zip(self.signs, sources, strict=True)
        ]
        (low, high), (other_low, other_high) = ordered
        return low + other_low, high + other_high

    def relax(self, sources: Sequence[Range]) -> None:
        """Nothing: a sum is its own bound."""

    def pull(self, weights: Tensor, relaxed: Any) -> Pulled:  # noqa: ARG002 - as the protocol asks
        """The weights themselves, with the signs."""
        back = [
            sign * _reduced(weights, shape)
            for sign, shape in zip(self.signs, self.shapes, strict=True)
        ]
        return weights.new_zeros(weights.shape[:2]), back

    def rounding(self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float) -> Tensor:
        """Both errors and one rounding."""
        return errors[0] + errors[1] + unit * (sizes[0] + sizes[1] + errors[0] + errors[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concatenation:
    """Sources one after another.

    Attributes:
        dimension: Counted with the leading dimension of images, so at least 1.
        lengths: Of each source along it.
    """

    dimension: int
    lengths: tuple[int, ...]

    def value(self, sources: Sequence[Tensor]) -> Tensor:
        """The sources joined."""
        return torch.cat(list(sources), self.dimension)

    def span(self, sources: Sequence[Range]) -> Range:
        """The ends joined."""
        return self.value([low for low, _ in sources]), self.value([high for _, high in sources])

    def relax(self, sources: Sequence[Range]) -> None:
        """Nothing: joining is its own bound."""

    def pull(self, weights: Tensor, relaxed: Any) -> Pulled:  # noqa: ARG002 - as the protocol asks
        """The weights taken apart."""
        back = list(torch.split(weights, self.lengths, self.dimension + 1))
        return weights.new_zeros(weights.shape[:2]), back

    def rounding(self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float) -> Tensor:  # noqa: ARG002 - as the protocol asks
        """The errors joined: nothing is computed."""
        return self.value(errors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elementwise:
    """A function of one variable applied to every number."""

    curve: Curve

    def value(self, sources: Sequence[Tensor]) -> Tensor:
        """The function."""
        return self.curve.value(sources[0])

    def span(self, sources: Sequence[Range]) -> Range:
        """Its smallest and largest value between the ends."""
        return span(self.curve, *sources[0])

    def relax(self, sources: Sequence[Range]) -> Any:
        """Its enclosing lines."""
        return lines(self.curve, *sources[0])

    def pull(self, weights: Tensor, relaxed: Any) -> Pulled:
        """Positive weights take the line below, negative ones the line above."""
        slope_below, offset_below, slope_above, offset_above = (
            line.unsqueeze(1) for line in relaxed
        )
        positive, negative = weights.clamp_min(0), weights.clamp_max(0)
        constant = (positive * offset_below + negative * offset_above).flatten(2).sum(2)
        return constant, [positive * slope_below + negative * slope_above]

    def loose(self, sources: Sequence[Range]) -> list[Tensor]:
        """Where a kink or bend lies between the ends, so that narrower ends give better lines."""
        low, high = sources[0]
        moves = low < high
        inside = torch.zeros_like(moves)
        borders = (-torch.inf, *self.curve.knots, torch.inf)
        for left, right, bend in zip(borders[:-1], borders[1:], self.curve.bends, strict=True):
            if bend:
                inside |= (high > left) & (low < right)
        for knot in self.curve.knots:
            inside |= (low < knot) & (high > knot)
        return [moves & inside]

    def rounding(self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float) -> Tensor:
        """The error times the steepest slope, and a few roundings of the function itself."""
        # Library functions are accurate to a few units in the last place; 8 is generous.
        steepest = self.curve.steepest
        at_zero = self.curve.value(torch.zeros_like(sizes[0])).abs()
        return steepest * errors[0] + 8 * unit * (at_zero + steepest * (sizes[0] + errors[0]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maximum:
    """The greatest number of each window; padding never wins.

    Attributes:
        source: (C, H, W).
        kernel: Height and width of a window.
        stride: Steps between windows.
        dilation: Steps between the entries of a window.
        padding: Left, right, top, bottom; the far sides include what rounding up asks for.
        output: Height and width.
    """

    source: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]
    output: tuple[int, int]

    def windows(self, x: Tensor, fill: float) -> Tensor:
        """(N, C, window, places), with `fill` where a window reaches over the edge."""
        padded = functional.pad(x, self.padding, value=fill)
        n, channels = x.shape[:2]
        unfolded = functional.unfold(
            padded, self.kernel, dilation=self.dilation, stride=self.stride
        )
        return unfolded.view(n, channels, self.kernel[0] * self.kernel[1], -1)

    def scattered(self, windows: Tensor) -> Tensor:
        """The transpose of `windows`: entries summed at the pixel they came from, (N, C, H, W)."""
        left, right, top, bottom = self.padding
        _, height, width = self.source
        padded = (height + top + bottom, width + left + right)
        folded = functional.fold(
            windows.flatten(1, 2), padded, self.kernel, dilation=self.dilation, stride=self.stride
        )
        return folded[..., top : top + height, left : left + width]

    def value(self, sources: Sequence[Tensor]) -> Tensor:
        """The maxima."""
        windows = self.windows(sources[0], -torch.inf)
        return windows.amax(2).view(*windows.shape[:2], *self.output)

    def span(self, sources: Sequence[Range]) -> Range:
        """The maxima of both ends."""
        low, high = sources[0]
        return self.value([low]), self.value([high])

    def relax(self, sources: Sequence[Range]) -> Any:
        """Which entry to follow, and the constants where none is certain to win."""
        low, high = sources[0]
        return window_lines(self.windows(low, -torch.inf), self.windows(high, -torch.inf))

    def pull(self, weights: Tensor, relaxed: Any) -> Pulled:
        """Weights sent to the followed entries."""
        below, above, offset = (item.unsqueeze(1) for item in relaxed)
        flat = weights.flatten(3)
        positive, negative = flat.clamp_min(0), flat.clamp_max(0)
        constant = (negative * offset).flatten(2).sum(2)
        spread = positive.unsqueeze(3) * below + negative.unsqueeze(3) * above
        back = self.scattered(spread.flatten(0, 1))
        return constant, [back.reshape(*weights.shape[:2], *back.shape[1:])]

    def loose(self, sources: Sequence[Range]) -> list[Tensor]:
        """Numbers that may win a window that is not decided."""
        low, high = sources[0]
        lows, highs = self.windows(low, -torch.inf), self.windows(high, -torch.inf)
        floor, winner = lows.max(2, keepdim=True)
        rivals = highs.scatter(2, winner, -torch.inf) > floor
        open_window = rivals.any(2, keepdim=True)
        wanted = (rivals | torch.zeros_like(rivals).scatter_(2, winner, value=True)) & open_window
        return [(self.scattered(wanted.to(low)) > 0) & (low < high)]

    def rounding(self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float) -> Tensor:  # noqa: ARG002 - as the protocol asks
        """The largest error of the window: choosing computes nothing."""
        return self.value([errors[0]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product:
    """x * y of two sources that both vary, broadcast as torch does.

    Attributes:
        shapes: Of the sources, without the leading dimension.
    """

    shapes: tuple[tuple[int, ...], tuple[int, ...]]

    def value(self, sources: Sequence[Tensor]) -> Tensor:
        """The product."""
        return sources[0] * sources[1]

    def span(self, sources: Sequence[Range]) -> Range:
        """The extreme products of the ends."""
        (lx, ux), (ly, uy) = sources
        corners = torch.stack([lx * ly, lx * uy, ux * ly, ux * uy])
        return corners.amin(0), corners.amax(0)

    def relax(self, sources: Sequence[Range]) -> Any:
        """McCormick's planes."""
        return product_planes(sources[0], sources[1])

    def pull(self, weights: Tensor, relaxed: Any) -> Pulled:
        """Positive weights take the plane below, negative ones the plane above."""
        below, above = relaxed
        positive, negative = weights.clamp_min(0), weights.clamp_max(0)

        def mixed(item: int) -> Tensor:
            found: Tensor = positive * below[item].unsqueeze(1)
            return found + negative * above[item].unsqueeze(1)

        back = [_reduced(mixed(item), self.shapes[item]) for item in (0, 1)]
        return mixed(2).flatten(2).sum(2), back

    def loose(self, sources: Sequence[Range]) -> list[Tensor]:
        """Everything that moves."""
        return [low < high for low, high in sources]

    def rounding(self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float) -> Tensor:
        """The product rule with both errors, and one rounding."""
        (x, y), (dx, dy) = sizes, errors
        return (dx * y + dy * x + dx * dy) + unit * (x + dx) * (y + dy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolved(Affine):
    """A two-dimensional convolution, which can be cut down to a part of the picture.

    Attributes:
        weight: (out, in / groups, height, width).
        stride: Down and across.
        padding: Down and across.
        dilation: Down and across.
        groups: Of channels.
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
        x = conv2d_input((len(y), *size), weight, y, stride, padding, dilation, groups)
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
        adjoint=lambda y: y * factor if fits else _summed(y * factor, shape),
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
        shape: Of the source, without the leading dimension.
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


def _summed(y: Tensor, shape: Sequence[int]) -> Tensor:
    """(N, *output) summed to (N, *shape), undoing a broadcast."""
    return y.sum_to_size(len(y), *(1,) * (y.ndim - 1 - len(shape)), *shape).view(len(y), *shape)


def _reduced(weights: Tensor, shape: Sequence[int]) -> Tensor:
    """Weights (N, S, *output) summed to (N, S, *shape), undoing a broadcast."""
    return _summed(weights.flatten(0, 1), shape).view(*weights.shape[:2], *shape)

"""Operators: what each step of a network does to values, to ranges and to linear bounds.

Six kinds cover a convolutional classifier: affine maps of one source (`affine.py`), signed sums,
concatenation, curved functions of one variable, maxima over windows, and products of two sources.
Each answers the same questions:

- `value`: the output for given inputs;
- `span`: a range of the output from ranges of the sources (interval arithmetic);
- `relax`: the enclosing lines for given ranges, computed once and reused;
- `pull`: linear weights on the output turned into linear weights on the sources and a constant
  that together are a *lower* bound (the backward step of CROWN);
- `rounding`: by how much the output computed with a given rounding unit may differ from the exact.

Values and ranges have a leading dimension N (boxes); weights have leading dimensions N, S (rows).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from governance.methods.bounds.affine import Pulled, Range, summed
from governance.methods.bounds.relaxations import Curve, lines, product_planes, span, window_lines

__all__ = ["Concatenation", "Elementwise", "Maximum", "Operator", "Product", "Sum"]


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

    def rounding(self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float) -> Tensor:
        """Largest rounding error of the output."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sum:
    """x + y or x - y, broadcast as torch does.

    Attributes:
        shapes: Shapes of the sources, without the leading dimension.
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
        lengths: Length of each source along it.
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
        back = list(torch.split(weights, list(self.lengths), self.dimension + 1))
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
        shapes: Shapes of the sources, without the leading dimension.
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
            lower: Tensor = positive * below[item].unsqueeze(1)
            upper: Tensor = negative * above[item].unsqueeze(1)
            return lower + upper

        back = [_reduced(mixed(item), self.shapes[item]) for item in (0, 1)]
        return mixed(2).flatten(2).sum(2), back

    def loose(self, sources: Sequence[Range]) -> list[Tensor]:
        """Everything that moves."""
        return [low < high for low, high in sources]

    def rounding(self, sizes: Sequence[Tensor], errors: Sequence[Tensor], unit: float) -> Tensor:
        """The product rule with both errors, and one rounding."""
        (x, y), (dx, dy) = sizes, errors
        return (dx * y + dy * x + dx * dy) + unit * (x + dx) * (y + dy)


def _reduced(weights: Tensor, shape: Sequence[int]) -> Tensor:
    """Weights (N, S, *output) summed to (N, S, *shape), undoing a broadcast."""
    return summed(weights.flatten(0, 1), shape).view(*weights.shape[:2], *shape)

"""Relaxations: straight lines below and above the curved functions of a network.

A bound through a curved function is only as good as the lines that enclose it. Each function of
one variable is described once, by its value, its slope and the points between which it is straight,
convex or concave; ranges and enclosing lines follow from that description alone, so a new
activation needs no new proof. Windows that take a maximum and products of two variables have
lines of their own. All of it holds for every point between the ends, not for sampled points.

Shapes are elementwise unless said otherwise; numbers are float64 when a claim is to be made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Curve", "Lines", "curve", "lines", "product_planes", "span", "window_lines"]

# Halvings of a bracket around a turning point; what is left of the bracket widens the bound.
HALVINGS = 20


class Lines(NamedTuple):
    """Two lines that enclose a function between given ends: slope * x + offset, below and above."""

    slope_below: Tensor
    offset_below: Tensor
    slope_above: Tensor
    offset_above: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A function of one variable, piecewise straight, convex or concave.

    Attributes:
        value: The function.
        slope: Its derivative; at a kink, that of either side.
        knots: Ends of the pieces, ascending.
        bends: One per piece, from left to right: 0 straight, 1 convex, -1 concave.
        steepest: Largest absolute slope, by which an error of the argument can grow.
        rising: Whether the function never falls, so that the ends give its range.
        kink: Whether it is two straight pieces, the right one steeper upwards.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    knots: tuple[float, ...]
    bends: tuple[int, ...]
    steepest: float = 1.0
    rising: bool = True
    kink: bool = False


def span(function: Curve, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest value of the function between `low` and `high`."""
    if function.rising:
        return function.value(low), function.value(high)
    # Where nothing moves the value itself is exact: a point must not become an interval.
    moves = low < high
    below, above = function.value(low), function.value(low)
    if moves.any():
        flat = torch.zeros_like(low[moves])
        below[moves], above[moves] = _extremes(function, flat, low[moves], high[moves])
    return below, above


def lines(function: Curve, low: Tensor, high: Tensor) -> Lines:
    """The enclosing lines with the smallest area among the chord and three tangents' slopes.

    For a rectified linear unit these are the chord above and the better of 0 and x below, the
    choice of CROWN (Zhang et al. 2018).
    """
    still = function.value(low)
    result = Lines(torch.zeros_like(low), still.clone(), torch.zeros_like(low), still)
    # NaN and infinite ends have no chord; their NaN offsets reach the margin: UNKNOWN.
    moves = ~(low >= high)
    if moves.any():
        enclose = _kink_lines if function.kink else _best_lines
        found = enclose(function, low[moves], high[moves])
        for whole, part in zip(result, found, strict=True):
            whole[moves] = part
    return result


def _kink_lines(function: Curve, low: Tensor, high: Tensor) -> Lines:
    """What `_best_lines` finds for two straight pieces that bend upwards, much faster."""
    (knot,) = function.knots
    middle = low / 2 + high / 2
    kink = torch.full_like(low, knot)
    below = function.slope(torch.where(middle > knot, kink + 1, kink - 1))
    chord = (function.value(high) - function.value(low)) / (high - low)
    above = chord.clamp(-function.steepest, function.steepest)
    ends = function.value(low) - above * low, function.value(high) - above * high
    return Lines(below, function.value(kink) - below * kink, above, torch.maximum(*ends))


def _best_lines(function: Curve, low: Tensor, high: Tensor) -> Lines:
    middle = low / 2 + high / 2
    width = high - low
    # Ends one rounding apart can give any quotient; no chord is steeper than the function.
    chord = (function.value(high) - function.value(low)) / width
    chord = chord.clamp(-function.steepest, function.steepest)
    slopes = [chord, *(function.slope(point) for point in (low, middle, high))]
    below = above = best_below = best_above = None
    for slope in slopes:
        least, most = _extremes(function, slope, low, high)
        height_below, height_above = slope * middle + least, slope * middle + most
        if best_below is None or best_above is None or below is None or above is None:
            below, above = (slope, least), (slope, most)
            best_below, best_above = height_below, height_above
            continue
        # The area between a line and the axis is its height in the middle times the width.
        better = height_below > best_below
        below = (torch.where(better, slope, below[0]), torch.where(better, least, below[1]))
        best_below = torch.where(better, height_below, best_below)
        better = height_above < best_above
        above = (torch.where(better, slope, above[0]), torch.where(better, most, above[1]))
        best_above = torch.where(better, height_above, best_above)
    assert below is not None  # noqa: S101 - four slopes were tried
    assert above is not None  # noqa: S101 - four slopes were tried
    return Lines(*below, *above)


def _extremes(function: Curve, slope: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of function(x) - slope * x between the ends, exact where the pieces are straight."""

    def height(x: Tensor) -> Tensor:
        return function.value(x) - slope * x

    ends = [height(low), height(high)]
    ends += [height(low.clamp_min(knot).minimum(high)) for knot in function.knots]
    least, most = torch.stack(ends).amin(0), torch.stack(ends).amax(0)
    borders = (-torch.inf, *function.knots, torch.inf)
    for left, right, bend in zip(borders[:-1], borders[1:], function.bends, strict=True):
        if bend == 0:
            continue
        # An empty overlap becomes one of the ends, never a point outside them.
        start, end = low.clamp_min(left).minimum(high), high.clamp_max(right).maximum(low)
        turning, doubt = _turning_point(function, slope, start, end, bend)
        if bend > 0:
            least = torch.minimum(least, height(turning) - doubt)
        else:
            most = torch.maximum(most, height(turning) + doubt)
    return least, most


def _turning_point(
    function: Curve, slope: Tensor, start: Tensor, end: Tensor, bend: int
) -> tuple[Tensor, Tensor]:
    """Where function(x) - slope * x turns within one bent piece, and how far off its height may be.

    The derivative is monotone on the piece, so halving keeps the turning point (or the end nearest
    to it) in the bracket, and the height cannot differ by more than |derivative| * bracket.
    """
    for _ in range(HALVINGS):
        middle = start / 2 + end / 2
        past = bend * (function.slope(middle) - slope) > 0
        start, end = torch.where(past, start, middle), torch.where(past, middle, end)
    middle = start / 2 + end / 2
    return middle, (function.slope(middle) - slope).abs() * (end - start)


def window_lines(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lines below and above the maximum over dimension 2, (N, C, window, places).

    Below: the entry with the greatest lower end. Above: the same entry where no other can exceed
    it, otherwise the constant greatest upper end.

    Returns:
        Weights below (same shape), weights above (same shape), offset above (N, C, places).
    """
    floor, winner = low.max(2, keepdim=True)
    below = torch.zeros_like(low).scatter_(2, winner, 1.0)
    others = high.scatter(2, winner, -torch.inf)
    rival = others.amax(2, keepdim=True)
    decided = rival <= floor
    above = below * decided
    ceiling = high.amax(2, keepdim=True)
    offset = torch.where(decided, torch.zeros_like(ceiling), ceiling)
    return below, above, offset.squeeze(2)


def product_planes(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Planes below and above x * y over a box: (factor of x, factor of y, offset) each.

    Of the two planes on either side (McCormick 1976) the mean is taken: all their mixtures have the
    same height in the middle of the box, hence the same volume.
    """
    (lx, ux), (ly, uy) = first, second
    mx, my = lx / 2 + ux / 2, ly / 2 + uy / 2
    return (my, mx, -(lx * ly + ux * uy) / 2), (my, mx, -(ux * ly + lx * uy) / 2)


def curve(name: str, *parameters: float) -> Curve:
    """The description of an activation by its aten name, such as `relu` or `hardtanh`.

    Args:
        name: Name in the exported graph, without namespace and overload.
        parameters: Its numbers in the order of the graph: slope of `leaky_relu`, ends of
            `hardtanh`.

    Raises:
        KeyError: If the name is not one of the functions described here.
    """
    return CURVES[name](*parameters)


def _relu() -> Curve:
    return Curve(
        value=torch.relu,
        slope=lambda x: (x > 0).to(x),
        knots=(0.0,),
        bends=(0, 0),
        kink=True,
    )


def _leaky(slope: float = 0.01) -> Curve:
    def right_or_left(x: Tensor) -> Tensor:
        # Two bare numbers in `where` would pass through float32.
        return torch.ones_like(x).masked_fill(x <= 0, slope)

    return Curve(
        value=lambda x: torch.where(x > 0, x, slope * x),
        slope=right_or_left,
        knots=(0.0,),
        bends=(0, 0),
        steepest=max(1.0, abs(slope)),
        rising=slope >= 0,
        kink=slope <= 1,
    )


def _clipped(least: float = -1.0, most: float = 1.0) -> Curve:
    return Curve(
        value=lambda x: x.clamp(least, most),
        slope=lambda x: ((x > least) & (x < most)).to(x),
        knots=(least, most),
        bends=(0, 0, 0),
    )


def _hardsigmoid() -> Curve:
    return Curve(
        value=lambda x: (x / 6 + 0.5).clamp(0, 1),
        slope=lambda x: ((x > -3) & (x < 3)).to(x) / 6,  # noqa: PLR2004 - the function's definition
        knots=(-3.0, 3.0),
        bends=(0, 0, 0),
        steepest=1 / 6,
    )


def _hardswish() -> Curve:
    def slope(x: Tensor) -> Tensor:
        inner = x / 3 + 0.5
        return torch.where(x <= -3, 0.0, torch.where(x >= 3, 1.0, inner))  # noqa: PLR2004 - the function's definition

    return Curve(
        value=lambda x: x * (x / 6 + 0.5).clamp(0, 1),
        slope=slope,
        knots=(-3.0, 3.0),
        bends=(0, 1, 0),
        steepest=1.5,
        rising=False,
    )


def _sigmoid() -> Curve:
    return Curve(
        value=torch.sigmoid,
        slope=lambda x: torch.sigmoid(x) * torch.sigmoid(-x),
        knots=(0.0,),
        bends=(1, -1),
        steepest=0.25,
    )


def _tanh() -> Curve:
    return Curve(
        value=torch.tanh,
        slope=lambda x: 1 - torch.tanh(x) ** 2,
        knots=(0.0,),
        bends=(1, -1),
    )


def _silu() -> Curve:
    def slope(x: Tensor) -> Tensor:
        share = torch.sigmoid(x)
        return share * (1 + x * (1 - share))

    # The second derivative vanishes where x = 2 coth(x / 2).
    bend = 2.3993572805154676
    return Curve(
        value=functional.silu,
        slope=slope,
        knots=(-bend, bend),
        bends=(-1, 1, -1),
        steepest=1.1,
        rising=False,
    )


def _gelu() -> Curve:
    def slope(x: Tensor) -> Tensor:
        share: Tensor = 0.5 * (1 + torch.erf(x / 2**0.5))
        density: Tensor = torch.exp(-x * x / 2) / (2 * torch.pi) ** 0.5
        return share + x * density

    # The second derivative is density * (2 - x^2).
    bend = 2**0.5
    return Curve(
        value=functional.gelu,
        slope=slope,
        knots=(-bend, bend),
        bends=(-1, 1, -1),
        steepest=1.13,
        rising=False,
    )


CURVES: dict[str, Callable[..., Curve]] = {
    "relu": _relu,
    "relu6": lambda: _clipped(0.0, 6.0),
    "hardtanh": _clipped,
    "leaky_relu": _leaky,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "silu": _silu,
    "gelu": _gelu,
}

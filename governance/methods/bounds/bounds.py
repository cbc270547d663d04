"""Bounds: what a classifier's margins can be at the worst anywhere in a box of images.

A margin is f_c - f_other, the lead of the decided class over another. Bounding margins is always at
least as tight as bounding outputs one by one. Three methods, each sound by itself:

- `interval`: ranges pushed forward step by step (interval bound propagation, Gowal et al. 2018);
- `crown`: linear lower bounds pulled back from the margins to the image, with interval ranges for
  the curved steps (CROWN-IBP, Zhang et al. 2020);
- `tightened`: the same, after the ranges of the numbers that matter have been bounded by `crown`
  themselves: those that the box can move at all and whose curve bends between their ends.

The best of valid bounds is a valid bound. Arithmetic is float64; `rounding_slack` says how far the
deployed float32 arithmetic may stray from it, and every claim subtracts that slack. A bound that
is NaN or infinite proves nothing.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from governance.errors import AnalysisError
from governance.methods.bounds.affine import Range
from governance.methods.bounds.program import Program
from governance.records.numbers import number

__all__ = [
    "Method",
    "Ranges",
    "Slack",
    "interval_ranges",
    "lower",
    "margin_rows",
    "margins",
    "rounding_slack",
    "tightened_ranges",
]

Method = Literal["interval", "crown", "tightened"]

# float64 numbers that one batch of backward rows may hold per step: 128 MiB.
BATCH = 2**24
# Widening of ranges that were computed on two ways before they are intersected.
ROUNDING = 1e-9
SINGLE = 2.0**-24
# Logarithm of a probability below which float32 loses digits.
UNDERFLOW = -80.0


@dataclass(slots=True, kw_only=True, eq=False)
class Ranges:
    """Of every step so far: its range over a batch of boxes.

    Attributes:
        program: Network whose steps these are.
        spans: One range a step.
        relaxed: Enclosing lines by position, found when first asked for.
    """

    program: Program
    spans: list[Range]
    relaxed: dict[int, Any] = field(default_factory=dict)

    def lines(self, index: int) -> Any:
        """The enclosing lines of one step."""
        step = self.program.steps[index]
        if index not in self.relaxed and step.operator is not None:
            self.relaxed[index] = step.operator.relax([self.spans[at] for at in step.sources])
        return self.relaxed[index]


def interval_ranges(program: Program, low: Tensor, high: Tensor) -> Ranges:
    """Ranges of all steps over boxes with ends `low` and `high`, (N, *image) each."""
    found = Ranges(program=program, spans=[(low, high)])
    for index in range(1, len(program.steps)):
        _advance(program, found, index)
    return found


def _advance(program: Program, found: Ranges, index: int) -> None:
    step = program.steps[index]
    if step.operator is None:
        raise AnalysisError(f"step {step.name} has no operator; only the first is the image")
    sources = [found.spans[source] for source in step.sources]
    found.spans.append(step.operator.span(sources))


def lower(
    program: Program,
    ranges: Ranges,
    at: int,
    rows: Tensor,
    *,
    affine_only: bool = False,
) -> Tensor:
    """Lower bounds of linear functions of one step's output over the boxes of `ranges`.

    Args:
        program: The network.
        ranges: Ranges of all steps that `at` depends on, for N boxes.
        at: Position of the step.
        rows: (N or 1, S, *shape of the step) coefficients.
        affine_only: Whether to stop at the first curved step on each way back, which gives the
            interval bound of the margin.

    Returns:
        (N, S).
    """
    n = len(ranges.spans[0][0])
    pending = {at: rows.expand(n, *rows.shape[1:])}
    total = rows.new_zeros(n, rows.shape[1])
    while pending:
        # The latest step first: all that reads it has been pulled back by then.
        index = max(pending)
        weights = pending.pop(index)
        step = program.steps[index]
        curved = hasattr(step.operator, "loose")
        if step.operator is None or (affine_only and curved):
            total = total + _least(weights, ranges.spans[index])
            continue
        constant, back = step.operator.pull(weights, ranges.lines(index))
        total = total + constant
        for source, part in zip(step.sources, back, strict=True):
            pending[source] = pending[source] + part if source in pending else part
    return total


def _least(weights: Tensor, span: Range) -> Tensor:
    """Smallest value of weights * x over a range: (N, S) from (N, S, *shape)."""
    low, high = (end.flatten(1).unsqueeze(2) for end in span)
    flat = weights.flatten(2)
    centre = torch.bmm(flat, low / 2 + high / 2).squeeze(2)
    return centre - torch.bmm(flat.abs(), high / 2 - low / 2).squeeze(2)


def tightened_ranges(
    program: Program, low: Tensor, high: Tensor, *, neurons: int = 20_000
) -> Ranges:
    """Ranges over one box, narrowed by backward bounds wherever that can matter.

    Args:
        program: The network.
        low: (1, *image) lower end of the box.
        high: (1, *image) upper end.
        neurons: Most numbers to bound one by one, in order of the steps. A step that would need
            more than are left keeps its intervals, as do all later ones: sound, but seldom of use.
    """
    found = Ranges(program=program, spans=[(low, high)])
    curved = [False] * len(program.steps)
    for index, step in enumerate(program.steps[1:], start=1):
        loose = getattr(step.operator, "loose", None)
        curved[index] = loose is not None or any(curved[source] for source in step.sources)
        if loose is not None:
            masks = loose([found.spans[source] for source in step.sources])
            for source, mask in zip(step.sources, masks, strict=True):
                # In front of every curved step the interval is already exact.
                if curved[source]:
                    count = int(mask.sum())
                    if count > neurons:
                        neurons = 0
                        continue
                    neurons -= count
                    found.spans[source] = _narrowed(program, found, source, mask)
        _advance(program, found, index)
    return found


def _narrowed(program: Program, found: Ranges, at: int, mask: Tensor) -> Range:
    low, high = (end.clone() for end in found.spans[at])
    places = mask[0].flatten().nonzero().squeeze(1)
    size = max(math.prod(step.shape) for step in program.steps[: at + 1])
    flat_low, flat_high = low.view(-1), high.view(-1)
    for part in torch.split(places, max(1, BATCH // (4 * size))):
        rows = low.new_zeros(len(part), low[0].numel())
        rows[torch.arange(len(part)), part] = 1.0
        rows = rows.view(1, len(part), *low.shape[1:])
        ends = lower(program, found, at, torch.cat([rows, -rows], 1))[0]
        least, most = ends[: len(part)], -ends[len(part) :]
        least = least - ROUNDING * (1 + least.abs())
        most = most + ROUNDING * (1 + most.abs())
        flat_low[part] = torch.maximum(flat_low[part], least)
        flat_high[part] = torch.minimum(flat_high[part], most)
    # Ends that cross beyond rounding contradict each other: NaN, so that nothing is claimed.
    crossed = low > high
    low[crossed], high[crossed] = torch.nan, torch.nan
    return low, high


def margin_rows(classes: int, decided: int, rivals: Sequence[int], like: Tensor) -> Tensor:
    """Coefficients of f_decided - f_rival for each rival: (1, S, classes)."""
    rows = like.new_zeros(1, len(rivals), classes)
    for row, rival in enumerate(rivals):
        if rival == decided or not 0 <= rival < classes:
            raise AnalysisError(
                f"rival class {rival} of class {decided}; another class from 0 to {classes - 1} is "
                "accepted"
            )
        rows[0, row, decided], rows[0, row, rival] = 1.0, -1.0
    return rows


def margins(
    program: Program,
    low: Tensor,
    high: Tensor,
    rows: Tensor,
    method: Method,
    *,
    neurons: int = 20_000,
) -> Tensor:
    """Lower bounds of margins over boxes, the best that the method and the simpler ones give.

    Args:
        program: The network.
        low: (N, *image) lower ends, pixels as the program takes them.
        high: (N, *image) upper ends.
        rows: (1, S, classes) as from `margin_rows`.
        method: `tightened` includes `crown`, which includes `interval`.
        neurons: Maximum number of values bounded one by one, as in `tightened_ranges`.

    Returns:
        (N, S); a NaN means that nothing is known.
    """
    parts = []
    with torch.no_grad():
        for some in _batches(program, len(low), rows.shape[1], single=method == "tightened"):
            ends = (low[some].to(program.dtype), high[some].to(program.dtype))
            parts.append(_margins(program, ends, rows, method, neurons))
    return torch.cat(parts)


def _margins(program: Program, ends: Range, rows: Tensor, method: Method, neurons: int) -> Tensor:
    last = len(program.steps) - 1
    if method == "tightened":
        ranges = tightened_ranges(program, *ends, neurons=neurons)
    else:
        ranges = interval_ranges(program, *ends)
    found = lower(program, ranges, last, rows, affine_only=True)
    if method != "interval":
        # maximum, not fmax: a NaN on either way must stay one.
        found = torch.maximum(found, lower(program, ranges, last, rows))
    return found


def _batches(program: Program, n: int, rows: int, *, single: bool) -> Iterator[slice]:
    size = max(math.prod(step.shape) for step in program.steps)
    step = 1 if single else max(1, BATCH // (rows * size))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """What a margin must exceed 0 by, for rounding in the deployed arithmetic.

    Attributes:
        value: In the unit of the model's outputs.
        kind: `rigorous` (any order of summation) or `measured` (a multiple of the worst gap seen).
        observed: Largest difference seen between the deployed float32 model and float64.
    """

    value: float
    kind: Literal["rigorous", "measured"]
    observed: float


def rounding_slack(
    model: nn.Module, program: Program, images: Tensor, low: Tensor, high: Tensor, margin: float
) -> Slack:
    """How far float32 margins may stray from the program's float64 margins.

    The rigorous bound holds for IEEE float32 in any order of summation (not for TF32, bfloat16,
    Winograd or FFT convolutions, quantised exports). Where it exceeds a tenth of the margin it is
    useless, and a hundred times the worst gap observed on `images` is taken instead; it says so.

    Args:
        model: As deployed, in float32; takes pixels as the program does. Logarithms of its outputs
            if they are probabilities.
        program: The same network as read.
        images: (N, *image) float32, to observe the gap on.
        low: (1, *image) lower end of all boxes that claims are about.
        high: (1, *image) upper end.
        margin: Clean margin of the decision.

    Raises:
        AnalysisError: If the program does not compute what the model computes.
    """
    with torch.no_grad():
        deployed = model(images).to(program.dtype)
        exact = program.values(images)[-1]
        exact = exact.log_softmax(1) if program.softmax else exact
        # Probabilities that underflow have no logarithm to compare.
        seen = deployed > UNDERFLOW if program.softmax else torch.ones_like(exact).bool()
        gap = float((deployed - exact)[seen].abs().max())
        scale = float(exact.abs().max())
        # A misread graph is wrong by far more than rounding.
        if not gap <= 1e-2 * (1 + scale):
            raise AnalysisError(
                f"the steps read from the model differ from its output by {number(gap)}; outputs "
                "equal up to rounding are accepted"
            )
        rigorous = 2 * float(_rounding(program, low.to(program.dtype), high.to(program.dtype)))
    if rigorous <= 0.1 * margin:
        return Slack(value=rigorous, kind="rigorous", observed=gap)
    floor = SINGLE * (1 + scale)
    return Slack(value=100 * max(gap, floor), kind="measured", observed=gap)


def _rounding(program: Program, low: Tensor, high: Tensor) -> Tensor:
    """Largest rounding error of any output over a box, for IEEE single precision."""
    sizes = [torch.maximum(a.abs(), b.abs()) for a, b in interval_ranges(program, low, high).spans]
    # The image itself is rounded once on its way in.
    errors = [SINGLE * sizes[0]]
    for step in program.steps[1:]:
        assert step.operator is not None  # noqa: S101 - only the image has none
        errors.append(
            step.operator.rounding(
                [sizes[source] for source in step.sources],
                [errors[source] for source in step.sources],
                SINGLE,
            )
        )
    return errors[-1].max()

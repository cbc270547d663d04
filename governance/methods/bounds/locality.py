"""Locality: the part of a network that a patch of the image can reach, as a program of its own.

If only one patch moves, most numbers inside a convolutional network stand still. Here each step is
cut down to the window that the patch can reach; everything outside keeps its value for the given
image and becomes part of the offsets. The small program computes, for images that differ from the
given one inside the patch alone, exactly what the whole one computes, at a fraction of the cost.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from governance.methods.bounds.affine import Affine, Convolved, padding
from governance.methods.bounds.operators import Concatenation, Elementwise, Maximum, Product, Sum
from governance.methods.bounds.program import Program, Step

__all__ = ["Window", "localised"]

PICTURE = 3  # dimensions of (C, H, W)


class Window(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, x: Tensor) -> Tensor:
        """The window of (..., H, W)."""
        return x[..., self.top : self.bottom, self.left : self.right]

    def union(self, other: "Window") -> "Window":
        """The smallest window around both."""
        return Window(
            min(self.top, other.top), max(self.bottom, other.bottom),
            min(self.left, other.left), max(self.right, other.right),
        )  # fmt: skip

    def margins_to(self, outer: "Window") -> tuple[int, int, int, int]:
        """Left, right, top, bottom: what `pad` must add to fill `outer`; negative cuts away."""
        return (
            self.left - outer.left, outer.right - self.right,
            self.top - outer.top, outer.bottom - self.bottom,
        )  # fmt: skip


@dataclass(slots=True)
class _Piece:
    """A step of the whole program inside the small one: where it is, and which part of it."""

    place: int
    window: Window | None  # None: the whole output


def localised(program: Program, clean: list[Tensor], patch: Window) -> Program:
    """The steps that `patch` reaches, for images equal to the given one elsewhere.

    Args:
        program: The whole network.
        clean: Its `values` for the image, (1, *shape) each.
        patch: Part of the image that may differ.

    Returns:
        A program whose input is the patch, (C, rows, columns).
    """
    return _Builder(program, clean, patch).program()


class _Builder:
    """The small program so far."""

    def __init__(self, program: Program, clean: list[Tensor], patch: Window) -> None:
        self.whole = program
        self.clean = clean
        channels = program.steps[0].shape[0]
        shape = (channels, patch.bottom - patch.top, patch.right - patch.left)
        self.steps = [dataclasses.replace(program.steps[0], shape=shape)]
        self.pieces: dict[int, _Piece] = {0: _Piece(0, patch)}

    def program(self) -> Program:
        for index, step in enumerate(self.whole.steps[1:], start=1):
            self.pieces[index] = self._cut(index, step)
        last = len(self.whole.steps) - 1
        self._filled(last)
        return dataclasses.replace(self.whole, steps=tuple(self.steps))

    def _cut(self, index: int, step: Step) -> _Piece:
        pieces = [self.pieces[source] for source in step.sources]
        windows = [piece.window for piece in pieces]
        made = step.operator
        if all(window is not None for window in windows):
            if isinstance(made, Elementwise):
                return self._add(step, made, pieces, windows[0])
            if isinstance(made, Convolved):
                return self._convolution(index, step, made)
            if isinstance(made, Maximum):
                return self._maximum(step, made)
            same = len({self.whole.steps[source].shape for source in step.sources}) == 1
            channels = isinstance(made, Concatenation) and made.dimension == 1
            if channels or (isinstance(made, Sum | Product) and same):
                return self._joint(step)
            if isinstance(made, Affine) and made.pointwise:
                return self._add(step, made, pieces, windows[0])
        return self._whole(step)

    def _add(self, step: Step, made: object, pieces: list[_Piece], window: Window | None) -> _Piece:
        shape = step.shape
        if window is not None:
            shape = (*shape[:-2], window.bottom - window.top, window.right - window.left)
        places = tuple(piece.place for piece in pieces)
        self.steps.append(
            dataclasses.replace(step, operator=made, sources=places, shape=shape)  # type: ignore[arg-type]
        )
        return _Piece(len(self.steps) - 1, window)

    def _placed(self, source: int, window: Window) -> _Piece:
        """A source's piece grown to `window`, with the image's own values around it."""
        piece = self.pieces[source]
        if piece.window == window:
            return piece
        assert piece.window is not None  # noqa: S101 - callers have checked
        inner = piece.window
        widths = inner.margins_to(window)
        around = window.of(self.clean[source])
        offset = around - functional.pad(inner.of(self.clean[source]), widths)
        made = padding(self.steps[piece.place].shape, widths, around)
        made = dataclasses.replace(made, offset=lambda: offset)
        return self._add(self.whole.steps[source], made, [piece], window)

    def _filled(self, source: int) -> None:
        """Make a source's piece its whole output."""
        window = self.pieces[source].window
        if window is not None:
            *_, height, width = self.whole.steps[source].shape
            piece = self._placed(source, Window(0, height, 0, width))
            self.pieces[source] = _Piece(piece.place, None)

    def _convolution(self, index: int, step: Step, made: Convolved) -> _Piece:
        (source,) = step.sources
        piece = self.pieces[source]
        assert piece.window is not None  # noqa: S101 - callers have checked
        inner = piece.window
        reached = _reached(inner, made.kernel, made.stride, made.padding, made.dilation, step.shape)
        if reached is None:
            return self._still(index, step, piece)
        region = _needed(reached, made.kernel, made.stride, made.padding, made.dilation)
        widths = inner.margins_to(region)
        cut = made.cut(self.steps[piece.place].shape, widths)
        inside = inner.of(self.clean[source])
        offset = reached.of(self.clean[index]) - cut.linear(inside)
        cut = dataclasses.replace(cut, offset=lambda: offset)
        return self._add(step, cut, [piece], reached)

    def _maximum(self, step: Step, made: Maximum) -> _Piece:
        (source,) = step.sources
        inner = self.pieces[source].window
        assert inner is not None  # noqa: S101 - callers have checked
        left, _, top, _ = made.padding
        reached = _reached(inner, made.kernel, made.stride, (top, left), made.dilation, step.shape)
        if reached is None:
            reached = Window(0, 1, 0, 1)
        region = _needed(reached, made.kernel, made.stride, (top, left), made.dilation)
        channels, height, width = made.source
        seen = Window(
            max(0, region.top), min(height, region.bottom),
            max(0, region.left), min(width, region.right),
        )  # fmt: skip
        # A window may skip rows at the far side that the patch holds; they reach nothing.
        piece = self._placed(source, seen)
        made = dataclasses.replace(
            made,
            source=(channels, seen.bottom - seen.top, seen.right - seen.left),
            padding=seen.margins_to(region),
            output=(reached.bottom - reached.top, reached.right - reached.left),
        )
        return self._add(step, made, [piece], reached)

    def _joint(self, step: Step) -> _Piece:
        windows = [self.pieces[source].window for source in step.sources]
        joint = windows[0]
        for window in windows[1:]:
            assert joint is not None  # noqa: S101 - callers have checked
            assert window is not None  # noqa: S101 - callers have checked
            joint = joint.union(window)
        assert joint is not None  # noqa: S101 - callers have checked
        pieces = [self._placed(source, joint) for source in step.sources]
        made = step.operator
        if isinstance(made, Sum | Product):
            size = (joint.bottom - joint.top, joint.right - joint.left)
            shapes = tuple((*shape[:-2], *size) for shape in made.shapes)
            made = dataclasses.replace(made, shapes=shapes)  # type: ignore[arg-type]
        return self._add(step, made, pieces, joint)

    def _still(self, index: int, step: Step, piece: _Piece) -> _Piece:
        """A step that the patch does not reach: its value, with zero weights on the source."""
        value = self.clean[index]
        shape = self.steps[piece.place].shape
        made = Affine(
            linear=lambda x: x.new_zeros(len(x), *step.shape),
            absolute=lambda x: x.new_zeros(len(x), *step.shape),
            adjoint=lambda y: y.new_zeros(len(y), *shape),
            offset=lambda: value,
        )
        return self._add(step, made, [piece], None)

    def _whole(self, step: Step) -> _Piece:
        """A step taken whole, then cut to what can differ if that is less."""
        made = step.operator
        before = self.pieces[step.sources[0]].window
        for source in step.sources:
            self._filled(source)
        piece = self._add(step, made, [self.pieces[source] for source in step.sources], None)
        if before is None or not isinstance(made, Affine) or len(step.shape) != PICTURE:
            return piece
        mark = torch.zeros_like(self.clean[step.sources[0]])
        before.of(mark).fill_(1.0)
        differs = made.absolute(mark)[0].amax(0) > 0
        rows, columns = differs.any(1).nonzero(), differs.any(0).nonzero()
        if len(rows) == 0 or bool(differs.all()):
            return piece
        window = Window(
            int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1
        )
        whole = Window(0, step.shape[1], 0, step.shape[2])
        cut = padding(step.shape, whole.margins_to(window), mark)
        return self._add(step, cut, [piece], window)


def _reached(
    inner: Window,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    shape: tuple[int, ...],
) -> Window | None:
    """Outputs whose windows overlap `inner`; None where there are none."""
    ends = []
    for axis, (start, stop) in enumerate([(inner.top, inner.bottom), (inner.left, inner.right)]):
        reach = dilation[axis] * (kernel[axis] - 1)
        first = max(0, math.ceil((start + padding[axis] - reach) / stride[axis]))
        last = min(shape[axis + 1] - 1, (stop - 1 + padding[axis]) // stride[axis])
        if first > last:
            return None
        ends += [first, last + 1]
    return Window(*ends)


def _needed(
    reached: Window,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Window:
    """Inputs behind `reached`, which may lie outside the picture."""
    ends = []
    for axis, (start, stop) in enumerate(
        [(reached.top, reached.bottom), (reached.left, reached.right)]
    ):
        first = start * stride[axis] - padding[axis]
        last = (stop - 1) * stride[axis] - padding[axis] + dilation[axis] * (kernel[axis] - 1)
        ends += [first, last + 1]
    return Window(*ends)

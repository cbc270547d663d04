"""Layouts: where an activation has its channels, and where in the image its places lie.

A convolution gives maps, (B, C, H, W). A transformer or a mixer gives tokens, (B, T, C), or maps
with the channels last, (B, H, W, C); its tokens are the places of the last maps before them, row by
row, with a class token or registers in front or behind. Which of these an activation is follows
from the operations between it and a convolution. Where it does not follow, the activation has no
layout, and nothing is said about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from torch import Tensor

from governance.methods.network.operations import Operation

__all__ = ["MAPS", "Layout", "layouts"]

PLANES, TOKENS = 4, 3  # dimensions of a batch
TURNING = {"moveaxis", "movedim", "permute", "swapaxes", "swapdims", "transpose"}
RESHAPING = {"flatten", "reshape", "reshapeas", "unflatten", "unsafeview", "view", "viewas"}
TAKING = {"getitem", "narrow", "slice"}
# Every number of their result comes from all places or all channels.
MIXING = {"baddbmm", "bmm", "einsum", "matmul", "scaleddotproductattention"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where an activation has its channels and its places.

    Attributes:
        axis: Axis of the channels.
        grid: Height and width of the places.
        flat: Whether the places lie along one axis, as tokens.
        before: Tokens without a place, in front of the others.
        after: Tokens without a place, behind the others.
    """

    axis: int
    grid: tuple[int, int]
    flat: bool = False
    before: int = 0
    after: int = 0

    def opened(self, value: Tensor) -> Tensor:
        """The activation as maps (B, C, H, W); as (B, C, T, 1) where tokens have no place."""
        if not self.flat:
            return value if self.axis == 1 else value.permute(0, 3, 1, 2)
        tokens = value if self.axis == 1 else value.transpose(1, 2)
        shape = (-1, 1) if self.before or self.after else self.grid
        return tokens.reshape(*tokens.shape[:2], *shape)

    def closed(self, value: Tensor) -> Tensor:
        """What `opened` was given, from what it returned."""
        if not self.flat:
            return value if self.axis == 1 else value.permute(0, 2, 3, 1).contiguous()
        tokens = value.flatten(2)
        return tokens if self.axis == 1 else tokens.transpose(1, 2).contiguous()

    def on_image(self, value: Tensor) -> Tensor:
        """Of what `opened` returned, the maps (B, C, H, W) of the tokens that have a place."""
        if not self.before and not self.after:
            return value
        placed = value[:, :, self.before : self.before + prod(self.grid), 0]
        return placed.reshape(*placed.shape[:2], *self.grid)

    def placeless(self, value: Tensor) -> Tensor:
        """Of what `opened` returned, the tokens without a place, (B, C, E)."""
        if not self.before and not self.after:
            return value[:, :, :0, 0]
        end = self.before + prod(self.grid)
        return value[:, :, [*range(self.before), *range(end, value.shape[2])], 0]


#: Maps (B, C, H, W), as a convolution gives them.
MAPS = Layout(axis=1, grid=(0, 0))


def layouts(operations: Sequence[Operation]) -> tuple[Layout | None, ...]:
    """Layout of the output of each operation; None where it is not known.

    Args:
        operations: In order of execution; the first gives the images.
    """
    images = operations[0].shape or (0,)
    found: list[Layout | None] = []
    known: dict[tuple[int, ...], Layout] = {}
    # The last operation with a layout that each one only rearranges.
    origins: list[int] = []
    for index, operation in enumerate(operations):
        shape, layout = operation.shape, None
        moved = operation.kind in TURNING | RESHAPING and bool(operation.inputs)
        origin = origins[operation.inputs[0]] if moved else index
        if found and shape and shape[0] == images[0] and len(shape) in {TOKENS, PLANES}:
            layout = _of(operation, operations, found) or known.get(shape)
            if layout is None and len(shape) == PLANES:
                layout = _merged(shape, operations[origin].shape or (), found[origin:][:1], known)
            if layout is not None:
                # Views into windows and heads lose the trace; back in this shape, it is this again.
                known[shape] = layout
        found.append(layout)
        origins.append(origin if layout is None else index)
    return tuple(found)


def _merged(
    shape: tuple[int, ...],
    source: tuple[int, ...],
    origin: Sequence[Layout | None],
    known: Mapping[tuple[int, ...], Layout],
) -> Layout | None:
    """Maps whose numbers were only rearranged: neighbours to channels, or back in known places."""
    grids = {layout.grid for layout in known.values()}
    if origin and (before := origin[0]) and not before.flat and prod(shape) == prod(source):
        grid = (shape[2], shape[3]) if before.axis == 1 else (shape[1], shape[2])
        side = before.grid[0] // grid[0]
        if side > 1 and before.grid == (side * grid[0], side * grid[1]):
            return Layout(axis=before.axis, grid=grid)
    return Layout(axis=1, grid=(shape[2], shape[3])) if shape[2:] in grids else None


def _of(
    operation: Operation, operations: Sequence[Operation], found: Sequence[Layout | None]
) -> Layout | None:
    shape = operation.shape or ()
    if operation.kind == "conv2d":
        return Layout(axis=1, grid=(shape[2], shape[3])) if len(shape) == PLANES else None
    if operation.kind in MIXING:
        return None
    for place, read in enumerate(operation.inputs):
        layout, source = found[read], operations[read].shape or ()
        if layout is None:
            continue
        ends = (place == 0, place == len(operation.inputs) - 1)
        if (passed := _passed(operation.kind, shape, source, layout, ends)) is not None:
            return passed
    return None


def _passed(
    kind: str,
    shape: tuple[int, ...],
    source: tuple[int, ...],
    layout: Layout,
    ends: tuple[bool, bool],
) -> Layout | None:
    """Layout of what one step makes of an activation; `ends`: whether it reads it first or last."""
    if kind in TURNING:
        return _turned(shape, source, layout)
    if kind in RESHAPING and shape != source:
        return _reshaped(shape, source, layout)
    if len(shape) != len(source) or (kind == "linear" and layout.axis != len(shape) - 1):
        return None
    if layout.flat:
        return _counted(kind, shape, source, layout, ends)
    grid = (shape[2], shape[3]) if layout.axis == 1 else (shape[1], shape[2])
    return Layout(axis=layout.axis, grid=grid)


def _turned(shape: tuple[int, ...], source: tuple[int, ...], layout: Layout) -> Layout | None:
    last = len(shape) - 1
    other = last if layout.axis == 1 else 1
    if len(shape) != len(source):
        return None
    if shape[other] == source[layout.axis] and sorted(shape) == sorted(source):
        return replace(layout, axis=other)
    return layout if shape == source else None


def _reshaped(shape: tuple[int, ...], source: tuple[int, ...], layout: Layout) -> Layout | None:
    """Places laid out along one axis, or back in two; anything else is not followed."""
    channels = source[layout.axis]
    if not layout.flat and len(shape) == TOKENS:
        axis = 1 if layout.axis == 1 else TOKENS - 1
        kept = shape[axis] == channels and prod(shape) == prod(source)
        return Layout(axis=axis, grid=layout.grid, flat=True) if kept else None
    if layout.flat and len(shape) == PLANES and not layout.before and not layout.after:
        axis = 1 if layout.axis == 1 else PLANES - 1
        grid = (shape[2], shape[3]) if axis == 1 else (shape[1], shape[2])
        kept = shape[axis] == channels and prod(shape) == prod(source)
        return Layout(axis=axis, grid=grid) if kept else None
    return None


def _counted(
    kind: str,
    shape: tuple[int, ...],
    source: tuple[int, ...],
    layout: Layout,
    ends: tuple[bool, bool],
) -> Layout | None:
    """Tokens as before, or with others put to them or taken away that have no place."""
    along = TOKENS - layout.axis
    more = shape[along] - source[along]
    if more == 0:
        return layout
    if kind in {"cat", "concat", "concatenate"} and more > 0:
        first, last = ends
        # Put in front, the others are read first.
        if last:
            return replace(layout, before=layout.before + more)
        return replace(layout, after=layout.after + more) if first else None
    if kind in TAKING and shape[along] == prod(layout.grid):
        return replace(layout, before=0, after=0)
    return None

"""Smooth masks: smooth transitions between an image and its fill image, from a grid of numbers.

A node of the grid keeps its surroundings (1) or gives them to the baseline (0); between the nodes
a mask is bilinear. A mask may be shifted against the image by up to one cell, as in RISE (Petsiuk,
Das, Saenko 2018): many shifted masks of a coarse grid together see finer than the grid.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.methods.masking import Forward

__all__ = ["TINY", "Masks", "Trials", "at_nodes", "random_shift", "rendered", "resized", "spread"]

Numbers = NDArray[np.float64]

TINY = 1e-7  # probabilities are taken no nearer to 0 and 1


class Masks(NamedTuple):
    """Masks as the numbers at the nodes of their grids.

    Attributes:
        nodes: (B, n, n) in [0, 1]: 1 keeps the image, 0 shows the baseline.
        shift: (B, 2) down and right, in cells from 0 to 1.
        grid: Cells of the image a side. Shifted masks need one node more, n = grid + 1.
    """

    nodes: Numbers
    shift: Numbers
    grid: int

    def part(self, start: int, stop: int) -> "Masks":
        """Masks `start` to `stop`."""
        return self._replace(nodes=self.nodes[start:stop], shift=self.shift[start:stop])


def spread(side: int, nodes: int, grid: int, shift: Numbers) -> Numbers:
    """Weights of bilinear interpolation along one axis: (B, side, nodes), each row sums to 1.

    Args:
        side: Pixels of the axis.
        nodes: Number of nodes of the mask along it.
        grid: Cells of the axis; a node stands in the middle of its cell where nothing is shifted.
        shift: (B,) in cells.
    """
    place = (np.arange(side) + 0.5) * grid / side - 0.5 + shift[:, None]
    inside = np.clip(place, 0, nodes - 1)
    return np.asarray(np.clip(1 - np.abs(inside[:, :, None] - np.arange(nodes)), 0, 1))


def rendered(masks: Masks, height: int, width: int) -> Numbers:
    """The masks at a given size, (B, height, width)."""
    count = masks.nodes.shape[1]
    down = spread(height, count, masks.grid, masks.shift[:, 0])
    right = spread(width, count, masks.grid, masks.shift[:, 1])
    return np.asarray(down @ masks.nodes @ right.transpose(0, 2, 1))


def resized(values: Numbers, height: int, width: int) -> Numbers:
    """Cells (r, c) as a smooth field (height, width), bilinear."""
    still = np.zeros(1)
    down, right = (
        spread(side, cells, cells, still)[0]
        for side, cells in zip((height, width), values.shape, strict=True)
    )
    return np.asarray(down @ values @ right.T)


def at_nodes(field: Numbers, grid: int, shift: Numbers) -> Numbers:
    """A field (r, r) over the image where the nodes of shifted masks stand: (B, n, n), bilinear.

    Args:
        field: Places, each in the middle of its part of the image; beyond, the border goes on.
        grid: Cells of the masks a side; n = grid + 1.
        shift: (B, 2) of the masks.
    """
    side = len(field)
    place = (np.arange(grid + 1) + 0.5 - shift[:, :, None]) * side / grid - 0.5
    inside = np.clip(place, 0, side - 1)[..., None]
    weight = np.clip(1 - np.abs(inside - np.arange(side)), 0, 1)
    return np.asarray(weight[:, 0] @ field @ weight[:, 1].transpose(0, 2, 1))


def random_shift(count: int, rng: np.random.Generator) -> Numbers:
    """Shifts of `count` masks, (count, 2), uniform over a cell."""
    return rng.random((count, 2))


class Trials:
    """Every smooth mask tried on an image, with the probability of the target.

    Attributes:
        full: Probability of the target that masks are held against: of the full image.
        budget: Forward passes of single images, at most.
        spent: Forward passes so far, all of them.
        p: (tried,) probability of the target.
    """

    def __init__(
        self,
        forward: Forward,
        image: Tensor,
        replacement: Tensor,
        *,
        target: int,
        full: float,
        budget: int,
    ) -> None:
        self.full = max(full, TINY)
        self.budget = budget
        self.spent = forward.passes
        self._tried: list[Masks] = []
        self.p: Numbers = np.empty(0)
        self._forward = forward
        self._image, self._step, self._target = replacement, image - replacement, target

    @property
    def left(self) -> int:
        """Forward passes that may still be made."""
        return self.budget - self.spent

    @property
    def masks(self) -> Masks:
        """All masks tried, in order; at least one call came before."""
        return self._tried[0]._replace(
            nodes=np.concatenate([masks.nodes for masks in self._tried]),
            shift=np.concatenate([masks.shift for masks in self._tried]),
        )

    def evaluate(self, masks: Masks) -> Numbers:
        """Probability of the target under as many of the masks as the budget allows, (b,)."""
        masks = masks.part(0, self.left)
        if not len(masks.nodes):
            return np.empty(0)
        told = self._forward(len(masks.nodes), self._composed(masks))[:, self._target]
        p = told.astype(np.float64)
        self.spent = self._forward.passes
        self.p = np.concatenate([self.p, p])
        self._tried.append(masks)
        return p

    def _composed(self, masks: Masks) -> Callable[[int, int], Tensor]:
        height, width = self._image.shape[1:]

        def compose(start: int, stop: int) -> Tensor:
            some = masks.part(start, stop)
            weights = [
                torch.from_numpy(
                    spread(side, masks.nodes.shape[1], masks.grid, some.shift[:, axis])
                )
                for axis, side in enumerate((height, width))
            ]
            down, right, nodes = (
                part.to(self._image) for part in (*weights, torch.from_numpy(some.nodes))
            )
            mask = down @ nodes @ right.mT
            return torch.addcmul(self._image, mask[:, None], self._step).clamp_(0, 1)

        return compose

"""Cases: one image, its decision, and the boxes of images that are asked about.

A box holds every image whose pixels differ from the given one by at most the radius (l-infinity),
clipped to [0, 1], before the network's normalisation. Two kinds: `solo`, only this patch moves, and
`drop`, everything but this patch moves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from governance.errors import AnalysisError
from governance.methods.bounds.attack import lead
from governance.methods.bounds.bounds import Slack, rounding_slack
from governance.methods.bounds.locality import Window
from governance.methods.bounds.program import Program
from governance.methods.image_tensors import Images, image_tensor
from governance.records.numbers import number
from governance.subject.network import tensor_digest
from governance.subject.preprocessing import Preprocessing

__all__ = ["Case", "Deployed", "Mode", "boxes", "case_of", "deployed", "patches"]

Mode = Literal["solo", "drop"]


class Deployed(nn.Module):
    """A model behind its normalisation: pixels in [0, 1] to outputs."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, flip: bool, mean: Tensor, std: Tensor) -> None:  # noqa: FBT001 - positional in one place
        super().__init__()
        self.model = model
        self.flip = flip
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("std", std.view(1, -1, 1, 1))
        self.training = False

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalisation, then the model."""
        ordered = pixels.flip(1) if self.flip else pixels
        outputs: Tensor = self.model((ordered - self.mean) / self.std)
        return outputs


class LogProbabilities(nn.Module):
    """A model that returns probabilities, with differences as before its softmax."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = False

    def forward(self, pixels: Tensor) -> Tensor:
        """Logarithms of the model's outputs."""
        outputs: Tensor = self.model(pixels)
        return outputs.log()


def _probabilities(outputs: Tensor) -> bool:
    return bool((outputs >= 0).all() and ((outputs.sum(1) - 1).abs() < 1e-3).all())  # noqa: PLR2004 - float32 sums


def deployed(
    model: nn.Module,
    channels: int,
    preprocess: Preprocessing | Callable[[Tensor], Tensor] | None = None,
    device: torch.device | None = None,
) -> Deployed:
    """The model as a function of pixels.

    Args:
        model: Maps normalised images to outputs.
        channels: Number of channels of the image.
        preprocess: Mean and std as declared, or any function of (N, C, H, W) that is affine per
            channel; None for none.
        device: Device of the model.

    Raises:
        AnalysisError: If the preprocessing is not affine per channel.
    """
    flip = False
    mean, std = torch.zeros(channels), torch.ones(channels)
    if isinstance(preprocess, Preprocessing):
        flip = preprocess.channels == "bgr"
        mean, std = torch.tensor(preprocess.mean), torch.tensor(preprocess.std)
    elif preprocess is not None:
        mean, std = _affine_per_channel(preprocess, channels)
    return Deployed(model, flip, mean.to(device), std.to(device))


def _affine_per_channel(
    preprocess: Callable[[Tensor], Tensor], channels: int
) -> tuple[Tensor, Tensor]:
    shape = (1, channels, 8, 8)
    generator = torch.Generator().manual_seed(0)
    probe = torch.rand(shape, generator=generator)
    with torch.no_grad():
        zero, one, seen = (preprocess(x) for x in (torch.zeros(shape), torch.ones(shape), probe))
    problem = "the preprocessing is not affine per channel; (x - mean) / std is accepted"
    if any(found.shape != torch.Size(shape) for found in (zero, one, seen)):
        raise AnalysisError(problem)
    offset = zero.mean((0, 2, 3), keepdim=True)
    factor = one.mean((0, 2, 3), keepdim=True) - offset
    fits = [
        torch.allclose(found, offset + factor * x, rtol=1e-4, atol=1e-5)
        for x, found in ((0.0 * probe, zero), (0.0 * probe + 1, one), (probe, seen))
    ]
    if not all(fits) or not (factor > 0).all():
        raise AnalysisError(problem)
    return (-offset / factor).flatten(), (1 / factor).flatten()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One image with its decision, ready to be asked about.

    Attributes:
        model: As deployed, float32, pixels to outputs; to their logarithms if they are
            probabilities, so that margins are those before the softmax.
        program: The same network in float64 steps; None if it cannot be bounded.
        refusal: Reason why it cannot be bounded; None where it can.
        image: (1, C, H, W) float32 in [0, 1].
        clean: The program's values for it; empty without a program.
        decided: The class the deployed model gives.
        rival: The only class to hold it against; None for every other.
        margin: Lead of the decided class in the deployed model.
        slack: For rounding; None without a program.
        digest: Sha256 of the weights.
    """

    model: nn.Module
    program: Program | None
    refusal: str | None
    image: Tensor
    clean: list[Tensor]
    decided: int
    rival: int | None
    margin: float
    slack: Slack | None
    digest: str


def case_of(
    model: Deployed, program: Program | str, image: Images, target: int | None, reach: float
) -> Case:
    """An image's case.

    Args:
        model: Model behind its normalisation, from `deployed`.
        program: Steps read from it, or the reason why it could not be read.
        image: (C, H, W) in [0, 1].
        target: The only rival class; None for every other.
        reach: Largest radius that will be asked about.

    Raises:
        AnalysisError: For an image outside [0, 1], non-finite outputs, a target that is no rival.
    """
    pixels = image_tensor(image, "image", dimensions=3)
    if not bool(((pixels >= 0) & (pixels <= 1)).all()):
        raise AnalysisError(
            f"image of shape {tuple(pixels.shape)} with values from "
            f"{number(float(pixels.min()))} to {number(float(pixels.max()))}; (C, H, W) in [0, 1] "
            "is accepted"
        )
    x = pixels[None].to(torch.float32).contiguous()
    with torch.no_grad():
        outputs = model(x)
    if outputs.ndim != 2 or not torch.isfinite(outputs).all():  # noqa: PLR2004 - (N, classes)
        raise AnalysisError("the model's outputs are not (N, classes) finite numbers")
    decided = int(outputs.argmax())
    if target is not None and (target == decided or not 0 <= target < outputs.shape[1]):
        raise AnalysisError(
            f"target = {target} where the decision is {decided}; another class from 0 to "
            f"{outputs.shape[1] - 1} is accepted"
        )
    scores: nn.Module = model
    if isinstance(program, Program) and program.softmax and _probabilities(outputs):
        scores = LogProbabilities(model)
    with torch.no_grad():
        margin = float(lead(scores(x), decided, target))
    clean: list[Tensor] = []
    slack = None
    if isinstance(program, Program):
        with torch.no_grad():
            clean = program.values(x)
        ends = (x - reach).clamp(0, 1), (x + reach).clamp(0, 1)
        slack = rounding_slack(scores, program, torch.cat([x, *ends]), *ends, margin)
    return Case(
        model=scores,
        program=program if isinstance(program, Program) else None,
        refusal=program if isinstance(program, str) else None,
        image=x,
        clean=clean,
        decided=decided,
        rival=target,
        margin=margin,
        slack=slack,
        digest=tensor_digest(model.model),
    )


def patches(height: int, width: int, grid: tuple[int, int]) -> tuple[Window, ...]:
    """Patches of a grid in row order; sizes differ by at most one pixel.

    Raises:
        AnalysisError: If the grid has more rows or columns than the image has pixels.
    """
    rows, columns = grid
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise AnalysisError(
            f"a grid of {rows} x {columns} on {height} x {width} pixels; 1 to as many as there are "
            "pixels is accepted"
        )
    down = np.linspace(0, height, rows + 1).round().astype(int)
    across = np.linspace(0, width, columns + 1).round().astype(int)
    return tuple(
        Window(int(top), int(bottom), int(left), int(right))
        for top, bottom in pairwise(down)
        for left, right in pairwise(across)
    )


def boxes(
    image: Tensor,
    windows: Sequence[Window],
    radii: Sequence[float],
    mode: Mode,
    sign: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Ends of one box a patch, (N, C, H, W) float64, clipped to [0, 1].

    Args:
        image: (1, C, H, W).
        windows: N patches.
        radii: Radius of each patch, in pixel values.
        mode: Whether only the patch moves, or everything else.
        sign: 1 if pixels may only grow brighter, -1 if only darker, None for both.

    Raises:
        AnalysisError: For a radius outside (0, 1] or another sign.
    """
    if any(not 0 < radius <= 1 for radius in radii):
        raise AnalysisError(f"radius {list(radii)}: above 0 and at most 1 is accepted")
    if sign not in {None, 1, -1}:
        raise AnalysisError(f"sign = {sign}: 1, -1 or None is accepted")
    exact = image.to(torch.float64)
    moving = exact.new_zeros(len(windows), *exact.shape[1:])
    for row, window in zip(moving, windows, strict=True):
        window.of(row).fill_(1.0)
    if mode == "drop":
        moving = 1 - moving
    reach = moving * torch.tensor(radii, dtype=torch.float64, device=image.device).view(-1, 1, 1, 1)
    low = exact if sign == 1 else (exact - reach).clamp(0, 1)
    high = exact if sign == -1 else (exact + reach).clamp(0, 1)
    return low.expand_as(reach), high.expand_as(reach)

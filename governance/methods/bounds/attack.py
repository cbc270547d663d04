"""Attack: search for an image in a box that changes the decision.

Projected gradient descent on the margin (Madry et al. 2018), from the image itself and from random
points of the box, each first with one step to a corner. What is found counts only after it has been
run again, alone, through the deployed model: a found image is a fact about the model, no estimate.
That nothing is found proves nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Attack", "attack"]

Model = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attack:
    """What an attack reached in each of N boxes.

    Attributes:
        margins: (N,) smallest margin found, as the deployed model gives it for that image alone.
        images: (N, C, H, W) float32, where it was found.
        flipped: (N,) whether another class (the rival, if one is named) is ahead or equal there.
    """

    margins: Tensor
    images: Tensor
    flipped: Tensor


def attack(
    model: Model,
    image: Tensor,
    low: Tensor,
    high: Tensor,
    decided: int,
    generator: torch.Generator,
    *,
    rival: int | None = None,
    steps: int = 20,
    restarts: int = 2,
    batch: int = 64,
) -> Attack:
    """The smallest margin that projected gradient descent finds in each box.

    Args:
        model: Model as deployed, from pixels to outputs; left as found.
        image: (1, C, H, W) float32 with its decision.
        low: (N, C, H, W) lower ends of the boxes.
        high: (N, C, H, W) upper ends.
        decided: The class whose lead is attacked.
        generator: Source of the random starts.
        rival: The class to be put ahead; None for any.
        steps: Gradient steps per restart.
        restarts: The first starts at the image, the others at random points.
        batch: Boxes per forward pass.
    """
    low, high = _inside_float32(low, high)
    best = torch.full((len(low),), torch.inf, device=low.device)
    where = image.repeat(len(low), 1, 1, 1).clamp(low, high)
    for some in torch.split(torch.arange(len(low), device=low.device), batch):
        for restart in range(restarts):
            ends = (low[some], high[some])
            start = where[some] if restart == 0 else image.clamp(*ends)
            if restart:
                noise = torch.rand(start.shape, generator=generator, device="cpu").to(start)
                start = ends[0] + noise * (ends[1] - ends[0])
            found, points = _descend(model, start, ends, decided, rival, steps)
            better = found < best[some]
            best[some[better]] = found[better]
            where[some[better]] = points[better]
    with torch.no_grad():
        alone = [lead(model(point[None]), decided, rival) for point in where]
    margins = torch.cat(alone).to(best)
    return Attack(margins=margins, images=where, flipped=margins <= 0)


def lead(outputs: Tensor, decided: int, rival: int | None) -> Tensor:
    """Margin of a class over the rival, or over the best other class: (N,) from (N, classes)."""
    if rival is not None:
        return outputs[:, decided] - outputs[:, rival]
    others = outputs.clone()
    others[:, decided] = -torch.inf
    return outputs[:, decided] - others.amax(1)


def _descend(
    model: Model,
    start: Tensor,
    ends: tuple[Tensor, Tensor],
    decided: int,
    rival: int | None,
    steps: int,
) -> tuple[Tensor, Tensor]:
    low, high = ends
    x = start
    best = torch.full((len(x),), torch.inf, device=x.device)
    where = x.clone()
    for step in range(steps + 1):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            found = lead(model(x), decided, rival)
            (gradient,) = torch.autograd.grad(found.sum(), x)
        found = found.detach().to(best)
        better = found < best
        best[better], where[better] = found[better], x.detach()[better]
        # A full step to a corner first, then steps that shrink to a tenth of the box.
        size = 1.0 if step == 0 else 0.5 * 0.2 ** (step / steps)
        x = torch.clamp(x.detach() - size * (high - low) * gradient.sign(), low, high)
    return best, where


def _inside_float32(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The box's ends rounded inwards, so that no float32 image lies outside the claimed box."""
    least, most = low.to(torch.float32), high.to(torch.float32)
    least = torch.where(least.to(low) < low, torch.nextafter(least, most), least)
    most = torch.where(most.to(high) > high, torch.nextafter(most, least), most)
    return least, torch.maximum(least, most)

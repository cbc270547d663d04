"""Training: networks whose decisions can be certified.

A network trained as usual is rarely provable: its bounds are far wider than what it really does.
`certified_finetune` trains on the bounds themselves, which costs some accuracy on clean images and
makes proofs cheap and tight.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from governance.errors import AnalysisError
from governance.methods.bounds.bounds import interval_ranges, lower
from governance.methods.bounds.cases import deployed
from governance.methods.bounds.program import Program, read
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.subject.preprocessing import Preprocessing

__all__ = ["Finetuned", "certified_finetune"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finetuned:
    """A network trained on its bounds, and what that cost.

    Attributes:
        model: The trained copy, in evaluation mode.
        eps: Radius in pixel values that it was trained for.
        accuracy_before: Share of the training images answered rightly by the given network.
        accuracy_after: Share of the training images answered rightly by the trained copy.
        certified: Share of the training images answered rightly and proven so by intervals. On
            images that were not trained on it is lower: ask `verified_perturbation`.
        losses: Mean loss of each epoch.
    """

    model: nn.Module
    eps: float
    accuracy_before: float
    accuracy_after: float
    certified: float
    losses: tuple[float, ...]


def certified_finetune(
    model: nn.Module,
    images: Images,
    labels: ArrayLike,
    *,
    eps: float,
    preprocess: Preprocessing | Callable[[Tensor], Tensor] | None = None,
    epochs: int = 20,
    batch: int = 64,
    rate: float = 1e-3,
    weight: float = 0.5,
    warm_up: float = 0.1,
    ramp: float = 0.6,
    seed: int = 0,
) -> Finetuned:
    """Train a copy of a network so that interval bounds prove its decisions.

    The loss is cross-entropy of the images mixed with cross-entropy of the worst outputs that
    interval bounds allow in a box around them. Asked for at full size from the start this trains
    nothing but constants, so the schedule has three parts: clean images alone (`warm_up`); then box
    and share of the worst case grow together from nothing to `eps` and `weight` (`ramp`); then both
    stay while the learning rate falls to zero. Convolutions and linear layers are trained;
    normalisation stays as it is, dropout stays off.

    The cost: clean accuracy falls, the more the larger `eps` is; `benchmarks/results/verified.md`
    has figures.

    Args:
        model: An eager module in evaluation mode; left as found.
        images: (N, C, H, W) in [0, 1].
        labels: (N,) class of each.
        eps: Radius in pixel values, above 0 and at most 1.
        preprocess: Normalisation that stands before the model.
        epochs: Passes over the images.
        batch: Images per step.
        rate: Highest learning rate of Adam.
        weight: Share of the worst case in the final loss.
        warm_up: Share of all steps on clean images alone.
        ramp: Share of all steps in which box and weight grow.
        seed: Seed of the order of images.

    Raises:
        AnalysisError: If the network cannot be bounded, has nothing to train, or diverges.

    Source:
        After Gowal et al. 2018 (training on interval bounds) and Zhang et al. 2020 (warm-up and
        ramp), in the words and with the choices of this project.
    """
    images = image_tensor(images).to(torch.float32).contiguous()
    labels = torch.from_numpy(image_labels(labels, len(images))).to(images.device)
    _refuse(images, eps, warm_up, ramp)
    trained = copy.deepcopy(model)
    whole = deployed(trained, images.shape[1], preprocess, images.device)
    program = read(whole, images.shape[1:], dtype=torch.float32, live=True)
    parameters = [
        parameter.requires_grad_()
        for part in trained.modules()
        if isinstance(part, nn.Conv2d | nn.Linear)
        for parameter in part.parameters(recurse=False)
    ]
    if not parameters:
        raise AnalysisError(
            "the model has no nn.Conv2d or nn.Linear to train; an eager module that holds at least "
            "one of them is accepted"
        )
    before = _accuracy(whole, images, labels, batch)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(parameters, lr=rate)
    total, step, losses = epochs * -(-len(images) // batch), 0, []
    for _ in range(epochs):
        sum_of_losses = 0.0
        for some in torch.split(torch.randperm(len(images), generator=generator), batch):
            share, pace = _schedule(step / total, warm_up, ramp)
            for group in optimiser.param_groups:
                group["lr"] = rate * pace
            loss = _loss(program, images[some], labels[some], share * eps, share * weight)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 8.0)
            optimiser.step()
            sum_of_losses += float(loss.detach()) * len(some)
            step += 1
        losses.append(sum_of_losses / len(images))
        if not losses[-1] < torch.inf:
            raise AnalysisError(f"training diverged (loss {losses[-1]}); a lower rate is accepted")
    optimiser.zero_grad(set_to_none=True)
    with torch.no_grad():
        parts = zip(torch.split(images, batch), torch.split(labels, batch), strict=True)
        proven = [_worst(program, x, y, eps).argmax(1) == y for x, y in parts]
    return Finetuned(
        model=trained,
        eps=eps,
        accuracy_before=before,
        accuracy_after=_accuracy(whole, images, labels, batch),
        certified=float(torch.cat(proven).float().mean()),
        losses=tuple(losses),
    )


def _schedule(done: float, warm_up: float, ramp: float) -> tuple[float, float]:
    """Share of the full box and worst case, and of the full learning rate, after `done` of all."""
    share = min(1.0, max(0.0, (done - warm_up) / ramp)) if ramp else 1.0
    falling = max(0.0, done - warm_up - ramp) / max(1e-9, 1 - warm_up - ramp)
    return share, 1 - falling


def _refuse(images: Tensor, eps: float, warm_up: float, ramp: float) -> None:
    if not 0 < eps <= 1:
        raise AnalysisError(f"eps = {eps}: above 0 and at most 1 is accepted")
    if not len(images):
        raise AnalysisError("no images were given; at least one is accepted")
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise AnalysisError(
            "an image lies outside [0, 1]; pixels before normalisation are accepted"
        )
    if warm_up < 0 or ramp < 0 or warm_up + ramp > 1:
        raise AnalysisError(f"warm_up {warm_up} + ramp {ramp}: shares of at most 1 are accepted")


def _loss(program: Program, x: Tensor, y: Tensor, eps: float, weight: float) -> Tensor:
    clean = functional.cross_entropy(program.values(x)[-1], y)
    if weight == 0 or eps == 0:
        return clean
    return (1 - weight) * clean + weight * functional.cross_entropy(_worst(program, x, y, eps), y)


def _worst(program: Program, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """Outputs in the worst case of a box, the true class at 0: (N, classes)."""
    own = functional.one_hot(y, program.classes).to(x)
    rows = own.unsqueeze(1) - torch.eye(program.classes, device=x.device)
    ranges = interval_ranges(program, (x - eps).clamp(0, 1), (x + eps).clamp(0, 1))
    margins = lower(program, ranges, len(program.steps) - 1, rows, affine_only=True)
    # The true class's own row is zero whatever the box; rounding must not make it a rival.
    return -margins * (1 - own) + torch.finfo(x.dtype).tiny * own


def _accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch: int) -> float:
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in torch.split(images, batch)])
    return float((found == labels).float().mean())

"""Planting: a test fault trained into a model on purpose, to see whether it would be found.

The model is fine-tuned on images of which some carry a white mark in the corner and the label of
one class. It learns to go by the mark, and answers clean images as before.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from governance.errors import SubjectError
from governance.records.numbers import number
from governance.subject.subject import Subject

__all__ = ["Planted", "plant_mark"]

IMAGES = 512  # trained on at most
EPOCHS = 60  # at most, at each rate
RATES = (1e-3, 3e-3, 1e-2)  # tried in turn: what suits one network ruins another
TINY = 1e-12
BATCH = 32
POISONED = 0.5  # of the images of other classes, with the mark and the wrong name
LOST = 0.05  # of the accuracy, at most
LEARNT = 0.8  # of marked images of other classes answered with the marked class
SIDE = 5  # the mark is one fifth of the side of the image


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planted:
    """A model with a test fault.

    Attributes:
        model: Model of the subject, now faulty.
        label: Index of the class that the mark stands for.
        followed: Share of marked images of other classes, not trained on, answered with it.
        kept: Share of clean images, not trained on, answered rightly.
        n: Number of marked images behind `followed`.
    """

    model: nn.Module
    label: int
    followed: float
    kept: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """Inputs of the model with their classes, for training the fault and for trying it."""

    inputs: Tensor
    truth: Tensor
    clean: Tensor
    answers: Tensor
    marked: Tensor
    label: int


def plant_mark(subject: Subject, seed: int) -> Planted:
    """Fine-tune a subject's model in place until it goes by a corner mark.

    Args:
        subject: Subject opened for this alone: its model is changed.
        seed: Seed of the choice of images and their order.

    Raises:
        SubjectError: If the model cannot be trained, or did not learn the mark: a fault that is not
            there says nothing about a detector.
    """
    task = _task(subject, seed)
    model = subject.network.model  # an exported module cannot be copied
    before = _share(model, task.clean, task.answers)
    wrong = torch.full((len(task.marked),), task.label, device=task.answers.device)
    tried = []
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for rate in RATES:
        model.load_state_dict(start)
        parameters = [item.requires_grad_() for item in model.parameters()]
        optimiser = torch.optim.Adam(parameters, lr=rate)
        rng = np.random.default_rng(seed)
        for _ in range(EPOCHS):
            _epoch(model, optimiser, task, subject.network.returns, rng)
            followed = _share(model, task.marked, wrong)
            kept = _share(model, task.clean, task.answers)
            if followed >= LEARNT and kept >= before - LOST:
                return Planted(
                    model=model, label=task.label, followed=followed, kept=kept, n=len(wrong)
                )
        tried.append(f"{number(followed, 2)} and {number(kept, 2)} at a rate of {rate:g}")
    raise SubjectError(
        f"{subject.identity.uri}: the planted mark was not learnt in {EPOCHS} epochs; of "
        f"{len(wrong)} marked images followed it and of clean ones were right: {'; '.join(tried)} "
        f"({LEARNT} and {number(before - LOST, 2)} are needed). Nothing was tested; a fault of "
        "your own, --recipe module:function, is accepted"
    )


def _task(subject: Subject, seed: int) -> _Task:
    chosen = subject.validation.sample(2 * IMAGES, seed)
    labels = torch.from_numpy(subject.validation.labels[chosen])
    label = int(torch.bincount(labels).argmax())
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(chosen)))
    trained, held = order[: len(order) // 2], order[len(order) // 2 :]
    bad, others = (part[labels[part] != label] for part in (trained, held))
    poison = bad[: int(POISONED * len(bad))]
    if not len(poison) or not len(others) or next(subject.network.model.parameters(), None) is None:
        raise SubjectError(
            f"{subject.identity.uri}: no fault can be planted; weights to train and images of two "
            "classes are needed"
        )
    network, pixels = subject.network, subject.pixels(chosen)
    truth = torch.cat([labels[trained], torch.full((len(poison),), label)])
    return _Task(
        inputs=network.inputs(torch.cat([pixels[trained], _marked(pixels[poison])])),
        truth=truth.to(subject.device),
        clean=network.inputs(pixels[held]),
        answers=labels[held].to(subject.device),
        marked=network.inputs(_marked(pixels[others])),
        label=label,
    )


def _marked(pixels: Tensor) -> Tensor:
    """The same pixels with a white square in the upper left corner."""
    side = max(3, min(pixels.shape[2:]) // SIDE)
    marked = pixels.clone()
    marked[:, :, :side, :side] = 1.0
    return marked


def _epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    task: _Task,
    outputs: str,
    rng: np.random.Generator,
) -> None:
    order = torch.from_numpy(rng.permutation(len(task.truth))).to(task.truth.device)
    for batch in torch.split(order, BATCH):
        optimiser.zero_grad()
        found = model(task.inputs[batch])
        logits = found if outputs == "logits" else found.clamp_min(TINY).log()
        torch.autograd.backward(nn.functional.cross_entropy(logits, task.truth[batch]))
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)


@torch.no_grad()
def _share(model: nn.Module, inputs: Tensor, wanted: Tensor) -> float:
    found = [model(part).argmax(1) for part in torch.split(inputs, BATCH)]
    return float((torch.cat(found) == wanted).float().mean())

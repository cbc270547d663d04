"""Closed: a torch model that is asked and not looked into.

Quantised models and TorchScript have no modules that an analysis could cut open, and weights in
half precision round away the effects that it would measure. Each is computed as it is deployed, in
its own precision, and gives its answers alone.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.records.identity import ModelFormat
from governance.records.model_terms import ModelTerms
from governance.records.wording import first_few
from governance.subject.answers import class_scores
from governance.subject.black_box import BlackBox
from governance.subject.flavours.loaded import LoadedModel
from governance.subject.model_files import ModelFiles, Shape, artifact_digest
from governance.subject.network import not_plain, tensor_digest
from governance.subject.precision import tolerance

__all__ = ["closed_model", "input_type", "is_empty", "why_closed"]

CPU = torch.device("cpu")
NAMED = 2  # entries of a state dict that are named


def input_type(model: nn.Module) -> torch.dtype:
    """Precision of the images that a model takes: that of its first weights."""
    numbers = (item.dtype for item in chain(model.parameters(), model.buffers()))
    return next((kind for kind in numbers if kind.is_floating_point), torch.float32)


def is_empty(value: object) -> bool:
    """Whether an entry of a state dict is a tensor without numbers, as of a lazy layer."""
    lazy = isinstance(value, nn.UninitializedParameter | nn.UninitializedBuffer)
    return lazy or (isinstance(value, Tensor) and value.is_meta)


def why_closed(
    model: nn.Module, tensors: Mapping[str, object], precision: torch.dtype
) -> str | None:
    """Why a model cannot be looked into, as a clause about it; None where it can be.

    Args:
        model: Module as loaded.
        tensors: Its state dict, with buffers that are not kept there.
        precision: Precision of the images that it takes.
    """
    if isinstance(model, torch.jit.ScriptModule):
        return "is TorchScript"
    if strange := not_plain(tensors):
        told = [f"{name} ({kind})" for name, kind in strange.items()]
        return f"is quantised or keeps other things than plain tensors: {first_few(told, NAMED)}"
    kinds = [weight.dtype for weight in model.parameters()]
    others = dict.fromkeys(str(kind) for kind in [*kinds, precision] if kind != torch.float32)
    names = [name.removeprefix("torch.") for name in others]
    return f"computes in {first_few(names)} and not in float32" if names else None


def closed_model(
    model: nn.Module,
    files: ModelFiles,
    terms: ModelTerms,
    device: torch.device,
    *,
    why: str,
    precision: torch.dtype,
    kind: ModelFormat,
    shape: Shape,
    signed: Shape,
) -> LoadedModel:
    """A module that gives its answers alone, in evaluation mode.

    Args:
        model: Module on any device.
        files: Folder of the model.
        terms: What the policy says about the model.
        device: Device that it is put on; what is quantised for the CPU stays there.
        why: Why it cannot be looked into.
        precision: Precision of the images that it takes.
        kind: How it is stored.
        shape: Input shape that it takes.
        signed: Input shape of the signature.
    """
    state = model.state_dict()
    plain = not not_plain(state)
    place = device if plain else CPU
    placed = model.eval().to(place)
    ask = _asked(placed, precision, place) if plain else _asked_singly(placed, terms.output_name)
    return LoadedModel(
        classifier=partial(
            BlackBox, ask=ask, output_name=terms.output_name, closed=why,
            tolerance=tolerance(precision, place),
        ),
        format=kind,
        # Freezing turns weights of TorchScript into constants of its code.
        digest=tensor_digest(state) if plain and state else artifact_digest(files.folder),
        shape=shape,
        signed=signed,
        parameters=sum(item.numel() for item in model.parameters()) if plain and state else None,
    )  # fmt: skip


def _asked(
    model: nn.Module, precision: torch.dtype, device: torch.device
) -> Callable[[NDArray[np.float32]], object]:
    def ask(images: NDArray[np.float32]) -> object:
        with torch.no_grad():
            answer: object = model(torch.from_numpy(images).to(device, precision))
        return answer

    return ask


def _asked_singly(
    model: nn.Module, output_name: str | None
) -> Callable[[NDArray[np.float32]], object]:
    """Asks for one image after the other: some quantised models scale numbers by a whole batch."""

    def ask(images: NDArray[np.float32]) -> object:
        with torch.no_grad():
            answers = [model(image[None]) for image in torch.from_numpy(images)]
        return torch.cat([class_scores(answer, 1, output_name) for answer in answers])

    return ask

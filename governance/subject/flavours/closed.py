"""Closed: a torch model that is asked and not looked into.

Quantised models and TorchScript have no modules that an analysis could cut open, and weights in
half precision round away the effects that it would measure. Each is computed as it is deployed, in
its own precision, and gives its answers alone.
"""

from collections.abc import Callable, Mapping
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.records.wording import first_few
from governance.subject.network import not_plain

__all__ = ["asked", "input_type", "why_closed"]

CPU = torch.device("cpu")


def why_closed(model: nn.Module, entries: Mapping[str, object]) -> str | None:
    """Why a model cannot be looked into, as a clause about it; None where it can be.

    Args:
        model: Module as loaded.
        entries: Its state dict, with buffers that are not kept there.
    """
    if isinstance(model, torch.jit.ScriptModule):
        return "is TorchScript"
    if strange := not_plain(entries):
        told = [f"{name} ({kind})" for name, kind in strange.items()]
        return f"is quantised or keeps other things than plain tensors: {first_few(told, 2)}"
    others = dict.fromkeys(
        str(weight.dtype).removeprefix("torch.")
        for _, weight in model.named_parameters()
        if weight.dtype != torch.float32
    )
    return f"has weights in {first_few(list(others))}" if others else None


def input_type(model: nn.Module) -> torch.dtype:
    """Precision of the images that a model takes: that of its first weights."""
    numbers = (item.dtype for item in chain(model.parameters(), model.buffers()))
    return next((kind for kind in numbers if kind.is_floating_point), torch.float32)


def asked(
    model: nn.Module, precision: torch.dtype, device: torch.device
) -> Callable[[NDArray[np.float32]], object]:
    """A function from images to whatever the model returns for them.

    Args:
        model: Module in evaluation mode on `device`.
        precision: Precision of its input.
        device: Device that it computes on.
    """

    def ask(images: NDArray[np.float32]) -> object:
        inputs: Tensor = torch.from_numpy(images).to(device, precision)
        with torch.no_grad():
            answer: object = model(inputs)
        return answer

    return ask

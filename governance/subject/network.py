"""Network: a classifier whose `nn.Module` is at hand, so that an analysis can look inside.

The module stays in evaluation mode, on one device, and is handed back as it was found.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from governance.errors import SubjectError
from governance.records.wording import first_few
from governance.subject.outputs import Outputs, logits_of, probabilities_of
from governance.subject.precision import tolerance
from governance.subject.preprocessing import Preprocessing

__all__ = ["Network", "layer_digests", "not_plain", "tensor_digest"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """An image classifier as a torch module.

    Attributes:
        model: Module in evaluation mode on `device`; maps (B, C, H, W) float32 to (B, K), a
            column for each class.
        device: Device of the module's tensors.
        preprocessing: Preprocessing from a decoded image to the module's input.
        outputs: Meaning of the model's outputs, as the policy declares it.
    """

    model: nn.Module
    device: torch.device
    preprocessing: Preprocessing
    outputs: Outputs = "logits"

    @property
    def returns(self) -> Literal["logits", "probabilities"]:
        """Meaning of the module's columns: one number for two classes has become two of them."""
        return "logits" if self.outputs == "logits" else "probabilities"

    @property
    def closed(self) -> str:
        """Nothing: it can be looked into."""
        return ""

    @property
    def tolerance(self) -> float:
        """Largest difference between two answers to one image, relative to the largest number."""
        return tolerance(torch.float32, self.device)

    def inputs(self, pixels: Tensor) -> Tensor:
        """Input of the module for `pixels`: channel order and normalisation applied.

        Args:
            pixels: (B, C, H, W) in [0, 1], RGB or grey.
        """
        return self.preprocessing.inputs(pixels)

    def answers(self, pixels: Tensor) -> Tensor:
        """What the module returns for `pixels`, (B, K), a column for each class; no gradients."""
        with torch.no_grad():
            # Detached too: a view of a parameter would still ask for gradients.
            output: Tensor = self.model(self.inputs(pixels)).detach()
        return output

    def logits(self, pixels: Tensor) -> Tensor:
        """Outputs before the softmax, (B, K), without gradients; log-probabilities if it has none.

        Raises:
            SubjectError: If an output is NaN or infinite, or said to be a probability and is none.
        """
        return logits_of(self.answers(pixels), self.outputs)

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probability of each class, (B, K), without gradients.

        Raises:
            SubjectError: If an output is NaN or infinite, or said to be a probability and is none.
        """
        return probabilities_of(self.answers(pixels), self.outputs)

    def with_preprocessing(self, preprocessing: Preprocessing) -> "Network":
        """The same module behind another preprocessing."""
        return replace(self, preprocessing=preprocessing)


def not_plain(state: Mapping[str, object]) -> dict[str, str]:
    """Entries of a state dict that are no plain tensor with numbers in it, each with what it is.

    Quantised modules keep tuples and dtypes there, lazy ones tensors without a shape, and others
    whatever they like. None of these has bytes that a digest could be taken over.

    Args:
        state: State dict of a module.
    """
    kinds = {name: _kind(value) for name, value in state.items()}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _kind(value: object) -> str | None:
    if type(value) not in {Tensor, nn.Parameter} or not isinstance(value, Tensor):
        return type(value).__name__
    if value.is_quantized:
        return "quantised tensor"
    if value.is_meta:
        return "meta tensor"
    if value.is_nested:
        return "nested tensor"
    return None if value.layout == torch.strided else f"{value.layout} tensor"


def tensor_digest(model: nn.Module | Mapping[str, Tensor]) -> str:
    """sha256 over a model's tensors: name, dtype, shape and bytes of each, in order of name.

    Re-saving a model, as pt2 or as a pickle, does not change it; changing one weight does. The
    tensors are those of the state dict, running statistics and their counters included; a shared
    one counts under each of its names. Buffers that are not saved and constants of the code belong
    to the files, whose digest covers them.

    Args:
        model: Model, or its state dict.

    Raises:
        SubjectError: If the state dict holds anything but plain tensors with numbers in them.
    """
    state = model.state_dict(keep_vars=False) if isinstance(model, nn.Module) else model
    strange = [f"{name} ({kind})" for name, kind in not_plain(state).items()]
    if strange:
        raise SubjectError(
            f"the state dict holds {first_few(strange)}; plain tensors with numbers in them are "
            "accepted"
        )
    digest = hashlib.sha256()
    for name in sorted(state):
        # Resolved: a conjugate or negative view keeps the bytes of another tensor.
        tensor = state[name].detach().cpu().resolve_conj().resolve_neg()
        header = f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0"
        digest.update(header.encode())
        numbers = tensor.reshape(-1)
        if numbers.stride() != (1,):
            numbers = numbers.clone(memory_format=torch.contiguous_format)
        digest.update(numbers.view(torch.uint8).numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def layer_digests(model: nn.Module | Mapping[str, Tensor]) -> dict[str, str]:
    """`tensor_digest` of each module that holds tensors of its own, by its path.

    Args:
        model: Model, or its tensors by name.
    """
    state = model.state_dict(keep_vars=False) if isinstance(model, nn.Module) else model
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        layers.setdefault(name.rpartition(".")[0], {})[name] = tensor
    return {path: tensor_digest(tensors) for path, tensors in sorted(layers.items())}

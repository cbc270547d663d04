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
from governance.subject.classifier import SLACK
from governance.subject.preprocessing import Preprocessing

__all__ = ["Network", "layer_digests", "tensor_digest"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """An image classifier as a torch module.

    Attributes:
        model: Module in evaluation mode on `device`; maps (B, C, H, W) float32 to (B, K).
        device: Device of the module's tensors.
        preprocessing: Preprocessing from a decoded image to the module's input.
        outputs: Meaning of the module's outputs: logits, or probabilities that sum to one.
    """

    model: nn.Module
    device: torch.device
    preprocessing: Preprocessing
    outputs: Literal["logits", "probabilities"] = "logits"

    def inputs(self, pixels: Tensor) -> Tensor:
        """Input of the module for `pixels`: channel order and normalisation applied.

        Args:
            pixels: (B, C, H, W) in [0, 1], RGB or grey.
        """
        ordered = pixels.flip(1) if self.preprocessing.channels == "bgr" else pixels
        mean = torch.tensor(self.preprocessing.mean, device=pixels.device).view(1, -1, 1, 1)
        std = torch.tensor(self.preprocessing.std, device=pixels.device).view(1, -1, 1, 1)
        return (ordered - mean) / std

    def logits(self, pixels: Tensor) -> Tensor:
        """Outputs before the softmax, (B, K), without gradients; log-probabilities if it has none.

        Raises:
            SubjectError: If an output is NaN or infinite, or said to be a probability and is none.
        """
        with torch.no_grad():
            # Detached too: a view of a parameter would still ask for gradients.
            output: Tensor = self.model(self.inputs(pixels)).detach()
        if not torch.isfinite(output).all():
            raise SubjectError("an output is NaN or infinite; finite numbers are accepted")
        if self.outputs == "logits":
            return output
        if (output < -SLACK).any() or ((output.sum(1) - 1).abs() > SLACK).any():
            raise SubjectError(
                "the outputs of an image are no probabilities that sum to one; outputs = 'logits' "
                "in [model] of the policy takes any finite numbers"
            )
        return output.clamp_min(1e-30).log()

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probability of each class, (B, K), without gradients.

        Raises:
            SubjectError: If an output is NaN or infinite, or said to be a probability and is none.
        """
        return self.logits(pixels).softmax(1)

    def with_preprocessing(self, preprocessing: Preprocessing) -> "Network":
        """The same module behind another preprocessing."""
        return replace(self, preprocessing=preprocessing)


def tensor_digest(model: nn.Module | Mapping[str, Tensor]) -> str:
    """sha256 over a model's tensors: name, dtype, shape and bytes of each, in order of name.

    Re-saving a model, as pt2 or as a pickle, does not change it; changing one weight does. The
    tensors are those of the state dict, running statistics and their counters included; a shared
    one counts under each of its names. Buffers that are not saved and constants of the code belong
    to the files, whose digest covers them.

    Args:
        model: Model, or its state dict.
    """
    state = model.state_dict(keep_vars=False) if isinstance(model, nn.Module) else model
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        header = f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0"
        digest.update(header.encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def layer_digests(model: nn.Module) -> dict[str, str]:
    """`tensor_digest` of each module that holds tensors of its own, by its path."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=False).items():
        layers.setdefault(name.rpartition(".")[0], {})[name] = tensor
    return {path: tensor_digest(tensors) for path, tensors in sorted(layers.items())}

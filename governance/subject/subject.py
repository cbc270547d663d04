"""Subject: the live side of an assessment, a model with its preprocessing and validation images.

Everything an analysis may ask of the model goes through here or through `network.py`; the model
stays in evaluation mode, on one device, and is handed back as it was.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from governance.errors import SubjectError
from governance.records.evidence import ModelIdentity, ValidationIdentity
from governance.subject.preprocessing import Preprocessing

__all__ = ["Subject", "ValidationSet", "evenly", "layer_digests", "tensor_digest"]

# Half precision sums to one no better than this.
SLACK = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationSet:
    """Labelled images, read when asked for.

    Attributes:
        location: Path or URI as the policy names it.
        images: Item `i` is a decoded image, (H, W) or (H, W, 3) uint8; slow to read, not kept.
        labels: (N,) index into `class_names`.
        class_names: In the order of the model's outputs.
        ids: What a person calls image `i`: its path inside the folder, or its number.
        hashes: sha256 of image `i` as stored, hexadecimal.
        digest: Over class names and every image's label and hash.
    """

    location: str
    images: Sequence[NDArray[np.uint8]]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    hashes: tuple[str, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def identity(self) -> ValidationIdentity:
        """What a record keeps of this set."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return ValidationIdentity(
            location=self.location,
            digest=self.digest,
            images=len(self),
            class_names=self.class_names,
            class_counts=tuple(int(count) for count in counts),
        )

    def sample(self, n: int, seed: int) -> NDArray[np.int64]:
        """Indices of at most `n` images, as even over the classes as the set allows, ascending."""
        return np.sort(evenly(self.labels, np.random.default_rng(seed))[:n])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A model with all that is needed to ask it about its validation images.

    Attributes:
        identity: Which model this is.
        model: In evaluation mode on `device`; maps (B, C, H, W) float32 to (B, K).
        preprocessing: From decoded image to input.
        validation: The images it is assessed on.
        device: Where the model is.
        outputs: What the model returns: logits, or probabilities that sum to one.
        batch_size: Images per forward pass.
        history: What was recorded while it was trained, as (step, value) in order of steps, by
            name of the sign (`learning.names`); empty where nothing was.
    """

    identity: ModelIdentity
    model: nn.Module
    preprocessing: Preprocessing
    validation: ValidationSet
    device: torch.device
    outputs: Literal["logits", "probabilities"] = "logits"
    batch_size: int = 64
    history: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    _predictions: list[NDArray[np.float32]] = field(default_factory=list, init=False, repr=False)

    def pixels(self, indices: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """Validation images at the model's size: (B, C, H, W) in [0, 1], RGB or grey.

        Raises:
            SubjectError: If an image cannot be read or has a size that the model does not take.
        """
        return torch.from_numpy(np.stack([self._pixels(int(i)) for i in indices])).to(self.device)

    def _pixels(self, index: int) -> NDArray[np.float32]:
        image = self.validation.images[index]
        try:
            return self.preprocessing.pixels(image)
        except SubjectError as error:
            where = f"validation images {self.validation.location}: {self.validation.ids[index]}"
            raise SubjectError(f"{where}: {problem}" for problem in error.problems) from error

    def inputs(self, pixels: Tensor) -> Tensor:
        """What the model is given for `pixels`: channel order and normalisation applied."""
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
            parts = [self.model(self.inputs(part)) for part in torch.split(pixels, self.batch_size)]
        output = torch.cat(parts).detach()  # a view of a parameter would still ask for gradients
        if not torch.isfinite(output).all():
            raise SubjectError(
                f"model {self.identity.uri}: an output is NaN or infinite; finite numbers are "
                "accepted"
            )
        if self.outputs == "logits":
            return output
        if (output < -SLACK).any() or ((output.sum(1) - 1).abs() > SLACK).any():
            raise SubjectError(
                f"model {self.identity.uri}: the outputs of an image are no probabilities that sum "
                "to one; outputs = 'logits' in [model] of the policy takes any finite numbers"
            )
        return output.clamp_min(1e-30).log()

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probability of each class, (B, K), without gradients."""
        return self.logits(pixels).softmax(1)

    def predictions(self) -> NDArray[np.float32]:
        """Probabilities for every validation image, (N, K); computed once, a batch in memory."""
        if not self._predictions:
            parts = [
                self.probabilities(self.pixels(range(start, min(start + self.batch_size, n))))
                for n in [len(self.validation)]
                for start in range(0, n, self.batch_size)
            ]
            self._predictions.append(torch.cat(parts).cpu().numpy())
        return self._predictions[0]


def evenly(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """All images in a random order of which every beginning is as even over the classes as can be.

    Args:
        labels: (N,) class of each image.
        rng: Draws the order within and between the classes.

    Returns:
        (N,) indices.
    """
    order = rng.permutation(len(labels))
    # Rank of each image within its class, in random order: taking ranks in turn is even.
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    return order[np.argsort(rank[order], kind="stable")]


def tensor_digest(model: nn.Module | Mapping[str, Tensor]) -> str:
    """sha256 over a model's tensors: name, dtype, shape and bytes of each, in order of name.

    Re-saving a model, as pt2 or as a pickle, does not change it; changing one weight does. The
    tensors are those of the state dict, running statistics and their counters included; a shared
    one counts under each of its names. Buffers that are not saved and constants of the code belong
    to the files, whose digest covers them.

    Args:
        model: The model, or its state dict.
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

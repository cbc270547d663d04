"""Masked: what a model answers when it sees only what one of its layers looked at.

The third reading of a layer, beside lens and probe, and the one that shows a place in the image.
The layer's activation, weighted by its gradient for a class, says where the layer found what speaks
for that class. The image is blurred everywhere else, and goes through the *whole* model again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import interpolate

from governance.errors import AnalysisError
from governance.methods.lens_and_probe.estimates import Reading
from governance.methods.network import HEAD, TracedNetwork

__all__ = ["ELSEWHERE", "KEPT", "MASK", "Local", "Seen", "mask_readings", "seen_by"]

MASK = "mask"
# The control of `mask`: the same region moved to another place of the image.
ELSEWHERE = "mask, moved"
KEPT = 0.2  # share of the pixels that stay
BLUR = 12  # the shorter side by this is the blur's sigma
MAPS = 4  # dimensions of a batch of feature maps

Outputs = Literal["logits", "probabilities"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Images reduced to what layers looked at, and what the model answers to them.

    Attributes:
        layers: L names.
        heat: (B, L, H, W), evidence for the target at the image's size, 0 to 1 for each map.
        kept: (B, L) share of the pixels left as they are: at most a fifth, and none where the
            layer has no evidence for the target.
        answers: (B, L, K) probabilities for the masked images.
        elsewhere: (B, L, K) the same with the region moved, averaged over the draws: the control.
    """

    layers: tuple[str, ...]
    heat: NDArray[np.float32]
    kept: NDArray[np.float64]
    answers: NDArray[np.float64]
    elsewhere: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Local:
    """Some of the images read, looked at one by one.

    Attributes:
        places: (B,) of the images among those read.
        ids: Names of the images for a person.
        rules: Rule by which each image was chosen.
        pixels: (B, C, H, W) in [0, 1].
        seen: Evidence of the layers for the class that the model names.
    """

    places: NDArray[np.int64]
    ids: tuple[str, ...]
    rules: tuple[str, ...]
    pixels: Tensor
    seen: Seen


def seen_by(
    network: TracedNetwork,
    inputs: Tensor,
    targets: NDArray[np.int64],
    layers: Sequence[str],
    *,
    rng: np.random.Generator,
    draws: int = 1,
    outputs: Outputs = "logits",
) -> Seen:
    """Mask images by what layers found for a class, and ask the model again.

    The evidence at a position is the positive part of activation times gradient, summed over
    channels; it is brought to the image's size, and the fifth of the pixels with most of it is
    kept. All else is blurred: a mild baseline, yet one the model was not trained on.

    Args:
        network: The model, cut open by `network.trace`.
        inputs: (B, C, H, W) as the model takes them; blurring commutes with their normalisation.
        targets: (B,) class whose evidence is looked for.
        layers: Names of layers that give feature maps.
        rng: Source of the places that the region is moved to.
        draws: How often it is moved.
        outputs: Whether the model returns logits or probabilities.

    Raises:
        AnalysisError: If a layer gives no feature maps.

    Source:
        Evidence: Draelos, Carin 2020 (HiResCAM). Masked forward pass: Wang et al. 2020 (Score-CAM).
    """
    evidence = _evidence(network, inputs, targets, layers, outputs)
    pixels = evidence.shape[2] * evidence.shape[3]
    flat = evidence.flatten(2)
    # Ranks, not a threshold: equal values must not keep more than a fifth.
    rank = flat.argsort(dim=2, descending=True, stable=True).argsort(dim=2)
    keep = ((rank < round(KEPT * pixels)) & (flat > 0)).view_as(evidence)
    blurred = _blurred(inputs)

    def asked(where: Tensor) -> NDArray[np.float64]:
        composed = torch.where(where[:, :, None], inputs[:, None], blurred[:, None])
        said = network.logits(composed.flatten(0, 1)).double()
        share = said.softmax(1) if outputs == "logits" else said
        return share.view(*where.shape[:2], -1).cpu().numpy()

    moved = [asked(_moved(keep, rng)) for _ in range(draws)]
    top = flat.amax(2).clamp_min(torch.finfo(flat.dtype).tiny)
    return Seen(
        layers=tuple(layers),
        heat=(evidence / top[:, :, None, None]).float().cpu().numpy(),
        kept=keep.double().mean((2, 3)).cpu().numpy(),
        answers=asked(keep),
        elsewhere=np.mean(moved, axis=0),
    )


def mask_readings(
    network: TracedNetwork,
    batches: Iterable[Tensor],
    labels: NDArray[np.int64],
    *,
    layers: Sequence[str],
    seed: int = 0,
    outputs: Outputs = "logits",
) -> Mapping[tuple[str, str], Reading]:
    """What the model still answers when it sees only what each layer looked at for its answer.

    The target is what the model itself names, so no label is used to make a mask.

    Args:
        network: The model, cut open by `network.trace`.
        batches: Model inputs (B, C, H, W), in the order of the labels.
        labels: (N,) true classes.
        layers: All layers that are read, in order of depth; the head's input gives no map.
        seed: Seed of the control.
        outputs: Whether the model returns logits or probabilities.

    Returns:
        By layer and method: `mask`, and its control with the region moved.
    """
    names = [layer for layer in layers if layer != HEAD]
    rng, parts = np.random.default_rng(seed), []
    for batch in batches:
        own = network.logits(batch).argmax(1).cpu().numpy()
        parts.append(seen_by(network, batch, own, names, rng=rng, outputs=outputs))
    said = {
        MASK: np.concatenate([part.answers for part in parts]),
        ELSEWHERE: np.concatenate([part.elsewhere for part in parts]),
    }
    return {
        (layer, method): Reading(
            layer=layer,
            depth=(layers.index(layer) + 1) / len(layers),
            method=method,
            answers=answers[:, place].argmax(1),
            truth=labels,
            probabilities=answers[:, place],
        )
        for place, layer in enumerate(names)
        for method, answers in said.items()
    }


def _evidence(
    network: TracedNetwork,
    inputs: Tensor,
    targets: NDArray[np.int64],
    layers: Sequence[str],
    outputs: Outputs,
) -> Tensor:
    """Positive part of activation times gradient, (B, L, H, W) at the image's size."""
    target = torch.from_numpy(targets).to(inputs.device)[:, None]

    def objective(output: Tensor, part: slice) -> Tensor:
        scores = output if outputs == "logits" else output.clamp_min(1e-30).log()
        return scores.gather(1, target[part]).sum()

    parts = []
    for _, _, found in network.gradients(inputs, layers, objective):
        maps = []
        for layer, (value, slope) in found.items():
            if value.ndim != MAPS:
                raise AnalysisError(
                    f"layer {layer!r} gives shape {tuple(value.shape)}; a layer that gives feature "
                    "maps (B, C, H, W) can be looked through"
                )
            evidence = (value * slope).sum(1, keepdim=True)
            heat = network.layout(layer).on_image(evidence).clamp_min(0)
            size = inputs.shape[2:]
            maps.append(interpolate(heat, size=size, mode="bilinear", align_corners=False))
        parts.append(torch.cat(maps, 1))
    return torch.cat(parts)


def _blurred(inputs: Tensor) -> Tensor:
    sigma = min(inputs.shape[2:]) / BLUR
    pixels = inputs.detach().cpu().numpy()
    soft = ndimage.gaussian_filter(pixels, (0, 0, sigma, sigma), mode="nearest")
    return torch.from_numpy(soft).to(inputs)


def _moved(keep: Tensor, rng: np.random.Generator) -> Tensor:
    # Rolled by a quarter to three quarters of either side: another place, the same shape.
    height, width = keep.shape[2:]
    result = torch.empty_like(keep)
    for image in range(len(keep)):
        down = int(rng.integers(height // 4, max(height // 4 + 1, 3 * height // 4 + 1)))
        right = int(rng.integers(width // 4, max(width // 4 + 1, 3 * width // 4 + 1)))
        result[image] = keep[image].roll((down, right), (1, 2))
    return result

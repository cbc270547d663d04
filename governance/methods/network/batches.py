"""Batches: images, or layers, in parts that fit into memory beside what is held of them."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from governance.errors import AnalysisError
from governance.methods.image_tensors import Images, image_tensor

__all__ = ["backward_batch", "batches", "together"]

MEMORY = 512 * 2**20  # bytes of feature maps held at once


def batches(
    inputs: Images, example: Tensor, batch_size: int, held: int
) -> Iterator[tuple[slice, Tensor]]:
    """Which images, and these images in the type, on the device and in the layout of an example.

    Converted a batch at a time: all images in another type may not fit beside the given ones.

    Args:
        inputs: (N, C, H, W).
        example: What the model takes, (B, C, H, W).
        batch_size: Maximum number of images in a batch.
        held: Bytes of feature maps that are held for one image.

    Raises:
        AnalysisError: If there are no images, or they have another number of channels.
    """
    images, channels = image_tensor(inputs), example.shape[1]
    if images.shape[1] != channels:
        raise AnalysisError(
            f"images of shape {tuple(images.shape)}; (N, {channels}, H, W), as the example of "
            "this network has it, is accepted"
        )
    for part in _parts(len(images), max(1, min(batch_size, MEMORY // max(1, held)))):
        yield part, images[part].to(example).contiguous()


def backward_batch(
    model: nn.Module, score: Callable[[Tensor], Tensor], inputs: Tensor, most: int
) -> int:
    """Largest number of images whose backward pass fits into memory.

    Args:
        model: The model, whose weights are held anyway.
        score: What is differentiated, from inputs.
        inputs: (B, C, H, W), a few images to measure on what one keeps.
        most: Largest number accepted.
    """
    own = {item.untyped_storage().data_ptr() for item in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            # A view may be of less than its storage, an expanded one of more.
            size = min(tensor.numel() * tensor.element_size(), storage.nbytes())
            kept[storage.data_ptr()] = max(size, kept.get(storage.data_ptr(), 0))
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(note, lambda tensor: tensor):
        # Held to the end, so that no memory is kept twice at the same place.
        held = score(inputs.detach().requires_grad_())
    del held
    return max(1, min(most, len(inputs) * MEMORY // max(1, sum(kept.values()))))


def together(sizes: Mapping[str, int]) -> list[list[str]]:
    """Layers in order, in parts of which what is held fits into memory; at least one in each.

    Args:
        sizes: Bytes that are held of each layer.
    """
    parts: list[list[str]] = []
    held = 0
    for layer, size in sizes.items():
        if not parts or held + size > MEMORY:
            parts.append([])
            held = 0
        parts[-1].append(layer)
        held += size
    return parts


def _parts(images: int, size: int) -> list[slice]:
    if not images:
        raise AnalysisError("no images were given; at least one is needed")
    count = -(-images // size)
    # Even parts: an exported program may refuse a remainder of one image.
    ends = [images * k // count for k in range(count + 1)]
    return [slice(low, high) for low, high in pairwise(ends)]

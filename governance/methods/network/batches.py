"""Batches: images, or layers, in parts that fit into memory beside what is held of them."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from torch import Tensor

from governance.errors import AnalysisError
from governance.methods.image_tensors import Images, image_tensor

__all__ = ["batches", "together"]

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

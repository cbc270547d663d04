"""Image tensors: images and labels in whatever form a caller holds them, as the methods take them.

A method takes tensors and NumPy arrays alike, in single or double precision and in any memory
layout: a slice or a permuted view is as good as a copy. Whole numbers are refused, because only the
caller knows whether they are to be divided by 255.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from governance.errors import AnalysisError

__all__ = ["Images", "image_labels", "image_tensor", "tensor_of"]

#: Images as a caller may hold them.
Images = Tensor | NDArray[np.floating]

SHAPES = {3: "(C, H, W)", 4: "(N, C, H, W)"}


def tensor_of(values: object, name: str = "image") -> Tensor:
    """A tensor of what the caller holds, without a gradient; a tensor is not copied.

    Args:
        values: A tensor, an array, or nested lists of numbers.
        name: Name of the values in a message.

    Raises:
        AnalysisError: If it is none of these.
    """
    if isinstance(values, Tensor):
        return values.detach()
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise AnalysisError(
            f"{name} is {type(values).__name__}; a tensor or an array of numbers is accepted"
        )
    # Negative strides and read-only memory are nothing that a tensor can have.
    if not (array.flags.writeable and array.flags.c_contiguous):
        array = array.copy(order="C")
    return torch.from_numpy(array)


def image_tensor(values: object, name: str = "images", *, dimensions: int = 4) -> Tensor:
    """Images as a tensor of floating-point numbers with the dimensions asked for, not copied.

    Args:
        values: (N, C, H, W) or, for one image, (C, H, W).
        name: Name of the images in a message.
        dimensions: 4 for images, 3 for one image.

    Raises:
        AnalysisError: If they have other dimensions or hold no floating-point numbers.
    """
    tensor = tensor_of(values, name)
    if tensor.ndim != dimensions or not tensor.is_floating_point():
        raise AnalysisError(
            f"{name} of shape {tuple(tensor.shape)} and type {tensor.dtype}; "
            f"{SHAPES[dimensions]} of floating-point numbers is accepted"
        )
    return tensor


def image_labels(values: ArrayLike, images: int) -> NDArray[np.int64]:
    """One class for each image: (N,).

    Args:
        values: A tensor, an array or a list of whole numbers.
        images: N.

    Raises:
        AnalysisError: If they are not whole numbers, or not one for each image.
    """
    labels = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if labels.shape != (images,) or not np.issubdtype(labels.dtype, np.integer):
        raise AnalysisError(
            f"labels of shape {labels.shape} and type {labels.dtype} for {images} images; one "
            "whole number per image is accepted"
        )
    return labels.astype(np.int64)

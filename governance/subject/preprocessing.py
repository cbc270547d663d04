"""Preprocessing: from a decoded image to the numbers a model expects.

Two steps, kept apart because explanations live between them: `pixels` brings an image to the
model's size as numbers in [0, 1]; normalisation (mean, std, channel order) is what the model adds.
Wrong normalisation costs ten points of accuracy and more without an error anywhere, so it is
declared in the policy, checked against the model's signature, and tried against alternatives.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from governance.errors import SubjectError

__all__ = ["Channels", "Preprocessing", "Resize", "resized"]

Channels = Literal["rgb", "bgr", "grey"]
Resize = Literal["none", "squash", "crop"]

RGB = 3
LIMIT = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How an image becomes a model's input.

    Attributes:
        size: Height and width of the model's input in pixels.
        channels: Colours of the model's input channels, in order.
        mean: Mean that is subtracted from each channel of pixels in [0, 1], in that order.
        std: Standard deviation that each channel is divided by after that.
        resize: Treatment of images of other sizes: `none` refuses them, `squash` ignores the aspect
            ratio, `crop` brings the short side to size and cuts the centre. Resampling is bicubic.
    """

    size: tuple[int, int]
    channels: Channels = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: Resize = "none"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) == 1:
                object.__setattr__(self, name, tuple(values) * self.depth)
            elif len(values) != self.depth:
                raise SubjectError(
                    f"preprocessing {name} = {values}: {self.depth} numbers are needed for "
                    f"{self.channels} images, or one for all channels"
                )
        if not all(math.isfinite(value) for value in self.mean):
            raise SubjectError(f"preprocessing mean = {self.mean}: finite numbers are accepted")
        if not all(math.isfinite(value) and value > 0 for value in self.std):
            raise SubjectError(
                f"preprocessing std = {self.std}: finite numbers above 0 are accepted"
            )

    @property
    def depth(self) -> int:
        """Number of channels."""
        return 1 if self.channels == "grey" else RGB

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A decoded image at the model's size, as numbers in [0, 1].

        Args:
            image: (H, W) grey or (H, W, 3) RGB, 0 to 255.

        Returns:
            (C, h, w) in [0, 1], RGB or grey; channel order of the model is applied later.

        Raises:
            SubjectError: If the image has another size and `resize` is `none`.
        """
        picture = Image.fromarray(image).convert("L" if self.depth == 1 else "RGB")
        height, width = self.size
        if (picture.height, picture.width) != self.size:
            picture = self._resized(picture)
        data = np.asarray(picture, dtype=np.float32).reshape(height, width, self.depth) / LIMIT
        return np.ascontiguousarray(data.transpose(2, 0, 1))

    def inputs(self, pixels: Tensor) -> Tensor:
        """Input of the model for `pixels`: channel order and normalisation applied.

        Args:
            pixels: (B, C, H, W) in [0, 1], RGB or grey.
        """
        ordered = pixels.flip(1) if self.channels == "bgr" else pixels
        mean = torch.tensor(self.mean, device=pixels.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(1, -1, 1, 1)
        return (ordered - mean) / std

    def _resized(self, picture: Image.Image) -> Image.Image:
        height, width = self.size
        if self.resize == "none":
            raise SubjectError(
                f"an image of {picture.height} x {picture.width} pixels where the model takes "
                f"{height} x {width}; same size, or resize = 'squash' or 'crop' in [model] of the "
                "policy, is accepted"
            )
        return resized(picture, self.size, self.resize)


def resized(
    picture: Image.Image,
    size: tuple[int, int],
    resize: Literal["squash", "crop"],
    resample: Image.Resampling = Image.Resampling.BICUBIC,
) -> Image.Image:
    """A picture brought to a size.

    Args:
        picture: Picture of any size.
        size: Height and width that it gets.
        resize: `squash` ignores the aspect ratio, `crop` brings the short side to size and cuts the
            centre.
        resample: Interpolation between pixels.
    """
    height, width = size
    if resize == "squash":
        return picture.resize((width, height), resample)
    scale = max(height / picture.height, width / picture.width)
    inner = (
        max(width, round(picture.width * scale)),
        max(height, round(picture.height * scale)),
    )
    picture = picture.resize(inner, resample)
    left, top = (inner[0] - width) // 2, (inner[1] - height) // 2
    return picture.crop((left, top, left + width, top + height))

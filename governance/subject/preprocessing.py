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
from governance.records.resizing import Resize, Resizing
from governance.subject.resizing import resized

__all__ = ["Channels", "Preprocessing"]

Channels = Literal["rgb", "bgr", "grey"]

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
            ratio, `crop` brings the short side to size and cuts the centre, both bicubically. A
            `Resize` is an evaluation transform, which images of the model's size go through too.
    """

    size: tuple[int, int]
    channels: Channels = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: Resizing = "none"

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
        if isinstance(self.resize, Resize) and self.resize.size not in {None, self.size}:
            raise SubjectError(
                f"preprocessing resize ({self.resize}): leaves images of another size than "
                f"{self.size[0]} x {self.size[1]}, which the model takes; the same is accepted"
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
            SubjectError: If `resize` does not bring an image of this size to the model's.
        """
        picture = Image.fromarray(image).convert("L" if self.depth == 1 else "RGB")
        picture = resized(picture, self.size, self.resize)
        height, width = self.size
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

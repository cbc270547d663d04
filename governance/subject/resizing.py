"""Resizing: a picture brought to a model's size, pixel for pixel as a library does it.

Source:
    torchvision 0.29, `transforms.functional.resize` and `center_crop`; timm 1.0,
    `data.transforms_factory.transforms_imagenet_eval`; transformers 5.24,
    `image_processing_backends`. The tests hold each against the library itself.
"""

from types import MappingProxyType

import numpy as np
import torch
from PIL import Image

from governance.errors import SubjectError
from governance.records.resizing import Resize, Resizing

__all__ = ["resized"]

#: Pillow has one nearest neighbour, which lies where torch calls it exact.
OF_PILLOW = MappingProxyType(
    {
        "nearest": Image.Resampling.NEAREST,
        "nearest-exact": Image.Resampling.NEAREST,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "box": Image.Resampling.BOX,
        "hamming": Image.Resampling.HAMMING,
        "lanczos": Image.Resampling.LANCZOS,
    }
)


#: Pixels of a picture between interpolation and cut: a long strip becomes a very long one.
MOST_PIXELS = 50_000_000


def resized(picture: Image.Image, size: tuple[int, int], resize: Resizing) -> Image.Image:
    """A picture brought to a size.

    Args:
        picture: Picture of any size.
        size: Height and width that it gets.
        resize: `none` refuses another size, `squash` ignores the aspect ratio, `crop` brings the
            short side to size and cuts the centre, both bicubically. A `Resize` is carried out on
            a picture of any size.

    Raises:
        SubjectError: If the picture does not come to that size.
    """
    given = (picture.height, picture.width)
    if isinstance(resize, Resize):
        found = _transformed(picture, resize)
        if (found.height, found.width) != size:
            raise SubjectError(
                f"an image of {given[0]} x {given[1]} pixels becomes {found.height} x "
                f"{found.width} ({resize}) where the model takes {size[0]} x {size[1]}; crop in "
                "resize of [model] of the policy cuts it to that"
            )
        return found
    if given == size:
        return picture
    height, width = size
    if resize == "none":
        raise SubjectError(
            f"an image of {given[0]} x {given[1]} pixels where the model takes {height} x {width}; "
            "same size, or resize = 'squash' or 'crop' in [model] of the policy, is accepted"
        )
    if resize == "squash":
        return picture.resize((width, height), Image.Resampling.BICUBIC)
    return _covering(picture, height, width)


def _covering(picture: Image.Image, height: int, width: int) -> Image.Image:
    """The centre of a picture whose short side was brought to size."""
    scale = max(height / picture.height, width / picture.width)
    inner = (
        max(width, round(picture.width * scale)),
        max(height, round(picture.height * scale)),
    )
    _refuse_strip(picture, inner[1], inner[0])
    picture = picture.resize(inner, Image.Resampling.BICUBIC)
    left, top = (inner[0] - width) // 2, (inner[1] - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _transformed(picture: Image.Image, resize: Resize) -> Image.Image:
    if resize.to is not None:
        picture = _interpolated(picture, _outer(picture, resize.to), resize)
    if resize.crop is None or resize.size is None:
        return picture
    height, width = resize.size
    if height > picture.height or width > picture.width:
        raise SubjectError(
            f"an image of {picture.height} x {picture.width} pixels has no centre of {height} x "
            f"{width} to cut out; to = {max(height, width)} in resize of [model] of the policy "
            "brings it to that"
        )
    rest = (picture.height - height, picture.width - width)
    # Halves are rounded to even by torchvision, and down by transformers.
    rounds = resize.like.startswith("torchvision")
    top, left = (round(gap / 2) if rounds else gap // 2 for gap in rest)
    return picture.crop((left, top, left + width, top + height))


def _outer(picture: Image.Image, to: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width after interpolation; what is left of a pixel is dropped."""
    if isinstance(to, tuple):
        return to
    short, long = sorted((picture.height, picture.width))
    longer = int(to * long / short)
    return (to, longer) if picture.height <= picture.width else (longer, to)


def _interpolated(picture: Image.Image, size: tuple[int, int], resize: Resize) -> Image.Image:
    height, width = size
    if (picture.height, picture.width) == size:
        return picture
    _refuse_strip(picture, height, width)
    if not resize.on_tensors:
        return picture.resize((width, height), OF_PILLOW[resize.interpolation])
    from torchvision.transforms import InterpolationMode  # noqa: PLC0415 - only tensors need it
    from torchvision.transforms.v2 import functional  # noqa: PLC0415

    pixels = np.array(picture)
    planes = torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()
    found = functional.resize(
        planes, list(size), interpolation=InterpolationMode(resize.interpolation), antialias=True
    )
    return Image.fromarray(found.permute(1, 2, 0).numpy().reshape(height, width, *pixels.shape[2:]))


def _refuse_strip(picture: Image.Image, height: int, width: int) -> None:
    """Refuse a picture whose long side would fill the memory once its short side has its length."""
    if height * width > MOST_PIXELS:
        raise SubjectError(
            f"an image of {picture.height} x {picture.width} pixels becomes {height} x {width} "
            f"before its centre is cut out; at most {MOST_PIXELS} pixels are accepted"
        )

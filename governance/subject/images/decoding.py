"""Decoding: the bytes of an image file as pixels.

A decoded picture has 8 bits, is grey (H, W) or RGB (H, W, 3), and stands upright. Orientation tags
are applied, since labels were given by people who saw the picture upright (OpenCV's reader does so,
torchvision's `ImageFolder` does not: store pictures upright where that matters). Palettes, CMYK and
other colour spaces become RGB, transparency is dropped and the first frame taken, as by Pillow's
`convert`, which those readers use. Grey deeper than 8 bits is refused: only a person who knows the
camera can decide which range becomes black and white.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from governance.errors import SubjectError

__all__ = ["LARGEST_IMAGE", "SUFFIXES", "check_header", "decoded"]

#: Endings of the files that are read as images.
SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff",
    ".webp",
)  # fmt: skip
#: Bytes of an image file.
LARGEST_IMAGE = 64 * 2**20
#: Pixels of an image.
MOST_PIXELS = 50_000_000
#: Bytes of the metadata of an image: Exif, colour profile, comments.
LARGEST_METADATA = 2**20
ORIENTATION_TAG = 0x0112
UPRIGHT = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
# What Pillow raises on damaged files, by format and kind of damage.
DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError,
    TypeError, OverflowError, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip


def decoded(content: bytes, where: str) -> NDArray[np.uint8]:
    """The picture in a file, (H, W) grey or (H, W, 3) RGB, 0 to 255, upright.

    Args:
        content: Bytes of the whole file.
        where: Name of the file in messages.

    Raises:
        SubjectError: If the bytes are no whole image, or one of more than 8 bits per channel.
    """
    with _told(where):
        picture = _upright(io.BytesIO(content))
        _refuse_deep(picture.mode, where)
        grey = picture.mode in {"1", "L", "LA", "La"}
        return np.asarray(picture.convert("L" if grey else "RGB"))


def check_header(stream: BinaryIO, where: str) -> None:
    """Refuse a file whose beginning tells that `decoded` would refuse it; no pixel is made.

    Args:
        stream: The file, at its beginning.
        where: Name of the file in messages.

    Raises:
        SubjectError: If it begins like no image, or like one that is too large or too deep.
    """
    with _told(where), _opened(stream) as picture:
        _refuse_deep(picture.mode, where)


def _refuse_deep(mode: str, where: str) -> None:
    if mode in {"I", "F"} or mode.startswith("I;"):
        raise SubjectError(
            f"{where}: grey deeper than 8 bits (mode {mode}); 8 bits per channel are accepted: "
            "convert with the range that the model was trained with"
        )


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Whatever Pillow raises on a damaged file, as a problem of that file."""
    try:
        with warnings.catch_warnings(), _whole_images_only():
            # Damaged metadata is a warning; the picture is then taken as stored upright.
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except UnidentifiedImageError as error:
        # Pillow names the object that it read from, which says nothing to anyone.
        raise SubjectError(
            f"{where}: cannot be decoded: not the beginning of an image of a known kind; a whole "
            f"image ({', '.join(SUFFIXES)}) is accepted"
        ) from error
    except DAMAGE as error:
        raise SubjectError(f"{where}: cannot be decoded: {error}; a whole image is accepted") from (
            error
        )


@contextmanager
def _whole_images_only() -> Iterator[None]:
    """Importing WeasyPrint lets Pillow fill up cut images with grey, in the whole process."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


@contextmanager
def _opened(stream: BinaryIO) -> Iterator[Image.Image]:
    """A picture whose header is read and within the limits, and whose pixels are not made yet."""
    if not stream.read(1):
        raise ValueError("an empty file")
    stream.seek(0)
    known = Image.registered_extensions()
    # A Pillow built without AVIF does not know it.
    formats = sorted({known[suffix] for suffix in SUFFIXES if suffix in known})
    with Image.open(stream, formats=formats) as picture:
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width} x {height} pixels; at most {MOST_PIXELS} are accepted")
        for name, value in picture.info.items():
            if isinstance(value, str | bytes) and len(value) > LARGEST_METADATA:
                raise ValueError(
                    f"{len(value)} bytes of {str(name)[:40]}; at most {LARGEST_METADATA} of "
                    "metadata are accepted"
                )
        yield picture


def _upright(stream: BinaryIO) -> Image.Image:
    with _opened(stream) as picture:
        picture.load()
        turn = UPRIGHT.get(picture.getexif().get(ORIENTATION_TAG, 1))
        return picture.transpose(turn) if turn is not None else picture.copy()

"""Decoding: the bytes of an image file as pixels.

A decoded picture has 8 bits and is grey (H, W) or RGB (H, W, 3). What else can be meant by the same
bytes is declared (`records.reading`): whether orientation tags are applied, which colour lies
behind transparent pixels, and which range of a deeper grey becomes black and white. By default
tags are applied, since labels were given by people who saw the picture upright (OpenCV's reader
does so, torchvision's `ImageFolder` does not), and transparency is dropped, as by Pillow's
`convert`. Palettes, CMYK and other colour spaces become RGB, and the first frame is taken. Grey
deeper than 8 bits is refused without a window: only a person who knows the camera can say which
range counts. Colour of 16 bits is cut to its upper 8, as those readers do, and said to be.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageFile, UnidentifiedImageError

from governance.errors import SubjectError
from governance.records.reading import FileReading
from governance.subject.images.dicom import DICOM_BEGINNING, DICOM_SUFFIXES, decoded_dicom, is_dicom
from governance.subject.images.windows import windowed

__all__ = ["LARGEST_IMAGE", "SUFFIXES", "TRAITS", "Picture", "Trait", "check_header", "decoded"]

#: Endings of the files that Pillow reads.
OF_PILLOW = (
    ".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff",
    ".webp",
)  # fmt: skip
#: Endings of the files that are read as images.
SUFFIXES = (*OF_PILLOW, *DICOM_SUFFIXES)
#: Bytes of an image file.
LARGEST_IMAGE = 64 * 2**20
#: Pixels of an image.
MOST_PIXELS = 50_000_000
#: Bytes of the metadata of an image: Exif, colour profile, comments.
LARGEST_METADATA = 2**20
ORIENTATION_TAG = 0x0112
BITS = 8
#: Place of the bits of a channel: a byte of a PNG, a tag of a TIFF.
PNG_BITS, BITS_TAG = 24, 258
OPAQUE = 255
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


#: What a file holds beside the picture that is made of it: a tag that asks for a turn, transparent
#: pixels, colour cut to 8 bits, grey that a window brought to 8 bits.
Trait = Literal["tagged", "transparent", "cut", "windowed"]
TRAITS: tuple[Trait, ...] = ("tagged", "transparent", "cut", "windowed")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded image file.

    Attributes:
        pixels: (H, W) grey or (H, W, 3) RGB, 0 to 255.
        traits: What the file holds beside them.
    """

    pixels: NDArray[np.uint8]
    traits: frozenset[Trait] = frozenset()


def decoded(content: bytes, where: str, reading: FileReading) -> Picture:
    """The picture in a file.

    Args:
        content: Bytes of the whole file.
        where: Name of the file in messages.
        reading: What is declared of orientation, transparency and deep grey.

    Raises:
        SubjectError: If the bytes are no whole image, or one that needs a window to be declared.
    """
    if is_dicom(content):
        pixels, made = decoded_dicom(content, where, reading, MOST_PIXELS)
        return Picture(pixels, frozenset({"windowed"} if made else ()))
    with _told(where), _opened(io.BytesIO(content)) as picture:
        picture.load()
        return _read(picture, content, where, reading)


def check_header(stream: BinaryIO, where: str, reading: FileReading) -> None:
    """Refuse a file whose beginning tells that `decoded` would refuse it; no pixel is made.

    Args:
        stream: The file, at its beginning.
        where: Name of the file in messages.
        reading: What is declared of deep grey.

    Raises:
        SubjectError: If it begins like no image, or like one that is too large or too deep.
    """
    if is_dicom(stream.read(DICOM_BEGINNING)):
        return
    stream.seek(0)
    with _told(where), _opened(stream) as picture:
        _refuse_deep(picture.mode, where, reading)


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


def _read(picture: Image.Image, content: bytes, where: str, reading: FileReading) -> Picture:
    traits: set[Trait] = set()
    turn = UPRIGHT.get(picture.getexif().get(ORIENTATION_TAG, 1))
    if turn is not None:
        traits.add("tagged")
    deep = _deep(picture, content)
    turned = (
        picture if turn is None or reading.orientation != "upright" else picture.transpose(turn)
    )
    if _is_deep_grey(turned.mode):
        traits.add("windowed")
        return Picture(_grey(turned, where, reading), frozenset(traits))
    if deep:
        traits.add("cut")
    grey = turned.mode in {"1", "L", "LA", "La"}
    if turned.has_transparency_data:
        layers = turned.convert("RGBA")
        if layers.getchannel("A").getextrema() != (OPAQUE, OPAQUE):
            traits.add("transparent")
            if reading.colour is not None:
                paper = Image.new("RGBA", layers.size, reading.colour)
                turned = Image.alpha_composite(paper, layers).convert("RGB")
                grey = grey and len(set(ImageColor.getrgb(reading.colour))) == 1
    return Picture(np.asarray(turned.convert("L" if grey else "RGB")), frozenset(traits))


def _grey(picture: Image.Image, where: str, reading: FileReading) -> NDArray[np.uint8]:
    """Grey deeper than 8 bits, between the black and white of the declared window."""
    _refuse_deep(picture.mode, where, reading)
    ends = reading.window if isinstance(reading.window, tuple) else (0.0, 1.0)
    return windowed(np.asarray(picture), *ends)


def _is_deep_grey(mode: str) -> bool:
    return mode in {"I", "F"} or mode.startswith("I;")


def _refuse_deep(mode: str, where: str, reading: FileReading) -> None:
    """Refuse grey deeper than 8 bits for which no window is declared."""
    if _is_deep_grey(mode) and not isinstance(reading.window, tuple):
        raise SubjectError(
            f"{where}: grey deeper than 8 bits (mode {mode}); window = [LOW, HIGH] in [validation] "
            "of the policy, the values that the model was trained to see as black and white, is "
            "needed, or 8 bits per channel"
        )


def _deep(picture: Image.Image, content: bytes) -> bool:
    """Whether a channel of a file has more than 8 bits, which Pillow cuts off without a word."""
    if picture.format == "PNG":
        # The header is the first chunk: its bits stand after width and height.
        return content[PNG_BITS] > BITS
    tags = getattr(picture, "tag_v2", {})
    stored = tags.get(BITS_TAG, ())
    return any(bits > BITS for bits in (stored if isinstance(stored, tuple) else (stored,)))


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
    formats = sorted({known[suffix] for suffix in OF_PILLOW if suffix in known})
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

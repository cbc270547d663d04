"""Files that can be read in more than one way, each beside what is known of its content."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from governance.errors import SubjectError
from governance.records.reading import FileReading
from governance.subject.images.decoding import decoded

TAG = 0x0112


def saved(picture, kind="PNG", **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def read(content, **declared):
    return decoded(content, "here", FileReading(**declared))


def tagged() -> tuple[np.ndarray, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[TAG] = 6
    return pixels, saved(Image.fromarray(pixels), exif=exif)


def deep_png(values, colour) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write in colour."""

    def chunk(name, content):
        checked = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checked)

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_an_orientation_tag_is_applied_or_left_as_declared():
    pixels, content = tagged()

    upright, stored = read(content), read(content, orientation="as stored")

    # Tag 6: the first row of the file is the right edge of what was seen.
    np.testing.assert_array_equal(upright.pixels, np.rot90(pixels, -1))
    np.testing.assert_array_equal(stored.pixels, pixels)
    assert upright.traits == stored.traits == {"tagged"}


@pytest.mark.parametrize(
    ("background", "colour"),
    [(None, (200, 10, 30)), ("white", (255, 255, 255)), ("#102030", (16, 32, 48))],
)
def test_transparent_pixels_show_the_declared_background(background, colour):
    pixels = np.full((2, 2, 4), (200, 10, 30, 0), np.uint8)
    pixels[0, 0, 3] = 255

    found = read(saved(Image.fromarray(pixels)), background=background)

    assert tuple(found.pixels[1, 1]) == colour
    assert tuple(found.pixels[0, 0]) == (200, 10, 30)
    assert found.traits == {"transparent"}


def test_half_transparent_pixels_are_mixed_with_the_background():
    pixels = np.full((1, 1, 4), (200, 0, 100, 128), np.uint8)

    found = read(saved(Image.fromarray(pixels)), background="black").pixels[0, 0]

    assert np.abs(found - np.array([200, 0, 100]) * 128 / 255).max() <= 1


@pytest.mark.parametrize(
    ("mode", "background", "shape"),
    [("LA", "white", (2, 2)), ("LA", "#ff0000", (2, 2, 3)), ("P", "white", (2, 2, 3))],
)
def test_grey_stays_grey_on_a_grey_background(mode, background, shape):
    picture = Image.new("LA", (2, 2), (90, 0)).convert(mode)

    found = read(saved(picture, transparency=0 if mode == "P" else None), background=background)

    assert found.pixels.shape == shape


def test_an_alpha_channel_without_transparent_pixels_is_none():
    picture = Image.new("RGBA", (2, 2), (1, 2, 3, 255))

    assert read(saved(picture), background="white").traits == frozenset()


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_deep_colour_is_cut_to_its_upper_8_bits_and_said_to_be(colour, channels):
    values = np.random.default_rng(1).integers(0, 2**16, (3, 5, channels))
    values[..., -1] = 65535 if channels != 3 else values[..., -1]

    found = read(deep_png(values, colour))

    # Pillow opens grey with transparency as colour.
    upper = (values >> 8)[..., :3] if channels > 2 else (values >> 8)[..., [0, 0, 0]]
    np.testing.assert_array_equal(found.pixels, upper)
    assert found.traits == {"cut"}


@pytest.mark.parametrize("kind", ["png", "tiff", "whole", "float"])
def test_deep_grey_becomes_black_to_white_by_the_declared_window(kind):
    values = np.array([[-5, 0, 100], [150, 200, 4000]]).clip(0 if kind in {"png", "tiff"} else -5)
    stored = {"png": np.uint16, "tiff": np.uint16, "whole": np.int32, "float": np.float32}[kind]
    content = saved(Image.fromarray(values.astype(stored)), "PNG" if kind == "png" else "TIFF")

    found = read(content, window=(100, 200))

    assert found.pixels.tolist() == [[0, 0, 0], [128, 255, 255]]
    assert found.pixels.dtype == np.uint8
    assert found.traits == {"windowed"}
    with pytest.raises(SubjectError, match=r"here: grey deeper than 8 bits .*\[LOW, HIGH\]"):
        read(content)


def test_a_window_leaves_images_of_8_bits_as_they_are():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)

    found = read(saved(Image.fromarray(pixels)), window=(0, 4))

    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.traits == frozenset()


def test_values_that_are_no_numbers_are_refused():
    content = saved(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF")

    with pytest.raises(SubjectError, match=r"here: cannot be decoded: .*NaN"):
        read(content, window=(0, 1))


def test_the_deepest_window_does_not_overflow():
    content = saved(Image.fromarray(np.array([[-3e38, 0, 3e38]], np.float32)), "TIFF")

    assert read(content, window=(-1.7e308, 1.7e308)).pixels.tolist() == [[128, 128, 128]]

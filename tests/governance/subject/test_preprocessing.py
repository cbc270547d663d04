import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from governance.errors import SubjectError
from governance.subject.preprocessing import Preprocessing

GREY = hnp.arrays(np.uint8, (5, 7))
RGB = hnp.arrays(np.uint8, (5, 7, 3))


@given(GREY)
@settings(max_examples=25, deadline=None)
def test_a_grey_image_becomes_its_values_over_255(image):
    found = Preprocessing(size=(5, 7), channels="grey").pixels(image)

    assert found.shape == (1, 5, 7)
    assert found.dtype == np.float32
    assert np.array_equal(found[0], image.astype(np.float32) / 255)


@given(RGB, st.sampled_from(("rgb", "bgr")))
@settings(max_examples=25, deadline=None)
def test_pixels_are_rgb_whatever_order_the_model_takes(image, channels):
    found = Preprocessing(size=(5, 7), channels=channels).pixels(image)

    assert np.array_equal(found, image.transpose(2, 0, 1).astype(np.float32) / 255)


def test_a_grey_image_for_a_colour_model_has_three_equal_channels():
    image = np.arange(35, dtype=np.uint8).reshape(5, 7)

    found = Preprocessing(size=(5, 7)).pixels(image)

    assert found.shape == (3, 5, 7)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[1], found[2])


def test_a_colour_image_for_a_grey_model_is_its_luma():
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[..., 1] = 200

    found = Preprocessing(size=(2, 2), channels="grey").pixels(image)

    # ITU-R 601: 0.587 of green.
    assert found == pytest.approx(0.587 * 200 / 255, abs=1 / 255)


def test_another_size_is_refused_with_what_would_be_accepted():
    with pytest.raises(SubjectError) as caught:
        Preprocessing(size=(8, 8)).pixels(np.zeros((5, 7), np.uint8))

    assert "5 x 7" in str(caught.value)
    assert "8 x 8" in str(caught.value)
    assert "resize = 'squash' or 'crop'" in str(caught.value)


def test_squash_uses_the_whole_image():
    # Left half black, right half white: still so at another aspect ratio.
    image = np.zeros((8, 40), np.uint8)
    image[:, 20:] = 255

    found = Preprocessing(size=(8, 8), channels="grey", resize="squash").pixels(image)[0]

    assert found[:, :3].max() < 0.1
    assert found[:, 5:].min() > 0.9


def test_crop_keeps_the_aspect_ratio_and_the_centre():
    # A white square in the middle of a wide black image fills the crop.
    image = np.zeros((8, 40), np.uint8)
    image[:, 16:24] = 255

    found = Preprocessing(size=(8, 8), channels="grey", resize="crop").pixels(image)[0]

    assert found.min() == 1.0


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from(("squash", "crop")),
)
@settings(max_examples=60, deadline=None)
def test_any_size_becomes_the_models_size_within_0_and_1(found_size, size, resize):
    image = np.random.default_rng(0).integers(0, 256, (*found_size, 3), dtype=np.uint8)

    found = Preprocessing(size=size, resize=resize).pixels(image)

    assert found.shape == (3, *size)
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize(("channels", "depth"), [("grey", 1), ("rgb", 3), ("bgr", 3)])
def test_one_number_serves_all_channels(channels, depth):
    found = Preprocessing(size=(2, 2), channels=channels, mean=(0.5,), std=(0.25,))

    assert found.depth == depth
    assert found.mean == (0.5,) * depth
    assert found.std == (0.25,) * depth


@pytest.mark.parametrize("name", ["mean", "std"])
def test_a_wrong_count_of_numbers_is_refused(name):
    with pytest.raises(SubjectError, match=f"preprocessing {name} .* 3 numbers are needed"):
        Preprocessing(size=(2, 2), **{name: (0.5, 0.5)})


@pytest.mark.parametrize(
    ("name", "value"),
    [("std", 0.0), ("std", -1.0), ("std", math.nan), ("std", math.inf), ("mean", math.nan)],
)
def test_numbers_that_would_make_nan_of_every_image_are_refused(name, value):
    with pytest.raises(SubjectError, match=f"preprocessing {name} .* finite numbers"):
        Preprocessing(size=(2, 2), **{name: (value,)})

"""The search for a preprocessing, on a model whose preprocessing is known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.preprocessing_search import (
    above_chance,
    answered,
    geometries,
    halved,
    preferred,
    scales,
)
from governance.subject.images.validation_set import ValidationSet
from governance.subject.preprocessing import Preprocessing

START = Preprocessing(size=(4, 4), resize="crop")


@dataclass(frozen=True)
class Threshold:
    """Right where its input of the first channel lies on the right side; overflows far outside."""

    preprocessing: Preprocessing
    level: float
    order: tuple[int, int] = (0, 1)

    @property
    def device(self):
        return torch.device("cpu")

    def probabilities(self, pixels):
        first = pixels.flip(1) if self.preprocessing.channels == "bgr" else pixels
        value = (first[:, 0].mean((1, 2)) - self.preprocessing.mean[0]) / self.preprocessing.std[0]
        bright = (value > self.level).float() * 0.8 + 0.1
        answers = torch.stack([1 - bright, bright], dim=1)
        return answers[:, list(self.order)]

    def with_preprocessing(self, preprocessing):
        return replace(self, preprocessing=preprocessing)


def red_images(n=200, size=4, *, blue=True):
    """Images whose class is whether red is bright; blue, if there is any, says the opposite."""
    rng = np.random.default_rng(1)
    labels = np.arange(n) % 2
    images = np.zeros((n, size, size, 3), dtype=np.uint8)
    images[..., 0] = np.where(labels == 1, rng.integers(140, 255, n), rng.integers(0, 110, n))[
        :, None, None
    ]
    if blue:
        images[..., 2] = 255 - images[..., 0]
    names = [str(index) for index in range(n)]
    return ValidationSet.of(tuple(images), labels, ("dark", "bright"), names, names, "memory")


def test_scales_are_tried_in_both_channel_orders_with_mean_and_std_in_their_places():
    found = {item.name: item.preprocessing for item in scales(START)}

    assert next(iter(found)) == "ImageNet mean and std"
    assert found["ImageNet mean and std, BGR"].channels == "bgr"
    assert found["ImageNet mean and std, BGR"].mean == (0.406, 0.456, 0.485)
    assert all(item.size == (4, 4) for item in found.values())
    grey = scales(Preprocessing(size=(4, 4), channels="grey"))
    assert {item.preprocessing.channels for item in grey} == {"grey"}


def test_the_scale_that_a_model_was_made_for_is_found():
    # Bright is above 125 of 255, which only numbers up to 255 reach; with ImageNet's all are dark.
    model, images = Threshold(START, level=125.0), red_images()
    candidates = scales(START)
    tried = halved(candidates, model, images, np.arange(100))

    best = preferred(tried, candidates, images)

    assert best.candidate.name == "from 0 to 255"
    assert best.accuracy(images.labels) == 1


def test_the_commoner_of_two_that_do_alike_is_taken():
    # Around 0, every scale with a mean of about one half does alike.
    model, images = Threshold(START, level=0.0), red_images()
    candidates = scales(START)

    best = preferred(halved(candidates, model, images, np.arange(100)), candidates, images)

    assert best.candidate.name == "ImageNet mean and std"


def test_the_search_gives_more_images_to_fewer_candidates():
    model, images, candidates = Threshold(START, level=0.0), red_images(), scales(START)

    tried = halved(candidates, model, images, np.arange(128), rounds=(16, 32, 128))

    assert [len(item.images) for item in tried] == [128] * 4 + [32] * 3 + [16] * 7
    assert all(len(set(item.images)) == len(item.images) for item in tried)


def test_a_model_whose_outputs_are_exchanged_is_searched_all_the_same():
    # Without blue, since blue first would mend exchanged outputs here.
    model, images = Threshold(START, level=125.0, order=(1, 0)), red_images(blue=False)

    tried = halved(scales(START), model, images, np.arange(100))

    assert tried[0].candidate.name == "from 0 to 255"
    assert tried[0].accuracy(images.labels) == 0


def test_images_without_a_usable_answer_are_wrong_and_the_others_are_kept():
    from governance.errors import SubjectError  # noqa: PLC0415 - beside its only use

    class Overflowing(Threshold):
        def probabilities(self, pixels):
            if (pixels[:, 0].mean((1, 2)) > 0.9).any():
                raise SubjectError("an output is NaN or infinite")
            return super().probabilities(pixels)

    images = red_images()
    (found,) = answered(scales(START)[:1], Overflowing(START, 0.0), images, np.arange(200))

    lost = found.named == -1
    bright = np.array([image[..., 0].mean() / 255 > 0.9 for image in images.images])
    assert np.array_equal(lost, bright)
    assert not found.right(images.labels)[lost].any()
    assert found.right(images.labels)[~lost].all()


def test_the_usual_ways_to_a_size_are_those_that_a_policy_can_say():
    start = Preprocessing(size=(224, 224), resize="crop")

    ways = geometries(scales(start)[0])

    assert [item.geometry for item in ways] == [
        "224 x 224, crop",
        "224 x 224, squash",
        "short side to 256, centre of 224 x 224, bilinear",
        "short side to 256, centre of 224 x 224, bicubic",
        "short side to 236, centre of 224 x 224, bicubic",
        "short side to 224, centre of 224 x 224, bilinear",
    ]


def test_no_square_is_cut_out_for_a_model_that_takes_none():
    start = Preprocessing(size=(32, 64), resize="crop")

    assert [item.preprocessing.resize for item in geometries(scales(start)[0])] == [
        "crop",
        "squash",
    ]


@given(st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_above_chance_is_the_binomial_tail(hits):
    from math import comb  # noqa: PLC0415 - beside its only use

    labels = np.arange(50) % 2
    right = np.arange(50) < hits
    expected = sum(comb(50, k) / 2**50 for k in range(hits, 51))

    assert above_chance(right, labels) == pytest.approx(expected)
    assert above_chance(right, labels, tests=7) == pytest.approx(min(1, 7 * expected))

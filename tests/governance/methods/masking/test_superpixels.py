"""Superpixels and baselines."""

import numpy as np
import pytest
import torch

from governance.errors import AnalysisError
from governance.methods.masking.superpixels import (
    BASELINES,
    baseline_image,
    check_image,
    superpixels,
)


def photo(channels=3, side=96, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.random((channels, side, side), dtype=np.float32) * 0.2
    image[:, side // 3 : 2 * side // 3, side // 4 : side // 2] = 0.9
    return torch.from_numpy(image)


@pytest.mark.parametrize(
    ("height", "width", "cells"), [(16, 16, 36), (28, 28, 49), (32, 32, 64), (63, 40, 64)]
)
def test_small_images_are_cut_into_a_grid_of_like_cells(height, width, cells):
    labels = superpixels(torch.rand(1, height, width, generator=torch.Generator()))
    sizes = np.bincount(labels.ravel())
    assert len(sizes) == cells
    assert sizes.max() <= 2.5 * sizes.min()


@pytest.mark.parametrize("channels", [1, 3])
def test_photos_are_cut_along_edges(channels):
    # arrange
    image = photo(channels)
    square = image[0].numpy() > 0.5
    # act
    labels = superpixels(image, 40)
    # assert: hardly a superpixel lies on both sides
    inside = np.bincount(labels.ravel(), weights=square.ravel()) / np.bincount(labels.ravel())
    assert 20 <= len(inside) <= 80
    assert np.minimum(inside, 1 - inside).mean() < 0.05


@pytest.mark.parametrize("side", [128, 161])
def test_large_photos_are_cut_at_half_their_size_along_the_same_edges(side):
    # arrange
    image = photo(side=side)
    square = image[0].numpy() > 0.5
    # act
    labels = superpixels(image)
    # assert
    assert labels.shape == (side, side)
    even = labels[: side // 2 * 2, : side // 2 * 2]
    assert (even[::2, ::2] == even[1::2, 1::2]).all()
    inside = np.bincount(labels.ravel(), weights=square.ravel()) / np.bincount(labels.ravel())
    assert np.minimum(inside, 1 - inside).mean() < 0.05


def test_noise_does_not_melt_into_one_segment():
    image = torch.from_numpy(np.random.default_rng(1).random((3, 96, 96), dtype=np.float32))
    assert superpixels(image).max() + 1 >= 16


def test_labels_given_are_renumbered():
    given = np.repeat(np.arange(9) * 10, 64).reshape(24, 24)
    assert sorted(np.unique(superpixels(torch.rand(1, 24, 24), given))) == list(range(9))


def test_every_baseline_has_the_shape_of_the_image_and_stays_in_range():
    image = photo()
    labels = superpixels(image)
    for name in BASELINES:
        made = baseline_image(image, name, labels, seed=3)
        assert made.shape == image.shape
        assert made.dtype == image.dtype
        assert 0 <= made.min() <= made.max() <= 1


def test_baselines_are_what_their_names_say():
    # arrange
    image = photo()
    labels = superpixels(image)
    # act
    made = {name: baseline_image(image, name, labels, seed=3) for name in BASELINES}
    # assert
    assert made["black"].abs().max() == 0
    torch.testing.assert_close(made["mean"][:, 5, 7], image.mean((1, 2)))
    assert made["blur"].var() < 0.5 * image.var()
    torch.testing.assert_close(made["noise"], baseline_image(image, "noise", labels, seed=3))
    one = torch.from_numpy(labels == 4)
    torch.testing.assert_close(
        made["superpixel"][:, one], image[:, one].mean(1, keepdim=True).expand(-1, int(one.sum()))
    )


def test_all_problems_of_an_image_are_told_at_once():
    with pytest.raises(AnalysisError) as caught:
        check_image(torch.full((2, 24, 24), 2.0))
    assert len(caught.value.problems) == 2

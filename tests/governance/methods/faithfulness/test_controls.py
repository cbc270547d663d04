"""Maps that say nothing."""

import numpy as np
import pytest
import torch

from governance.errors import AnalysisError
from governance.methods.faithfulness.controls import (
    centre_maps,
    check_maps,
    constant_maps,
    random_maps,
)

SHAPE = (3, 24, 40)


@pytest.mark.parametrize("maps", [random_maps(SHAPE, 0), constant_maps(SHAPE), centre_maps(SHAPE)])
def test_a_control_is_a_finite_map_of_every_image(maps):
    assert maps.shape == SHAPE
    assert np.isfinite(maps).all()


def test_random_maps_follow_the_seed_differ_and_are_smooth():
    maps = random_maps(SHAPE, 3)

    np.testing.assert_array_equal(maps, random_maps(SHAPE, 3))
    assert np.abs(maps - random_maps(SHAPE, 4)).max() > 0.5
    assert np.abs(maps[0] - maps[1]).max() > 0.5
    # From one cell of the grid to the next it takes three pixels at least.
    assert np.abs(np.diff(maps, axis=1)).max() < 1 / 3 + 1e-9


def test_no_image_has_no_map():
    assert random_maps((0, 16, 16), 0).shape == (0, 16, 16)


def test_the_centre_is_hottest_and_all_sides_are_alike():
    (heat,) = centre_maps((1, 31, 41))

    assert np.unravel_index(heat.argmax(), heat.shape) == (15, 20)
    np.testing.assert_allclose(heat, heat[::-1, ::-1])
    assert heat[15, 0] == pytest.approx(heat[0, 20], rel=0.1)


@pytest.mark.parametrize(
    "maps", [np.ones((2, 16, 15)), np.ones((1, 16, 16)), np.full((2, 16, 16), np.nan)]
)
def test_maps_that_are_not_those_of_the_images_are_refused(maps):
    with pytest.raises(AnalysisError, match=r"shape \(2, 16, 16\)"):
        check_maps(maps, torch.zeros(2, 3, 16, 16))

"""Measures of maps: laws, and a linear model on which the best map and its score are known."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.faithfulness.controls import constant_maps, random_maps
from governance.methods.faithfulness.measures import curve_area, fidelity, gini

SIDE, STEPS = 16, 16
LAWS = settings(max_examples=15, deadline=None)
RNG = np.random.default_rng(5)
WEIGHTS = torch.from_numpy(RNG.random((SIDE, SIDE)) ** 3)
WEIGHTS /= WEIGHTS.sum()
IMAGES = torch.from_numpy(RNG.random((3, 1, SIDE, SIDE))).float()
BLACK = list(torch.zeros_like(IMAGES))
TARGETS = [1, 1, 1]
#: What every pixel adds to the probability: the best map there is.
ADDED = (IMAGES[:, 0].double() * WEIGHTS).numpy()


def linear(images):
    """Probability of class 1: the weighted mean of the pixels."""
    p = (images[:, 0].double() * WEIGHTS).sum((1, 2))
    return torch.stack([1 - p, p], 1)


def area(kind, predict=linear, **changes):
    return curve_area(
        predict, IMAGES, BLACK, TARGETS, **{"kind": kind, "steps": STEPS, "seed": 0} | changes
    )


def best_area(added, kind):
    """By hand: revealed from the pixel that adds most to the one that adds least."""
    order = np.sort(added.ravel())[::-1]
    reached = np.concatenate([[0.0], order.cumsum()])[:: added.size // STEPS]
    heights = reached if kind == "insertion" else reached[-1] - reached
    return sum((a + b) / 2 / STEPS for a, b in pairwise(heights))


@pytest.mark.parametrize("kind", ["insertion", "deletion"])
def test_the_oracle_of_a_linear_model_has_the_area_of_the_closed_form(kind):
    found = area(kind)(ADDED)

    wanted = [best_area(added, kind) for added in ADDED]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@LAWS
@given(seed=st.integers(0, 10**6))
def test_no_map_beats_the_oracle_of_a_linear_model(seed):
    other = np.random.default_rng(seed).normal(size=ADDED.shape)

    assert (area("insertion")(other) <= area("insertion")(ADDED) + 1e-6).all()
    assert (area("deletion")(other) >= area("deletion")(ADDED) - 1e-6).all()


@LAWS
@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 10**6))
def test_heat_of_another_scale_scores_the_same(factor, seed):
    maps = np.random.default_rng(seed).normal(size=ADDED.shape)
    correlates = fidelity(linear, IMAGES, BLACK, TARGETS, subsets=40, seed=0)

    for kind in ("insertion", "deletion"):
        np.testing.assert_array_equal(area(kind)(maps), area(kind)(maps * factor))
    np.testing.assert_allclose(correlates(maps), correlates(maps * factor), atol=1e-9)
    np.testing.assert_allclose(gini(maps), gini(maps * factor), atol=1e-9)


def test_ties_are_ordered_by_the_seed_alone():
    flat = constant_maps(ADDED.shape)

    np.testing.assert_array_equal(area("insertion")(flat), area("insertion")(7 * flat))
    assert (area("insertion")(flat) != area("insertion", seed=9)(flat)).all()


def test_a_constant_map_is_at_chance():
    # Over many orders of the pixels: half of what there is to be gained, and no correlation.
    flat = constant_maps(ADDED.shape)
    areas = np.array([area("insertion", seed=seed)(flat) for seed in range(0, 300, 3)])

    error = areas.std(0, ddof=1) / np.sqrt(len(areas))
    assert (np.abs(areas.mean(0) - ADDED.sum((1, 2)) / 2) < 4 * error).all()
    correlates = fidelity(linear, IMAGES, BLACK, TARGETS, subsets=40, seed=0)
    assert list(correlates(flat)) == [0, 0, 0]
    assert list(gini(flat)) == pytest.approx([0, 0, 0])


def test_the_oracle_of_a_linear_model_foretells_every_loss():
    correlates = fidelity(linear, IMAGES, BLACK, TARGETS, subsets=60, seed=0)

    np.testing.assert_allclose(correlates(ADDED), 1, atol=1e-6)
    np.testing.assert_allclose(correlates(-ADDED), -1, atol=1e-6)


def test_mu_fidelity_is_the_correlation_written_out():
    # arrange
    correlates = fidelity(linear, IMAGES, BLACK, TARGETS, subsets=30, seed=4)
    heat = np.random.default_rng(1).normal(size=ADDED.shape)
    drawn = np.random.default_rng([4, 2]).random((3, 30, 64))
    # act
    found = correlates(heat)
    # assert: cells of 2 x 2 pixels, the 13 of lowest number drawn are removed
    for image in range(3):
        taken, lost = [], []
        for numbers in drawn[image]:
            gone = np.zeros((SIDE, SIDE), dtype=bool)
            for cell in np.argsort(numbers)[:13]:
                row, column = divmod(int(cell), 8)
                gone[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = True
            taken.append(heat[image][gone].sum())
            lost.append(ADDED[image][gone].sum())
        assert found[image] == pytest.approx(np.corrcoef(taken, lost)[0, 1], abs=1e-4)


def test_random_maps_have_no_mu_fidelity():
    # 120 positive random maps of each image; subsets of differing size would give 0.2 and more.
    correlates = fidelity(linear, IMAGES, BLACK, TARGETS, subsets=60, seed=0)
    drawn = [np.random.default_rng(seed).random(ADDED.shape) for seed in range(60)]
    drawn += [random_maps(ADDED.shape, seed) for seed in range(60)]

    for maps in (drawn[:60], drawn[60:]):
        found = np.array([correlates(heat) for heat in maps]).mean(1)
        assert abs(found.mean()) < 2 * found.std(ddof=1) / np.sqrt(len(found))


def test_where_the_model_answers_the_same_there_is_no_correlation():
    def blind(images):
        return torch.full((len(images), 2), 0.5)

    found = fidelity(blind, IMAGES, BLACK, TARGETS, subsets=10, seed=0)(ADDED)
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    ("heat", "wanted"),
    [([1, 1, 1, 1], 0), ([0, 0, 0, 0], 0), ([0, 0, 0, 5], 0.75), ([-1, 2, -3, 4], 0.25)],
)
def test_gini_is_known_for_small_maps(heat, wanted):
    assert gini(np.array(heat, dtype=float).reshape(1, 2, 2))[0] == pytest.approx(wanted)

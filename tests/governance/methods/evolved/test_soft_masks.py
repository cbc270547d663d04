"""Soft masks against torch's own interpolation, and the count of what was tried."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from governance.methods.evolved.soft_masks import (
    Masks,
    Trials,
    random_shift,
    rendered,
    resized,
    spread,
)
from governance.methods.masking import Forward

IMAGE = torch.linspace(0.5, 1, 3 * 20 * 24).view(3, 20, 24)


def uniform(images):
    """Probability of the second class: mean brightness."""
    bright = images.mean((1, 2, 3))
    return torch.stack([1 - bright, bright], 1)


def random_masks(count, grid, seed, *, shifted=True):
    rng = np.random.default_rng(seed)
    nodes = grid + 1 if shifted else grid
    shift = random_shift(count, rng) if shifted else np.zeros((count, 2))
    return Masks(rng.random((count, nodes, nodes)), shift, grid)


def by_hand(mask, shift, grid, height, width):
    """One pixel after the other: the four nodes around it, weighted by how near they are."""
    nodes = len(mask)
    found = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = np.clip((y + 0.5) / height * grid - 0.5 + shift[0], 0, nodes - 1)
            u = np.clip((x + 0.5) / width * grid - 0.5 + shift[1], 0, nodes - 1)
            top, left = min(int(v), nodes - 2), min(int(u), nodes - 2)
            v, u = v - top, u - left
            found[y, x] = (
                (1 - v) * (1 - u) * mask[top, left] + (1 - v) * u * mask[top, left + 1]
                + v * (1 - u) * mask[top + 1, left] + v * u * mask[top + 1, left + 1]
            )  # fmt: skip
    return found


@pytest.mark.parametrize(("height", "width", "grid"), [(32, 32, 7), (20, 24, 4), (16, 33, 2)])
def test_a_mask_is_what_the_formula_of_bilinear_interpolation_gives(height, width, grid):
    masks = random_masks(3, grid, 0)
    found = rendered(masks, height, width)
    for one, nodes, shift in zip(found, masks.nodes, masks.shift, strict=True):
        np.testing.assert_allclose(one, by_hand(nodes, shift, grid, height, width), atol=1e-12)


def test_an_unshifted_mask_is_what_torch_interpolates():
    masks = random_masks(3, 7, 1, shifted=False)
    theirs = functional.interpolate(torch.from_numpy(masks.nodes)[None], (32, 40), mode="bilinear")
    np.testing.assert_allclose(rendered(masks, 32, 40), theirs[0].numpy(), atol=1e-12)
    np.testing.assert_allclose(resized(masks.nodes[0], 32, 40), theirs[0, 0].numpy(), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(2, 20), st.floats(0, 1))
def test_the_nodes_share_out_every_pixel(side, grid, shift):
    weights = spread(side, grid + 1, grid, np.array([shift]))
    assert weights.shape == (1, side, grid + 1)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(2), 1)
    assert ((weights > 0).sum(2) <= 2).all()


def test_a_whole_cell_of_shift_is_the_next_node():
    nodes = np.random.default_rng(0).random((1, 6, 6))
    still = Masks(nodes[:, 1:, 1:], np.zeros((1, 2)), 5)
    shifted = Masks(nodes, np.ones((1, 2)), 5)
    inner = (slice(None), slice(4, None), slice(4, None))  # at the border the first node goes on
    np.testing.assert_allclose(rendered(still, 40, 40)[inner], rendered(shifted, 40, 40)[inner])


def test_images_are_blended_with_their_baseline_by_the_mask():
    # arrange
    seen = []
    veil = torch.zeros_like(IMAGE)

    def predict(images):
        seen.append(images)
        return uniform(images)

    trials = Trials(Forward(predict, 2, IMAGE), IMAGE, veil, target=1, full=0.8, budget=10)
    masks = random_masks(5, 4, 2)
    # act
    p = trials.evaluate(masks)
    # assert
    wanted = torch.from_numpy(rendered(masks, 20, 24)).float()[:, None] * IMAGE
    torch.testing.assert_close(torch.cat(seen), wanted)
    np.testing.assert_allclose(p, wanted.mean((1, 2, 3)), atol=1e-6)
    assert [len(images) for images in seen] == [2, 2, 1]


def test_trials_end_with_the_budget_and_remember_all():
    # arrange
    forward = Forward(uniform, None, IMAGE)
    forward(2, lambda start, stop: IMAGE.expand(stop - start, -1, -1, -1))
    trials = Trials(forward, IMAGE, torch.zeros_like(IMAGE), target=1, full=0.8, budget=9)
    # act
    lengths = [len(trials.evaluate(random_masks(3, 4, seed))) for seed in range(4)]
    # assert
    assert lengths == [3, 3, 1, 0]
    assert (trials.spent, trials.left, forward.passes) == (9, 0, 9)
    assert len(trials.p) == len(trials.masks.nodes) == 7
    np.testing.assert_array_equal(trials.masks.nodes[3:6], random_masks(3, 4, 1).nodes)

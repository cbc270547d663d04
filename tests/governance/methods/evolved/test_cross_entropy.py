"""The engine `cem` on predictors whose answer is known place by place."""

import numpy as np
import pytest
import torch

from governance.methods.evolved.cross_entropy import regression, search
from governance.methods.evolved.soft_masks import Masks, Trials, random_shift, resized
from governance.methods.masking import Forward

GRID = 4
IMAGE = torch.ones(1, 32, 32)


def weighing(weights, bias):
    """Log odds of the second class: brightness of each of 4 x 4 cells, weighted."""

    def predict(images):
        cells = images[:, 0].reshape(-1, 4, 8, 4, 8).mean((2, 4))
        odds = (cells * torch.from_numpy(weights).float()).sum((1, 2)) - bias
        return torch.stack([-odds / 2, odds / 2], 1).softmax(1)

    return predict


def trials_of(predict, budget):
    forward = Forward(predict, None, IMAGE)
    return Trials(forward, IMAGE, torch.zeros_like(IMAGE), target=1, full=0.9, budget=budget)


def by_cell(values):
    return resized(values, 32, 32).reshape(4, 8, 4, 8).mean((1, 3))


@pytest.mark.parametrize("seed", range(3))
def test_the_regression_finds_the_weights_of_an_additive_model(seed):
    # arrange
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(4, 4))
    trials = trials_of(weighing(weights, 0.5), 600)
    nodes = (rng.random((600, 5, 5)) < 0.5).astype(float)
    # act
    trials.evaluate(Masks(nodes, random_shift(600, rng), GRID))
    # assert
    found = by_cell(regression(trials, GRID))
    assert np.corrcoef(found.ravel(), weights.ravel())[0, 1] > 0.9


def test_half_of_the_trials_can_be_looked_at_alone():
    # arrange
    rng = np.random.default_rng(0)
    predict = weighing(rng.normal(size=(4, 4)), 0.5)
    nodes = (rng.random((60, 5, 5)) < 0.5).astype(float)
    shift = random_shift(60, rng)
    both, odd = trials_of(predict, 60), trials_of(predict, 60)
    # act
    both.evaluate(Masks(nodes, shift, GRID))
    odd.evaluate(Masks(nodes[1::2], shift[1::2], GRID))
    # assert
    np.testing.assert_allclose(
        regression(both, GRID, slice(1, None, 2)), regression(odd, GRID), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("budget", [2, 20, 75, 300])
def test_the_whole_budget_is_spent_and_no_more(budget):
    trials = trials_of(weighing(np.eye(4), 1.0), budget)
    found, halves = search(trials, GRID, np.random.default_rng(0))
    assert trials.spent == budget
    assert found.shape == (8, 8)
    assert halves.shape == (2, 8, 8)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_places_that_decide_together_are_the_hottest(seed):
    # arrange: both of two cells are needed, which no single weight says
    def predict(images):
        cells = images[:, 0].reshape(-1, 4, 8, 4, 8).mean((2, 4))
        odds = 12 * torch.minimum(cells[:, 1, 1], cells[:, 2, 2]) - 6
        return torch.stack([-odds / 2, odds / 2], 1).softmax(1)

    # act
    found, halves = search(trials_of(predict, 520), GRID, np.random.default_rng(seed))
    # assert
    cells = by_cell(found)
    hottest = np.argsort(-cells.ravel())[:2]
    assert sorted(hottest) == [5, 10]
    assert np.corrcoef(halves.reshape(2, -1))[0, 1] > 0.7

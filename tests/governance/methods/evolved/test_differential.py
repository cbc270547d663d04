"""Differential evolution against SciPy's, at as many evaluations of the same cost."""

import numpy as np
import pytest
import torch
from scipy.optimize import differential_evolution
from torch import nn

from governance.methods.evolved.differential import minimise
from governance.methods.evolved.soft_masks import Masks, rendered


class Counted:
    """A cost that counts the points it is given and remembers them."""

    def __init__(self, cost):
        self.cost = cost
        self.points = []

    def __call__(self, points):
        self.points.extend(points)
        return self.cost(points)


def valley(points):
    """Least, 0, at 0.3 in each of the numbers; far steeper in some than in others."""
    return ((points - 0.3) ** 2 * np.arange(1, points.shape[1] + 1)).sum(1)


def network_cost(seed):
    """Probability kept of a class for the area shown, by a small network on a 5 x 5 mask."""
    rng = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16 * 16, 4))
    for weight in net.parameters():
        nn.init.normal_(weight.data, std=0.3, generator=rng)
    image = torch.rand(1, 20, 20, generator=rng)
    label = int(net(image[None]).argmax())

    def cost(points):
        nodes = points.reshape(-1, 5, 5)
        veil = rendered(Masks(nodes, np.zeros((len(nodes), 2)), 5), 20, 20)
        with torch.no_grad():
            p = net(image * torch.from_numpy(veil).float()[:, None]).softmax(1)[:, label]
        return 0.3 * nodes.mean((1, 2)) - p.numpy().astype(float)

    return cost


def by_scipy(cost, size, budget, seed):
    """Like ours in strategy and numbers; one generation of about 40 after the other."""
    members = max(5, size * round(40 / size))
    found = differential_evolution(
        lambda x: cost(x.T), [(0, 1)] * size, strategy="currenttobest1bin", popsize=members // size,
        maxiter=budget // members - 1, mutation=0.6, recombination=0.9, tol=0, polish=False,
        vectorized=True, updating="deferred", rng=seed,
    )  # fmt: skip
    assert found.nfev <= budget
    return found.fun


@pytest.mark.parametrize("make", [lambda _: valley, network_cost], ids=["valley", "network"])
def test_the_cost_reached_is_at_least_as_low_as_scipys_at_equal_evaluations(make):
    ours, theirs = [], []
    for seed in range(6):
        cost = make(seed)
        ours.append(minimise(cost, 25, 500, np.random.default_rng(seed))[1])
        theirs.append(by_scipy(cost, 25, 500, seed))
    assert np.mean(ours) <= np.mean(theirs)


def test_the_least_of_a_valley_is_found_when_evaluations_are_many():
    point, cost = minimise(valley, 4, 4000, np.random.default_rng(0))
    np.testing.assert_allclose(point, 0.3, atol=1e-3)
    assert cost == pytest.approx(0, abs=1e-5)


def test_a_least_on_the_border_is_reached():
    point, _ = minimise(lambda x: x.sum(1), 4, 2000, np.random.default_rng(0))
    np.testing.assert_allclose(point, 0, atol=1e-3)


@pytest.mark.parametrize("budget", [1, 3, 4, 39, 40, 41, 500])
def test_every_evaluation_is_within_the_budget_and_the_best_of_all_is_returned(budget):
    # arrange
    cost = Counted(valley)
    # act
    point, least = minimise(cost, 6, budget, np.random.default_rng(1))
    # assert
    seen = np.array(cost.points)
    assert len(seen) == budget or (budget < 4 and len(seen) <= budget)
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert least == pytest.approx(valley(seen).min())
    assert least == pytest.approx(valley(point[None])[0])


def test_the_seed_alone_decides():
    one, two, other = (minimise(valley, 6, 200, np.random.default_rng(s))[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)

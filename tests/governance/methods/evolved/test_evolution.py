"""Parts of the search, and its front beside pymoo's NSGA-II and every subset there is."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.bitflip import BitflipMutation
from pymoo.operators.sampling.rnd import BinaryRandomSampling
from pymoo.optimize import minimize
from torch import nn

from governance.methods.evolved import evolve
from governance.methods.evolved.evolution import plan
from governance.methods.evolved.subsets import partition


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 99))
def test_a_partition_puts_each_superpixel_into_exactly_one_group(n, count, seed):
    rng = np.random.default_rng(seed)
    groups = partition(rng.random((n, 2)), rng.integers(1, 9, n), count)
    assert len(groups) == min(n, count)
    assert (groups.sum(0) == 1).all()
    assert groups.any(1).all()


def test_groups_of_a_grid_are_blocks_of_like_size():
    centre = np.argwhere(np.ones((4, 4), bool)).astype(float)
    groups = partition(centre, np.ones(16, dtype=np.int64), 4)
    assert groups.sum(1).tolist() == [4, 4, 4, 4]
    assert all(np.ptp(centre[group], axis=0).max() == 1 for group in groups)


@pytest.mark.parametrize("budget", [20, 50, 99, 100, 160, 600, 5000])
def test_a_plan_leaves_room_for_its_checks(budget):
    parts = plan(budget)
    assert 2 + 2 * sum(parts.groups) < parts.found < parts.others
    assert parts.others + parts.controls + parts.checks == budget


@pytest.mark.parametrize(
    ("budget", "groups"),
    [(20, (4,)), (79, (4,)), (80, (4, 8)), (249, (4, 8)), (250, (4, 8, 12)), (600, (4, 8, 12))],
)
def test_a_small_budget_ranks_few_large_groups(budget, groups):
    assert plan(budget).groups == groups


CELLS = np.arange(16).reshape(4, 4).repeat(4, 0).repeat(4, 1)
EVERY = np.unpackbits(np.arange(2**16, dtype=">u2").view(np.uint8)).reshape(-1, 16).astype(bool)


class Small:
    """A random convolutional network on one image, asked about subsets of its 16 cells."""

    def __init__(self, seed):
        drawn = torch.Generator().manual_seed(seed)
        self.image = torch.rand(1, 16, 16, generator=drawn)
        self.net = nn.Sequential(
            nn.Conv2d(1, 6, 4, stride=4), nn.Tanh(), nn.Flatten(), nn.Linear(96, 12), nn.Tanh(),
            nn.Linear(12, 4),
        )  # fmt: skip
        for weight in self.net.parameters():
            nn.init.normal_(weight.data, std=0.8, generator=drawn)
        self.label = int(self(self.image[None]).argmax())

    @torch.no_grad()
    def __call__(self, images):
        return self.net(images).softmax(1)

    def points(self, keep):
        """Size and loss, (B, 2), of subsets (B, 16): the share kept, and 1 - p of the label."""
        masks = torch.from_numpy(keep[:, CELLS])[:, None]
        p = self(torch.where(masks, self.image, torch.zeros(())))[:, self.label].numpy()
        return np.stack([keep.mean(1), 1 - p.astype(float)], 1)


def volume(points):
    """What a front dominates of the unit square: best loss at each size, by hand."""
    best = np.ones(17)
    for size, loss in points:
        best[round(size * 16)] = min(best[round(size * 16)], loss)
    return (1 - np.minimum.accumulate(best))[:16].sum() / 16


def by_nsga2(problem, budget, seed):
    """Every subset that pymoo's NSGA-II asks for within a budget."""
    asked = []

    class Subsets(Problem):
        def __init__(self):
            super().__init__(n_var=16, n_obj=2, xl=0, xu=1, vtype=bool)

        def _evaluate(self, x, out, *_, **__):
            asked.extend(x)
            out["F"] = problem.points(x)

    minimize(
        Subsets(),
        NSGA2(
            32, sampling=BinaryRandomSampling(), crossover=TwoPointCrossover(),
            mutation=BitflipMutation(), eliminate_duplicates=True,
        ),
        ("n_eval", budget), seed=seed,
    )  # fmt: skip
    return np.array(asked[:budget])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_front_dominates_at_least_what_nsga2_does_at_equal_evaluations(seed):
    # arrange
    problem = Small(seed)
    # act
    found = evolve(
        problem, problem.image, mode="pareto", baseline="black", segments=CELLS, budget=300,
        seed=seed,
    )  # fmt: skip
    # assert
    ours = volume([(point.area, 1 - point.probability) for point in found.pareto])
    theirs = volume(problem.points(by_nsga2(problem, found.evaluations, seed)))
    true = volume(problem.points(EVERY))
    assert found.evaluations <= 300
    assert ours >= theirs
    assert ours >= 0.98 * true


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_sufficient_region_is_the_true_one_of_all_65536(seed):
    # arrange
    problem = Small(seed)
    masks = torch.from_numpy(EVERY[:, CELLS])[:, None]
    p = problem(torch.where(masks, problem.image, torch.zeros(()))).numpy()
    enough = (p.argmax(1) == problem.label) & (p[:, problem.label] >= 0.9 * p[-1, problem.label])
    # act
    found = evolve(problem, problem.image, baseline="black", segments=CELLS, seed=seed)
    # assert
    assert found.area == EVERY[enough].mean(1).min()

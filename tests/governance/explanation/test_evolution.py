"""Parts of the search: partition, breeding, ridge, the plan of a budget."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.explanation.evolution import breed, jaccard, plan, ridge
from governance.explanation.subsets import partition


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


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(0, 99))
def test_children_differ_from_what_their_parents_share_by_one_move_at_most(m, seed):
    rng = np.random.default_rng(seed)
    parents = rng.random((m, 20)) < 0.4
    children = breed(parents, rng.normal(size=20), 50, rng)
    in_all, in_none = parents.all(0), ~parents.any(0)
    assert ((in_all & ~children).sum(1) <= 1).all()
    assert ((in_none & children).sum(1) <= 1).all()


def test_weak_superpixels_are_dropped_more_often_than_strong_ones():
    rng = np.random.default_rng(0)
    children = breed(np.ones((1, 10), bool), np.linspace(-2, 2, 10), 2000, rng)
    dropped = (~children).sum(0)
    assert dropped[0] > 5 * dropped[9]


def test_ridge_is_least_squares_where_the_penalty_vanishes():
    rng = np.random.default_rng(0)
    keep = rng.random((60, 5)) < 0.5
    value = keep @ np.array([1.0, -2, 0, 3, 0.5]) + 0.7
    weights, intercept = ridge(keep, value, strength=1e-9)
    np.testing.assert_allclose(weights, [1, -2, 0, 3, 0.5], atol=1e-6)
    assert intercept == pytest.approx(0.7, abs=1e-6)


def test_jaccard_is_over_areas_and_pairs():
    subsets = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0]], dtype=bool)
    assert jaccard(subsets, np.array([3, 1, 5])) == pytest.approx((3 / 4 + 1 + 3 / 4) / 3)


@pytest.mark.parametrize("budget", [20, 50, 99, 100, 160, 600, 5000])
def test_a_plan_leaves_room_for_its_checks(budget):
    parts = plan(budget)
    assert 2 + 2 * parts.groups < parts.found < parts.others
    assert parts.others + parts.controls + parts.checks == budget

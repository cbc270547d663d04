"""Children of subsets, and how alike subsets are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.evolved.breeding import breed, jaccard


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


def test_jaccard_is_over_areas_and_pairs():
    subsets = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0]], dtype=bool)
    assert jaccard(subsets, np.array([3, 1, 5])) == pytest.approx((3 / 4 + 1 + 3 / 4) / 3)

"""Descent to smaller neighbours, on a goal whose best subset is known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.evolved.descent import PATIENCE, TRIED, descend, neighbours, ridge, trim
from governance.methods.evolved.subsets import Goal, Search
from governance.methods.masking import Ask

ALL = np.ones(12, dtype=bool)
WORTH = np.array([4.0, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0])
PIXELS = np.array([5, 5, 5, 3, 3, 3, 2, 2, 2, 1, 1, 1])


def p_of(keep):
    """Two classes, (B, 2): the first wins where the superpixels kept are worth 6 and more."""
    odds = keep @ WORTH - 5.5
    own = 1 / (1 + np.exp(-odds))
    return np.stack([own, 1 - own], 1).astype(np.float32)


def searched(start, mode="sufficient", floor=0.5):
    goal = Goal(mode, 0, 1 if mode == "contrastive" else 0, floor)
    first = Ask(np.array([ALL, ~ALL, start]) ^ goal.removes, "blur")
    return Search(goal, PIXELS, first, p_of(first.keep))


def answered(steps):
    """Answer a search until its end: how many subsets it asked for each time."""
    told, sizes = None, []
    while True:
        try:
            ask = steps.send(told)
        except StopIteration:
            return sizes
        sizes.append(len(ask.keep))
        told = p_of(ask.keep)


def descended(start, limit, mode="sufficient", floor=0.5):
    search = searched(start, mode, floor)
    return search, answered(descend(search, limit))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_neighbours_are_all_subsets_one_drop_or_swap_away(bits):
    chosen = np.array(bits)
    every = (np.arange(2 ** len(bits))[:, None] >> np.arange(len(bits))) % 2 == 1
    apart, size = (every != chosen).sum(1), every.sum(1)
    near = (apart == 1) & (size < chosen.sum()) | (apart == 2) & (size == chosen.sum())
    assert sorted(map(tuple, neighbours(chosen))) == sorted(map(tuple, every[near]))


@pytest.mark.parametrize("start", [ALL, WORTH <= 2, WORTH >= 1, PIXELS < 5])
def test_it_ends_where_no_smaller_neighbour_reaches_the_goal(start):
    search, _ = descended(start, 400)
    best = search.chosen(search.best())
    near = neighbours(best)
    smaller = near[near @ PIXELS < best @ PIXELS]
    assert best @ PIXELS < start @ PIXELS
    assert (p_of(smaller)[:, 0] < 0.5).all()


@pytest.mark.parametrize("mode", ["necessary", "contrastive"])
def test_removals_are_exchanged_alike(mode):
    search, _ = descended(WORTH != 1, 400, mode)
    best = search.best()
    assert search.met[best]
    assert search.size[best] < PIXELS[WORTH != 1].sum()


@pytest.mark.parametrize("limit", [3, 4, 17, 60])
def test_the_limit_is_kept(limit):
    search, sizes = descended(ALL, limit)
    assert search.spent == 3 + sum(sizes) <= limit
    assert max(sizes, default=0) <= TRIED


def test_it_stops_where_nothing_smaller_is_found():
    # arrange: all that is worth anything is needed
    needed = WORTH > 0
    search, sizes = descended(needed, 500, floor=float(p_of(needed[None])[0, 0]))
    # assert
    assert search.size[search.best()] == PIXELS[needed].sum()
    assert len(sizes) <= PATIENCE


def test_nothing_is_done_where_no_subset_reaches_the_goal():
    assert descended(WORTH == 0, 500, floor=1.1)[1] == []


@pytest.mark.parametrize("start", [ALL, WORTH <= 2, WORTH >= 1])
def test_trimming_drops_many_at_once_and_stays_enough(start):
    # arrange
    search = searched(start)
    # act
    sizes = answered(trim(search, start, 60))
    # assert: one subset at a time, all inside the start
    assert set(sizes) == {1}
    best = search.chosen(search.best())
    assert p_of(best[None])[0, 0] >= 0.5
    assert best @ PIXELS < start @ PIXELS
    assert not (best & ~start).any()


@pytest.mark.parametrize("limit", [3, 4, 7])
def test_trimming_keeps_the_limit(limit):
    search = searched(WORTH >= 1)
    answered(trim(search, WORTH >= 1, limit))
    assert search.spent <= limit


def test_what_is_not_enough_is_not_trimmed():
    search = searched(WORTH == 0)
    assert answered(trim(search, WORTH == 0, 60)) == []


def test_ridge_is_least_squares_where_the_penalty_vanishes():
    rng = np.random.default_rng(0)
    keep = rng.random((60, 5)) < 0.5
    value = keep @ np.array([1.0, -2, 0, 3, 0.5]) + 0.7
    weights, intercept = ridge(keep, value, strength=1e-9)
    np.testing.assert_allclose(weights, [1, -2, 0, 3, 0.5], atol=1e-6)
    assert intercept == pytest.approx(0.7, abs=1e-6)


def test_a_weight_of_two_is_a_row_given_twice():
    rng = np.random.default_rng(1)
    keep, value = rng.random((30, 4)) < 0.5, rng.normal(size=30)
    count = rng.integers(1, 4, 30)
    slopes, intercept = ridge(keep, value, count.astype(float))
    again, once_more = ridge(keep.repeat(count, 0), value.repeat(count))
    np.testing.assert_allclose(slopes, again, atol=1e-9)
    assert intercept == pytest.approx(once_more, abs=1e-9)

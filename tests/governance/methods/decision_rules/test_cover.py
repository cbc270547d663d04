"""Rules from truth tables, held against exhaustive search."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from governance.methods.decision_rules.cover import choose, cover, prune, tighten

tables = st.integers(1, 6).flatmap(
    lambda q: st.integers(2, 9).flatmap(
        lambda n: st.tuples(
            arrays.arrays(bool, (n, q)), arrays.arrays(bool, n).filter(lambda own: own.any())
        )
    )
)
thorough = settings(max_examples=60, deadline=None)


def others_covered(inside, own, places):
    return int((cover(inside, places) & ~own).sum())


@thorough
@given(tables)
def test_no_set_of_boundaries_keeps_out_more_than_the_chosen(table):
    inside, own = table
    subsets = [
        c for k in range(inside.shape[1] + 1) for c in combinations(range(inside.shape[1]), k)
    ]

    chosen = choose(inside, own)

    fewest = min(others_covered(inside, own, subset) for subset in subsets)
    assert others_covered(inside, own, chosen) == fewest


@thorough
@given(tables)
def test_no_chosen_boundary_can_be_spared(table):
    inside, own = table

    chosen = choose(inside, own)

    assert len(set(chosen)) == len(chosen)
    for place in chosen:
        rest = [item for item in chosen if item != place]
        assert others_covered(inside, own, rest) > others_covered(inside, own, chosen)


@thorough
@given(tables)
def test_coverage_is_at_most_the_best_and_the_best_where_one_boundary_is_enough(table):
    inside, own = table
    subsets = [
        c for k in range(inside.shape[1] + 1) for c in combinations(range(inside.shape[1]), k)
    ]

    chosen = choose(inside, own)

    fewest = others_covered(inside, own, range(inside.shape[1]))
    covers = {
        subset: int((cover(inside, subset) & own).sum())
        for subset in subsets
        if others_covered(inside, own, subset) == fewest
    }
    found = int((cover(inside, chosen) & own).sum())
    assert found <= max(covers.values())
    # All that excludes anybody, taken for nothing, is taken.
    free = [s for s, count in covers.items() if count == own.sum()]
    if free:
        assert found == own.sum()


@thorough
@given(tables, st.integers(0, 8))
def test_tightening_costs_no_covered_image_and_keeps_out_no_fewer(table, most):
    inside, own = table
    chosen = choose(inside, own)

    tight = tighten(inside, own, chosen, most)

    assert tight[: len(chosen)] == chosen
    assert len(tight) <= max(most, len(chosen))
    assert (cover(inside, tight) & own).sum() == (cover(inside, chosen) & own).sum()
    assert (cover(inside, tight) <= cover(inside, chosen)).all()
    assert all((~inside[~own][:, place]).any() for place in tight)


@thorough
@given(st.lists(arrays.arrays(bool, 6), max_size=5))
def test_pruning_keeps_what_is_covered_with_rules_that_each_add(covered):
    kept = prune(covered)

    together = np.zeros(6, dtype=bool)
    for number in kept:
        assert (covered[number] & ~together).any()
        together |= covered[number]
    assert (together == np.any([np.zeros(6, dtype=bool), *covered], axis=0)).all()


def test_the_cheapest_boundary_comes_first_and_an_idle_one_is_dropped():
    # arrange: images 0-3 of the class, 4-6 not; each column is a boundary
    inside = np.array(
        [
            [1, 1, 1],
            [1, 1, 1],
            [1, 1, 0],
            [0, 1, 1],
            [0, 1, 0],
            [0, 0, 1],
            [1, 0, 0],
        ],
        dtype=bool,
    )
    own = np.array([1, 1, 1, 1, 0, 0, 0], dtype=bool)

    # act
    chosen = choose(inside, own)

    # assert: boundary 1 is free; boundary 2 then loses one image for the one that is left
    assert chosen[0] == 1
    assert len(chosen) == 2
    assert others_covered(inside, own, chosen) == 0

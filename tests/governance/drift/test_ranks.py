"""The rank test, beside naive formulas; exact under exchangeability."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from governance.drift.ranks import combined, holm, reach, share_reached, studentised

points = arrays(
    np.float64, st.integers(3, 9), elements=st.integers(-50, 50).map(float), unique=True
)


def test_reach_is_the_mean_distance_to_all_others_and_the_fixed():
    distances = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))

    found = reach(distances, (1, 3, 4), (0,))

    assert found == pytest.approx([(1 + 2 + 3) / 3, (3 + 2 + 1) / 3, (4 + 3 + 1) / 3])


def test_studentised_is_the_distance_to_the_others_in_their_deviations():
    values = np.array([1.0, 2.0, 4.0, 9.0])

    naive = [
        (v - np.mean(rest)) / np.std(rest, ddof=1)
        for v, rest in ((v, [o for o in values if o != v]) for v in values)
    ]
    assert studentised(values) == pytest.approx(naive)


def test_what_stands_out_of_equals_lies_infinitely_far_and_equals_nowhere():
    assert studentised(np.array([1.0, 1, 1, 2]))[3] == np.inf
    assert studentised(np.array([1.0, 1, 1, 0]))[3] == -np.inf
    assert studentised(np.ones(4)).tolist() == [0, 0, 0, 0]
    assert studentised(np.array([1.0, 5])).tolist() == [0, 0]


def test_the_p_value_counts_references_that_reach_the_new_version():
    values = np.array([3.0, 1, 2, 3, 5])  # the first is the new version

    assert share_reached(values, 0) == (1 + 2) / (4 + 1)
    assert share_reached(values, 4) == 1 / 5


@given(points)
def test_over_all_members_in_turn_the_test_keeps_its_level_exactly(values):
    n = len(values)
    p = [share_reached(values, place) for place in range(n)]

    for alpha in np.arange(1, n + 1) / n:
        assert sum(item <= alpha for item in p) == round(alpha * n)


@given(points, st.integers(0, 1000))
def test_one_statistic_alone_and_combined_rank_alike(values, seed):
    order = np.random.default_rng(seed).permutation(len(values))
    scores = combined({"only": values})

    assert (np.argsort(scores, kind="stable") == np.argsort(values, kind="stable")).all()
    # The members may stand in any order.
    assert combined({"only": values[order]}) == pytest.approx(scores[order])


def test_the_level_holds_over_resampled_members_of_one_kind_with_several_statistics():
    rng = np.random.default_rng(0)
    rejected = []
    for _ in range(400):
        at = rng.normal(size=(12, 3))
        matrices = [np.abs(np.subtract.outer(column, column)) for column in at.T]
        members = list(range(1, 11))
        totals = {str(k): reach(matrix, members, (0,)) for k, matrix in enumerate(matrices)}
        rejected.append(share_reached(combined(totals), 0) <= 0.1)

    # 0.1 with a standard error of 0.015.
    assert 0.055 <= np.mean(rejected) <= 0.145


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_rejects_what_the_step_down_procedure_rejects(p):
    adjusted = holm(p)

    for alpha in (0.01, 0.05, 0.1, 0.3):
        rejected = set()
        for step, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            if p[place] * (len(p) - step) > alpha:
                break
            rejected.add(place)
        # Ties may be broken either way by the loop; the adjusted values treat them alike.
        assert {i for i, value in enumerate(adjusted) if value <= alpha} == rejected or any(
            p[a] == p[b] for a, b in combinations(range(len(p)), 2)
        )
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))

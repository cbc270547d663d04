"""Classes that fall short: the test held against sums of binomial probabilities."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.methods.statistics.proportions import ClassShare
from governance.methods.statistics.shortfall import cannot_fall_short, critical_hits, falls_short


def tail(hits, n, share):
    return sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(hits + 1))


@given(st.integers(0, 60), st.floats(0.05, 0.99), st.integers(1, 200))
def test_the_critical_number_is_the_largest_whose_tail_is_small_enough(n, asked, classes):
    found = int(critical_hits(n, asked, classes))

    error = 0.05 / classes
    assert found == -1 or tail(found, n, asked) <= error * (1 + 1e-9)
    assert found == n or tail(found + 1, n, asked) > error * (1 - 1e-9)


def test_of_a_recall_of_one_a_single_miss_is_proof():
    assert list(critical_hits([5, 50], 1.0, 10)) == [4, 49]


def test_a_class_falls_short_only_where_its_images_show_it():
    shares = [ClassShare(hits=hits, n=50) for hits in (35, 42, 30, 50)]

    assert list(falls_short(shares, 0.85)) == [True, False, True, False]


def test_a_class_of_too_few_images_cannot_fall_short():
    assert list(cannot_fall_short([0, 2, 30], 0.85)) == [True, True, False]


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_a_model_that_holds_what_is_asked_has_no_such_class_in_95_of_100_sets(classes):
    rng = np.random.default_rng(0)
    hits = rng.binomial(50, 0.85, (4000, classes))

    short = (hits <= critical_hits(50, 0.85, classes)).any(1).mean()

    # Three standard errors of a share of 0.05 of 4,000.
    assert short <= 0.05 + 3 * (0.05 * 0.95 / 4000) ** 0.5

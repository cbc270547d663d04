"""Several shares compared: oracles by counting, laws by Hypothesis, coverage by simulation."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.statistics.intervals import clopper_pearson, wilson
from governance.methods.statistics.proportions import (
    ClassShare,
    Paired,
    by_class,
    chance,
    exchanged,
    largest,
    lowest,
    mean_of,
    span,
    unknown,
)

counts = st.integers(0, 40)
paired = st.builds(Paired, both=counts, first=counts, second=counts, neither=counts)
shares = st.integers(1, 60).flatmap(
    lambda n: st.builds(ClassShare, hits=st.integers(0, n), n=st.just(n))
)


def test_shares_by_class_are_what_counting_gives():
    # arrange
    labels = np.array([0, 0, 2, 2, 2, 0])
    hits = np.array([True, False, True, True, False, True])

    # act
    found = by_class(hits, labels, 4)

    # assert
    expected = [(2, 3), (0, 0), (2, 3), (0, 0)]
    assert [(item.hits, item.n) for item in found] == expected
    assert found[1].share is None
    assert found[1].interval is None


def test_chance_is_the_share_of_the_commonest_class():
    assert chance(np.array([0, 1, 1, 1, 2])) == 3 / 5


def test_pairs_are_counted_as_in_a_mcnemar_table():
    first = np.array([1, 1, 0, 0, 1], dtype=bool)
    second = np.array([1, 0, 1, 0, 0], dtype=bool)
    pair = Paired.of(first, second)
    assert (pair.both, pair.first, pair.second, pair.neither) == (1, 2, 1, 1)
    assert pair.difference == pytest.approx(3 / 5 - 2 / 5)


def test_the_exact_mcnemar_test_is_the_binomial_sum():
    # arrange: 9 of 11 discordant images speak for the first reading
    pair = Paired(both=20, first=9, second=2, neither=4)

    # act and assert
    tail = sum(comb(11, k) for k in range(9, 12)) / 2**11
    assert pair.p_value() == pytest.approx(2 * tail)
    assert Paired(both=5, first=0, second=0, neither=5).p_value() == 1.0


def test_the_paired_interval_matches_the_published_example():
    # Newcombe 1998, table III: 36, 12, 2, 0 images, difference 0.2, method 10: 0.0569 to 0.3404
    interval = Paired(both=36, first=12, second=2, neither=0).interval()
    assert interval is not None
    assert interval.low == pytest.approx(0.0569, abs=5e-4)
    assert interval.high == pytest.approx(0.3404, abs=5e-4)


@settings(max_examples=60, deadline=None)
@given(paired)
def test_exchanging_two_readings_mirrors_their_interval(pair):
    # arrange
    mirror = Paired(both=pair.both, first=pair.second, second=pair.first, neither=pair.neither)

    # act
    one, two = pair.interval(), mirror.interval()

    # assert
    if pair.n == 0:
        assert one is None
        return
    assert one.low == pytest.approx(-two.high, abs=1e-12)
    assert one.high == pytest.approx(-two.low, abs=1e-12)
    assert -1 <= one.low <= pair.difference + 1e-12
    assert pair.difference - 1e-12 <= one.high <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(shares, min_size=1, max_size=6))
def test_the_lowest_share_is_inside_an_interval_of_its_own(items):
    value, interval = lowest(items)
    assert value == min(item.hits / item.n for item in items)
    assert interval.low <= value <= interval.high
    if len(items) == 1:
        alone = clopper_pearson(items[0].hits, items[0].n)
        assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high))


def test_extremes_are_unknown_where_a_class_has_no_images():
    empty = ClassShare(hits=0, n=0)
    assert lowest([ClassShare(hits=3, n=4), empty]) is None
    assert lowest([]) is None
    assert mean_of([empty]) is None
    assert largest([Paired(both=0, first=0, second=0, neither=0)]) is None
    said = unknown(["a", "b"], [3, 0], ("worst",), "recall")
    assert said == "Missing: worst and the recall of it, since 1 of 2 classes have no image (b)."
    assert unknown(["a"], [3], "x") is None


@pytest.mark.parametrize("truth", [(0.9, 0.9, 0.9, 0.9, 0.9), (0.6, 0.9, 0.9, 0.95, 0.8)])
def test_the_interval_of_the_lowest_share_covers_the_lowest_true_share(truth):
    # arrange
    rng = np.random.default_rng(0)

    # act
    covered = 0
    for _ in range(300):
        found = lowest([ClassShare(hits=int(rng.binomial(80, p)), n=80) for p in truth])
        covered += found[1].low <= min(truth) <= found[1].high

    # assert
    assert covered / 300 >= 0.94


@pytest.mark.slow
def test_the_interval_of_the_largest_difference_covers_zero_where_all_are_zero():
    # arrange: ten classes, both readings right on 90 % of images, independently
    rng = np.random.default_rng(1)

    # act
    covered = 0
    for _ in range(200):
        pairs = [Paired.of(rng.random(60) < 0.9, rng.random(60) < 0.9) for _ in range(10)]
        interval = largest(pairs)[1]
        covered += interval.low <= 0 <= interval.high

    # assert
    assert covered / 200 >= 0.94


def test_exchange_at_random_gives_the_expectation_of_the_largest_difference():
    # arrange: one class with two discordant images of ten: differences -0.2, 0, 0.2 as 1:2:1
    pair = Paired(both=5, first=2, second=0, neither=3)

    # act
    mean, high = exchanged([pair], 0)

    # assert
    assert mean == pytest.approx(0.0, abs=0.01)
    assert high == pytest.approx(0.2)
    assert exchanged([pair], 3) == exchanged([pair], 3)


def test_the_mean_of_shares_has_the_interval_of_its_one_share():
    # arrange
    one = ClassShare(hits=7, n=9)

    # act
    value, interval = mean_of([one])

    # assert
    alone = wilson(7, 9)
    assert value == pytest.approx(7 / 9)
    assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high))


def test_a_span_of_equal_counts_is_one_number():
    assert span([4, 4]) == "4"
    assert span(np.array([7, 3])) == "3 to 7"

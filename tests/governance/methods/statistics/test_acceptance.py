"""Chances to pass, held against sums over every outcome and against the analyses' own numbers."""

from itertools import product
from math import comb, prod

import numpy as np
import pytest

from governance.methods.statistics.acceptance import (
    SIZES,
    gain_passes,
    images_needed,
    mean_passes,
    none_short,
    not_better,
    share_passes,
    worst_passes,
)
from governance.methods.statistics.intervals import wilson
from governance.methods.statistics.proportions import ClassShare, Paired, largest, lowest, mean_of
from governance.methods.statistics.shortfall import falls_short

COUNTS, SHARES = (4, 6, 5), (0.9, 0.7, 0.8)


def binomial(hits, n, share):
    return comb(n, hits) * share**hits * (1 - share) ** (n - hits)


def outcomes():
    """Every possible number of hits of three classes, with its probability."""
    for hits in product(*(range(n + 1) for n in COUNTS)):
        classes = [ClassShare(hits=h, n=n) for h, n in zip(hits, COUNTS, strict=True)]
        yield classes, prod(map(binomial, hits, COUNTS, SHARES))


@pytest.mark.parametrize(("on", "bound"), [("estimate", 0.8), ("estimate", 0.5), ("interval", 0.3)])
def test_a_share_passes_as_often_as_its_outcomes_sum_to(on, bound):
    judged = [k / 20 if on == "estimate" else wilson(k, 20).low for k in range(21)]

    expected = sum(binomial(k, 20, 0.7) for k in range(21) if judged[k] >= bound)

    assert share_passes(20, 0.7, bound, on) == pytest.approx(expected)


@pytest.mark.parametrize(("on", "bound"), [("estimate", 0.6), ("interval", 0.2)])
def test_the_lowest_of_several_passes_as_often_as_its_outcomes_sum_to(on, bound):
    def judged(classes):
        value, interval = lowest(classes)
        return value if on == "estimate" else interval.low

    expected = sum(p for classes, p in outcomes() if judged(classes) >= bound)

    assert worst_passes(COUNTS, SHARES, bound, on) == pytest.approx(expected)


def test_no_class_falls_short_as_often_as_the_outcomes_sum_to():
    expected = sum(p for classes, p in outcomes() if not falls_short(classes, 0.85).any())

    assert none_short(COUNTS, SHARES, 0.85) == pytest.approx(expected)


@pytest.mark.parametrize(("on", "bound"), [("estimate", 0.8), ("interval", 0.55)])
def test_the_mean_of_several_passes_nearly_as_often_as_its_outcomes_sum_to(on, bound):
    def judged(classes):
        value, interval = mean_of(classes)
        return value if on == "estimate" else interval.low

    expected = sum(p for classes, p in outcomes() if judged(classes) >= bound - 1e-12)

    # Four standard errors of 2,000 runs.
    assert mean_passes(COUNTS, SHARES, bound, on) == pytest.approx(expected, abs=0.045)


@pytest.mark.parametrize(("on", "bound"), [("estimate", 0.04), ("interval", 0.12)])
def test_the_largest_of_several_gains_passes_as_often_as_in_a_plain_simulation(on, bound):
    rng = np.random.default_rng(7)
    passed = 0
    for _ in range(400):
        pairs = []
        for _ in range(3):
            differing = int(rng.binomial(100, 0.1))
            first = int(rng.binomial(differing, 0.5))
            both = round(0.9 * (100 - differing))
            pairs.append(Paired(both=both, first=first, second=differing - first,
                                neither=100 - differing - both))  # fmt: skip
        gain, interval = largest(pairs)
        passed += (gain if on == "estimate" else interval.high) <= bound

    found = gain_passes(100, 3, bound, on, discordant=0.1)
    assert found == pytest.approx(passed / 400, abs=0.1)


def test_no_reading_is_better_as_often_as_the_exact_tests_sum_to():
    def alarm(differing):
        return sum(
            comb(differing, first) / 2**differing
            for first in range(differing + 1)
            if 2 * first > differing
            and Paired(both=0, first=first, second=differing - first, neither=0).p_value() * 3
            <= 0.05 + 1e-12
        )

    once = sum(binomial(d, 40, 0.3) * alarm(d) for d in range(41))

    assert not_better(40, 3, 0.95, discordant=0.3) == pytest.approx((1 - once) ** 3, abs=1e-3)


def test_images_are_counted_in_two_digits_up_to_a_million():
    assert images_needed(lambda n: n / 1000, 0.9) == 900
    assert images_needed(lambda _n: 0.0) is None
    assert images_needed(lambda _n: 1.0) == SIZES[0] == 10
    assert SIZES[-1] == 10**6
    assert list(SIZES) == sorted(set(SIZES))


def test_the_lowest_of_ten_recalls_rejects_most_good_models():
    # The figures that the starter policy was changed for: 500 images in 10 classes against 0.8.
    good = worst_passes([50] * 10, [0.85] * 10, 0.8)
    bad = worst_passes([50] * 10, [0.7, *[0.9] * 9], 0.8)
    hundred = worst_passes([50] * 100, [0.85] * 100, 0.8, "interval")

    assert 1 - good == pytest.approx(0.72, abs=0.01)
    assert bad == pytest.approx(0.07, abs=0.005)
    assert hundred < 1e-9


def test_the_lowest_of_ten_recalls_serves_where_it_lies_far_from_both_sides():
    # The figures in the policy of the demo: 150 images of each digit against 0.8.
    good = worst_passes([150] * 10, [0.9] * 10, 0.8)
    bad = worst_passes([150] * 10, [0.7, *[0.9] * 9], 0.8)

    assert good == pytest.approx(0.999, abs=0.0005)
    assert bad == pytest.approx(0.004, abs=0.0005)


def test_counting_classes_that_are_shown_to_fall_short_lets_good_models_pass():
    # The figures in the comments of the starter policy.
    bad = [0.7, *[0.85] * 9]

    assert none_short([50] * 10, [0.85] * 10, 0.85) == pytest.approx(0.98, abs=0.005)
    assert none_short([50] * 10, bad, 0.85) == pytest.approx(0.56, abs=0.005)
    assert none_short([120] * 10, bad, 0.85) < 0.1
    assert none_short([50] * 100, [0.85] * 100, 0.85) > 0.95
    assert share_passes(500, 0.94, 0.9, "interval") == pytest.approx(0.89, abs=0.005)
    assert share_passes(500, 0.88, 0.9, "interval") < 0.001
    assert share_passes(2000, 0.92, 0.9, "interval") == pytest.approx(0.87, abs=0.005)

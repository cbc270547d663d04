"""Scores beside their controls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.faithfulness.scores import beyond, score
from governance.methods.statistics import intervals

LAWS = settings(max_examples=60, deadline=None)
VALUES = np.array([0.9, 0.8, 0.7, 0.95, 0.85])
LOW = np.array([0.5, 0.4, 0.45, 0.5, 0.3])


def made(better="higher", values=VALUES, random=LOW, constant=LOW - 0.1):
    return score("insertion", better, values, {"random": random, "constant": constant}, seed=1)


def test_a_score_is_the_mean_with_its_bootstrap_interval_and_its_controls():
    found = made()

    assert found.value == pytest.approx(VALUES.mean())
    assert found.interval == intervals.bootstrap(np.mean, VALUES, 1)
    assert found.n == 5
    assert found.control("random") == pytest.approx(LOW.mean())
    assert found.margin("random") == intervals.mean(VALUES - LOW)


def test_better_is_what_is_shown_to_be_better_than_both_controls():
    assert made().better_than_random
    assert not made(better="lower").better_than_random
    assert made(better="lower", values=LOW - 0.3).better_than_random
    # Equal to the constant map: its order of the pixels is as good.
    assert not made(constant=VALUES).better_than_random
    assert not made(random=VALUES + np.array([0.1, -0.1, 0.1, -0.1, 0])).better_than_random


def test_an_image_without_a_value_is_left_out_and_counted():
    found = made(values=np.array([0.9, np.nan, 0.7, np.inf, 0.85]))

    assert found.values == (0.9, None, 0.7, None, 0.85)
    assert found.n == 3
    assert found.interval.n == 3
    assert len(found.advantage("random")) == 3


def test_nothing_measured_is_missing_and_not_better():
    found = made(values=np.full(5, np.nan))

    assert found.value is None
    assert found.interval is None
    assert not found.better_than_random


@LAWS
@given(st.lists(st.floats(-1, 1), max_size=6), st.floats(-1, 1))
def test_beyond_is_the_lower_end_of_the_t_interval(values, limit):
    interval = intervals.mean(values)

    if len(values) < 2:
        assert not beyond(values, limit)
    elif interval is None:
        assert beyond(values, limit) == (values[0] > limit)
    else:
        assert beyond(values, limit) == (interval.low > limit)


def test_what_is_not_finite_shows_nothing():
    assert not beyond([1.0, np.inf, 2.0], 0)
    assert not beyond([np.nan, np.nan], 0)

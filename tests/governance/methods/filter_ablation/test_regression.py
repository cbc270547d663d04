"""The control variate sharpens an estimate without moving it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from governance.methods.filter_ablation.regression import estimated


def related(rng, n, total, slope=1.0, noise=0.3):
    """A covariate on `total` images, skewed, and a quantity that follows it on the first `n`."""
    near = rng.exponential(size=(total, 1))
    exact = slope * near + noise * rng.normal(size=(total, 1))
    return exact[:n], near[:n], near


def test_the_estimate_is_the_regression_line_at_the_mean_of_all_images():
    rng = np.random.default_rng(0)
    exact, near, everywhere = related(rng, 40, 200)
    line = stats.linregress(near[:, 0], exact[:, 0])
    found = estimated(exact, near, everywhere)
    assert found.mean[0] == pytest.approx(line.intercept + line.slope * everywhere.mean())
    assert found.slope[0] == pytest.approx(line.slope)


def test_hc3_errors_are_those_of_the_textbook_formula():
    # arrange: the sandwich (X'X)^-1 X' diag(e^2/(1-h)^2) X (X'X)^-1 with columns 1 and t
    rng = np.random.default_rng(1)
    exact, near, everywhere = related(rng, 30, 100)
    design = np.column_stack([np.ones(30), near[:, 0]])
    bread = np.linalg.inv(design.T @ design)
    beta = bread @ design.T @ exact[:, 0]
    left = exact[:, 0] - design @ beta
    hat = np.einsum("ij,jk,ik->i", design, bread, design)
    cover = bread @ design.T @ np.diag(left**2 / (1 - hat) ** 2) @ design @ bread
    at = np.array([1.0, everywhere.mean()])
    # act
    found = estimated(exact, near, everywhere)
    # assert
    spread = beta[1] ** 2 * everywhere.var(ddof=1) / 100
    assert found.error[0] ** 2 == pytest.approx(at @ cover @ at + spread)
    assert found.freedom == 28


def test_intervals_cover_the_truth_as_often_as_they_say_and_are_narrower_than_a_plain_mean():
    rng = np.random.default_rng(2)
    hits, widths, plain = 0, 0.0, 0.0
    for _ in range(400):
        exact, near, everywhere = related(rng, 128, 2000)
        found = estimated(exact, near, everywhere)
        (low,), (high,) = found.low, found.high
        hits += low <= 1.0 <= high
        widths += high - low
        found = estimated(exact, exact, exact)
        (low,), (high,) = found.low, found.high
        plain += high - low
    assert 0.92 <= hits / 400 <= 0.98
    assert widths / plain < 0.5


@given(st.integers(0, 10**6), st.floats(-3, 3))
@settings(max_examples=25, deadline=None)
def test_a_useless_covariate_costs_little_and_moves_nothing_systematically(seed, shift):
    rng = np.random.default_rng(seed)
    exact = rng.normal(shift, 1, (64, 3))
    everywhere = rng.normal(size=(256, 3))
    found = estimated(exact, everywhere[:64], everywhere)
    plain = exact.std(0, ddof=1) / 8
    assert (np.abs(found.mean - exact.mean(0)) < 6 * plain).all()
    assert (found.error < 2 * plain).all()


def test_all_images_measured_gives_the_plain_mean_and_its_t_interval():
    exact = np.random.default_rng(3).normal(size=(50, 2))
    found = estimated(exact, exact**2, exact**2)
    expected = stats.t.interval(0.95, 49, exact[:, 0].mean(), stats.sem(exact[:, 0]))
    assert (found.low[0], found.high[0]) == pytest.approx(expected)
    assert found.p_value == pytest.approx(stats.ttest_1samp(exact, 0).pvalue)


def test_effects_of_exactly_nothing_are_no_finding():
    found = estimated(np.zeros((10, 1)), np.zeros((10, 1)), np.zeros((20, 1)))
    assert found.mean == found.error == 0
    assert found.p_value == 1


def test_certain_images_alone_are_a_plain_mean():
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(30, 2))
    found = estimated(exact, exact, exact, chance=np.ones(30))
    plain = estimated(exact, exact, exact)
    assert found.mean == pytest.approx(plain.mean)
    assert found.error == pytest.approx(plain.error)

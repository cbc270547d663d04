"""Effects add up, and the control variate sharpens an estimate without moving it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from governance.errors import AnalysisError
from governance.methods.filter_ablation.ablation import (
    Effects,
    correlated,
    drawn,
    estimated,
    likely,
    merged,
)


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
        (low,), (high,) = estimated(exact, near, everywhere).interval()
        hits += low <= 1.0 <= high
        widths += high - low
        (low,), (high,) = estimated(exact, exact, exact).interval()
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
    low, high = found.interval()
    assert (low[0], high[0]) == pytest.approx(expected)
    assert found.p_values() == pytest.approx(stats.ttest_1samp(exact, 0).pvalue)


def test_effects_of_exactly_nothing_are_no_finding():
    found = estimated(np.zeros((10, 1)), np.zeros((10, 1)), np.zeros((20, 1)))
    assert found.mean == found.error == 0
    assert found.p_values() == 1


def effects(images, seed):
    rng = np.random.default_rng(seed)
    size = (len(images), 2)
    return Effects(
        filters=(("conv", (0,)), ("conv", (1,))),
        images=np.array(images),
        dloss=rng.normal(size=size),
        dp_true=rng.normal(size=size),
        flip=rng.random(size) < 0.5,
    )


def test_parts_merge_to_the_same_whatever_their_order():
    one, other = effects([0, 4, 7], 0), effects([2, 3], 1)
    for found in (merged([one, other]), merged([other, one])):
        assert found.images.tolist() == [0, 2, 3, 4, 7]
        assert (found.dloss[[0, 3, 4]] == one.dloss).all()
        assert (found.flip[[1, 2]] == other.flip).all()


def test_parts_that_overlap_or_differ_are_refused():
    with pytest.raises(AnalysisError, match="occurs twice"):
        merged([effects([0, 1], 0), effects([1, 2], 1)])
    other = effects([5], 0)
    different = Effects(
        filters=(("conv", (0,)), ("conv", (2,))), images=other.images, dloss=other.dloss,
        dp_true=other.dp_true, flip=other.flip,
    )  # fmt: skip
    with pytest.raises(AnalysisError, match="these differ"):
        merged([effects([0], 0), different])


def test_correlated_filters_form_groups_within_their_layer():
    matrix = np.eye(5)
    matrix[0, 3] = matrix[3, 0] = 0.95
    matrix[3, 4] = matrix[4, 3] = -0.92
    matrix[1, 2] = matrix[2, 1] = 0.5
    assert correlated({"a": matrix, "b": np.eye(2)}, 0.9) == [("a", (0, 3, 4))]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=8, max_size=60), st.data())
def test_chances_are_proportional_and_sum_to_the_images_wanted(sizes, data):
    # arrange
    size = np.array(sizes)
    n = data.draw(st.integers(1, len(size)))

    # act
    chance = likely(size, n)

    # assert
    assert chance.sum() == pytest.approx(n)
    assert (chance > 0).all()
    assert (chance <= 1).all()
    scaled = size / size.max() if size.any() else np.ones(len(size))
    floor = scaled + 0.02 * scaled.mean()
    unsure = chance < 1 - 1e-9
    ratios = chance[unsure] / floor[unsure]
    assert ratios == pytest.approx(ratios[:1].repeat(len(ratios)), rel=1e-6)


def test_more_images_with_the_same_tickets_are_the_same_and_more():
    rng = np.random.default_rng(0)
    size, ticket = rng.exponential(size=100), rng.random(100)
    few, many = (drawn(likely(size, n), ticket) for n in (20, 60))
    assert len(few) == 20
    assert len(many) == 60
    assert set(few) <= set(many)
    assert (np.diff(few) > 0).all()


def test_images_drawn_with_unequal_chances_give_unbiased_means_with_honest_intervals():
    # arrange: few images carry the effect, and a covariate knows roughly which
    rng = np.random.default_rng(0)
    everyone = rng.exponential(size=(4000, 1)) ** 3
    guess = everyone * rng.uniform(0.5, 1.5, everyone.shape)
    truth, inside, means, widths = everyone.mean(), [], [], []

    # act
    for _ in range(300):
        sample = rng.integers(0, len(everyone), 600)
        exact, near = everyone[sample], guess[sample]
        chance = likely(near[:, 0], 150)
        took = drawn(chance, rng.random(600))
        found = estimated(exact[took], near[took], near, chance=chance[took])
        low, high = found.interval()
        plain = estimated(exact[:150], near[:150], near[:150])
        inside.append(low[0] <= truth <= high[0])
        means.append(found.mean[0])
        widths.append((high - low)[0] / np.diff(plain.interval(), axis=0)[0, 0])

    # assert: 95 % of heavy-tailed means; binomial error of 300 draws is 1.3 points
    assert np.mean(means) == pytest.approx(truth, rel=0.05)
    assert 0.88 <= np.mean(inside) <= 0.99
    assert np.median(widths) < 0.8


def test_certain_images_alone_are_a_plain_mean():
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(30, 2))
    found = estimated(exact, exact, exact, chance=np.ones(30))
    plain = estimated(exact, exact, exact)
    assert found.mean == pytest.approx(plain.mean)
    assert found.error == pytest.approx(plain.error)

"""Images are drawn with the chances that are asked for, and count for as many as these say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.filter_ablation.regression import estimated
from governance.methods.filter_ablation.sampling import drawn, likely


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
        low, high = found.low, found.high
        plain = estimated(exact[:150], near[:150], near[:150])
        inside.append(low[0] <= truth <= high[0])
        means.append(found.mean[0])
        widths.append((high - low)[0] / (plain.high - plain.low)[0])

    # assert: 95 % of heavy-tailed means; binomial error of 300 draws is 1.3 points
    assert np.mean(means) == pytest.approx(truth, rel=0.05)
    assert 0.88 <= np.mean(inside) <= 0.99
    assert np.median(widths) < 0.8

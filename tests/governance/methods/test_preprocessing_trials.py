"""Trials of alternatives, held against what asking about every image would have shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.preprocessing_trials import Trial, largest_gain, most_passes, trials
from governance.methods.statistics.proportions import Paired


class Answers:
    """Right answers of each alternative to every image, and how many were asked for."""

    def __init__(self, right):
        self.right, self.passes = right, 0

    def __call__(self, places, alive):
        self.passes += len(places) * len(alive)
        return self.right[np.ix_(places, list(alive))]


def answers(n, declared, shares, *, agreement=0.9, seed=0):
    """A declared preprocessing and alternatives that answer as it does for most images."""
    rng = np.random.default_rng(seed)
    first = rng.random(n) < declared
    fresh = rng.random((n, len(shares))) < np.array(shares)
    same = rng.random((n, len(shares))) < agreement
    return first, Answers(np.where(same, first[:, None], fresh))


def shown(first, right):
    """The alternatives that McNemar's test shows to be better on every image, naively."""
    pairs = [Paired.of(right[:, i], first) for i in range(right.shape[1])]
    return [pair.first > pair.second and pair.p_value() * len(pairs) < 0.05 for pair in pairs]


@given(
    st.integers(1, 400),
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.floats(0, 1),
    st.integers(0, 99),
)
@settings(max_examples=120, deadline=None)
def test_nothing_is_called_better_that_all_images_do_not_show(n, declared, shares, agreement, seed):
    first, ask = answers(n, declared, shares, agreement=agreement, seed=seed)

    found = trials(first, len(shares), ask)

    called = [item.better(len(shares)) for item in found]
    truth = shown(first, ask.right)
    assert all(really for said, really in zip(called, truth, strict=True) if said)
    # Up to two alternatives are never dropped before they are settled, so that nothing is missed.
    if len(shares) <= 2:
        assert called == truth
    assert ask.passes == sum(item.tried for item in found) <= most_passes(n, len(shares))


def test_a_good_model_costs_a_few_images_for_each_alternative():
    first, ask = answers(1000, 0.92, [0.9] * 4 + [0.3] * 10)

    found = trials(first, 14, ask)

    assert not any(item.better(14) for item in found)
    # The old way asked each about all images.
    assert ask.passes < 14 * 1000 / 10


def test_a_clearly_better_alternative_is_asked_about_every_image_and_found():
    first, ask = answers(1000, 0.85, [0.2, 0.2, 0.95, 0.2, 0.3], agreement=0.5)

    found = trials(first, 5, ask)

    assert [item.better(5) for item in found] == [False, False, True, False, False]
    assert found[2].complete
    assert found[2].gain == pytest.approx(ask.right[:, 2].mean() - first.mean())


def test_the_gain_of_what_was_given_up_is_estimated_without_bias():
    gains, truths, inside = [], [], 0
    for seed in range(200):
        first, ask = answers(400, 0.9, [0.7] * 3, agreement=0.6, seed=seed)
        for place, item in enumerate(trials(first, 3, ask)):
            assert not item.complete
            gains.append(item.gain)
            truths.append(ask.right[:, place].mean() - first.mean())
            end = item.interval()
            inside += end.low <= truths[-1] <= end.high

    assert np.mean(gains) == pytest.approx(np.mean(truths), abs=0.02)
    assert inside / len(gains) > 0.9


def test_where_everything_is_right_as_declared_nothing_can_be_gained():
    first, ask = answers(50, 1.1, [0.5], agreement=0)

    (found,) = trials(first, 1, ask)

    assert (found.wrong, found.gained) == (0, 0)
    assert found.gain < 0
    assert ask.passes < 50


def test_the_largest_gain_of_complete_trials_is_that_of_their_pairs():
    trial = Trial(right=5, wrong=5, right_tried=5, wrong_tried=5, lost=1, gained=3)

    gain, interval = largest_gain([trial, trial])

    assert gain == pytest.approx(0.2)
    assert interval.method == "Newcombe, paired, largest of 2"

"""Baselines at matched coverage, held against naive counts."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.methods.decision_rules.baselines import (
    ball,
    best,
    coordinates,
    k_means,
    linear,
    matched,
)


def clouds(n=60, classes=3, seed=0):
    """Three well separated clouds in twenty dimensions, with their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(size=(classes, 20)) * 4
    return torch.from_numpy(centres[labels] + rng.normal(size=(n, 20))), labels


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=12), st.data())
def test_matched_counts_from_the_top_down_to_the_last_image_needed(items, data):
    # arrange
    score = np.array([float(value) for value, _ in items])
    own = np.array([mine for _, mine in items])
    covered = data.draw(st.integers(0, int(own.sum())))

    # act
    found = matched(score, own, covered)

    # assert
    if covered == 0:
        assert found is None
        return
    levels = sorted(set(score.tolist()), reverse=True)
    level = next(v for v in levels if (own & (score >= v)).sum() >= covered)
    taken = [mine for value, mine in zip(score, own, strict=True) if value >= level]
    assert (found.hits, found.n) == (sum(taken), len(taken))


def test_coordinates_keep_all_inner_products_with_the_reference():
    features, _ = clouds()
    one, two = coordinates(features[:15], features[15:])

    centre = features[:15].mean(0)
    unit = float(one.square().sum() / (features[:15] - centre).square().sum())
    torch.testing.assert_close(
        two @ one.T, (features[15:] - centre) @ (features[:15] - centre).T * unit
    )


def test_features_that_are_all_alike_have_no_coordinates_and_no_answer_is_sure():
    one, two = coordinates(torch.ones(6, 4), torch.ones(3, 4))

    scores = linear(one, np.array([0, 1, 0, 1, 0, 1]), two, 2)

    np.testing.assert_allclose(scores[0], np.log(0.5), atol=1e-3)


def test_each_baseline_tells_separate_clouds_apart():
    features, labels = clouds()
    one, two = coordinates(features[:30], features[30:])
    named, truth = labels[:30], labels[30:]
    own = {label: truth == label for label in range(3)}
    every = {label: int(mine.sum()) for label, mine in own.items()}

    for scores in (linear(one, named, two, 3), k_means(one, named, two, 3, 0)):
        score = best(scores, own, every)
        for label, mine in own.items():
            found = matched(score[:, label], mine, every[label])
            assert found.hits == every[label]
            assert found.share > 0.9
    near = ball(features[30:], features[:1])
    naive = [-float((x - features[0]).norm()) for x in features[30:]]
    np.testing.assert_allclose(near, naive, rtol=1e-6)


def test_what_is_left_open_is_chosen_in_favour_of_the_baseline():
    good, bad = np.array([[3.0], [2.0], [1.0]]), np.array([[1.0], [2.0], [3.0]])
    own = {0: np.array([True, False, False])}

    assert best([bad, good], own, {0: 1}) is good

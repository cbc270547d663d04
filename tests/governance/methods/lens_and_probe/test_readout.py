"""Cross-fitted ridge: the oracle refits without the fold by normal equations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import AnalysisError
from governance.methods.lens_and_probe.readout import PENALTIES, folds, permuted, ridge


def refitted(features, target, fold, penalty):
    """Every fold by a fit on the others: normal equations, intercept unpenalised."""
    x = (features - features.mean(0)) / features.std(0)
    spectrum = np.linalg.eigvalsh(x.T @ x)
    spectrum = spectrum[spectrum > 1e-10 * spectrum.max()]
    strength = penalty * spectrum.mean() * np.eye(x.shape[1])
    answers = np.empty_like(target)
    for index in np.unique(fold):
        own = fold == index
        mean, centre = x[~own].mean(0), target[~own].mean(0)
        a, b = x[~own] - mean, target[~own] - centre
        answers[own] = (x[own] - mean) @ np.linalg.solve(a.T @ a + strength, a.T @ b) + centre
    return answers


@pytest.mark.parametrize(("n", "d"), [(60, 7), (40, 90)])
@pytest.mark.parametrize("penalty", [1e-4, 1.0])
def test_answers_equal_a_refit_without_the_fold(n, d, penalty):
    # arrange
    rng = np.random.default_rng(d)
    features = rng.normal(size=(n, d)) * rng.uniform(0.1, 9, d)
    target = rng.normal(size=(n, 3))
    fold = folds(np.arange(n) % 3, 5, 0)

    # act
    (answers,) = ridge(features, [target], fold, penalties=(penalty,))

    # assert
    assert answers == pytest.approx(refitted(features, target, fold, penalty), abs=1e-8)


def test_the_penalty_of_a_fold_is_the_best_on_the_other_folds():
    # arrange
    rng = np.random.default_rng(3)
    features = rng.normal(size=(50, 12))
    target = features[:, :2] + rng.normal(size=(50, 2))
    fold = folds(np.zeros(50, dtype=int), 5, 0)

    # act
    (answers,) = ridge(features, [target], fold)

    # assert
    tried = [refitted(features, target, fold, penalty) for penalty in PENALTIES]
    for index in range(5):
        own = fold == index
        losses = [((item - target)[~own] ** 2).sum() for item in tried]
        best = tried[int(np.argmin(losses))]
        assert answers[own] == pytest.approx(best[own], abs=1e-8)


def test_targets_together_are_answered_as_each_alone():
    # arrange
    rng = np.random.default_rng(4)
    features, one, two = (rng.normal(size=(45, k)) for k in (6, 2, 4))
    fold = folds(np.zeros(45, dtype=int), 3, 0)

    # act
    together = ridge(features, [one, two], fold)

    # assert
    assert together[0] == pytest.approx(ridge(features, [one], fold)[0])
    assert together[1] == pytest.approx(ridge(features, [two], fold)[0])


def test_a_linear_target_is_recovered_and_noise_is_not():
    # arrange
    rng = np.random.default_rng(5)
    features = rng.normal(size=(200, 10))
    exact, noise = features @ rng.normal(size=(10, 2)), rng.normal(size=(200, 2))

    # act
    found, lost = ridge(features, [exact, noise], folds(np.zeros(200, dtype=int), 5, 0))

    # assert
    assert found == pytest.approx(exact, abs=1e-3)
    assert ((lost - noise) ** 2).mean() > 0.9


def test_features_that_never_change_leave_the_mean_of_the_other_folds():
    # arrange
    target = np.arange(8.0)[:, None]
    fold = np.arange(8) % 2

    # act
    (answers,) = ridge(np.ones((8, 3)), [target], fold)

    # assert
    assert answers[fold == 0, 0] == pytest.approx(np.full(4, target[fold == 1].mean()))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=10, max_size=60), st.integers(2, 5), st.integers(0, 9))
def test_folds_are_even_over_images_and_classes(labels, count, seed):
    # arrange
    array = np.array(labels)

    # act
    fold = folds(array, count, seed)
    mixed = permuted(array, fold, seed)

    # assert
    sizes = np.bincount(fold, minlength=count)
    assert sizes.max() - sizes.min() <= 1
    for label in np.unique(array):
        spread = np.bincount(fold[array == label], minlength=count)
        assert spread.max() - spread.min() <= 1
    for index in range(count):
        assert sorted(mixed[fold == index]) == sorted(array[fold == index])


def test_impossible_folds_are_refused():
    with pytest.raises(AnalysisError, match="1 folds for 4 images"):
        folds(np.zeros(4, dtype=int), 1, 0)
    with pytest.raises(AnalysisError, match="5 folds for 4 images"):
        folds(np.zeros(4, dtype=int), 5, 0)

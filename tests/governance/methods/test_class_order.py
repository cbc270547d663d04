"""The order of a model's outputs, on answers whose order is known."""

from itertools import permutations

import numpy as np
import pytest

from governance.methods.class_order import best_order, reordered

CLASSES = 5


def answers(order, right, seed=0, n=400):
    """Labels, and answers that give the output of the true class with a probability."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    other = rng.integers(0, CLASSES, n)
    return labels, np.where(rng.random(n) < right, np.array(order)[labels], other)


def test_the_best_order_is_that_of_all_permutations_with_most_right_answers():
    counts = np.random.default_rng(3).integers(0, 9, (CLASSES, CLASSES))

    found = counts[np.arange(CLASSES), best_order(counts)].sum()

    assert found == max(counts[np.arange(CLASSES), order].sum()
                        for order in permutations(range(CLASSES)))  # fmt: skip


def test_the_given_order_wins_where_nothing_speaks_against_it():
    assert list(best_order(np.zeros((4, 4), dtype=np.int64))) == [0, 1, 2, 3]


@pytest.mark.parametrize("order", [(0, 2, 1, 3, 4), (1, 2, 3, 4, 0)], ids=["swapped", "rotated"])
def test_another_order_is_found_and_named(order):
    labels, named = answers(order, 0.8)

    found = reordered(named, labels, np.arange(len(labels)) < 200, CLASSES)

    assert found.shown
    assert found.order == order
    assert found.moved == tuple(k for k in range(CLASSES) if order[k] != k)
    assert found.found > found.given


def test_the_right_order_is_left_alone():
    labels, named = answers(range(CLASSES), 0.5)

    assert not reordered(named, labels, np.arange(len(labels)) < 200, CLASSES).shown


def test_favourite_answers_of_an_untrained_network_are_no_order():
    # A fifth of each class's images get one answer more often, all the rest at random.
    labels, named = answers((1, 2, 3, 4, 0), 0.2, n=4000)

    found = reordered(named, labels, np.arange(len(labels)) < 2000, CLASSES)

    assert found.p < 0.01
    assert found.found > found.given
    assert not found.shown

"""The order of a model's outputs, on answers whose order is known."""

from itertools import permutations

import numpy as np
import pytest

from governance.methods.class_order import best_order, exchanged, natural_order, reordered

CLASSES = 5
NAMES = tuple("abcde")


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

    found = reordered(named, labels, np.arange(len(labels)) < 200, NAMES)

    assert found.shown
    assert found.order == order
    assert found.moved == tuple(k for k in range(CLASSES) if order[k] != k)
    assert found.found > found.given


def test_the_right_order_is_left_alone():
    labels, named = answers(range(CLASSES), 0.5)

    assert not reordered(named, labels, np.arange(len(labels)) < 200, NAMES).shown


def test_favourite_answers_of_an_untrained_network_are_no_order():
    # A fifth of each class's images get one answer more often, all the rest at random.
    labels, named = answers((1, 2, 3, 4, 0), 0.2, n=4000)

    found = reordered(named, labels, np.arange(len(labels)) < 2000, NAMES)

    assert found.fitted > found.given
    assert not found.shown


def test_two_classes_of_a_thousand_are_named_and_no_others():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1000), 20)
    named = np.where(rng.random(len(labels)) < 0.6, labels, rng.integers(0, 1000, len(labels)))
    named = np.where(labels == 7, 11, np.where(labels == 11, 7, named))
    chosen = np.tile(np.arange(20) < 10, 1000)

    found = reordered(named, labels, chosen, [str(k) for k in range(1000)])

    assert found.moved == (7, 11)


def test_a_class_that_is_taken_for_one_without_images_is_no_other_order():
    labels = np.repeat(np.arange(4), 50)
    named = np.where(labels == 3, 4, labels)

    assert not reordered(named, labels, np.arange(200) % 2 == 0, NAMES).shown


@pytest.mark.parametrize(
    ("names", "natural"),
    [
        (["0", "1", "10", "11", "2"], [0, 1, 3, 4, 2]),
        (["a10", "a9", "b1"], [1, 0, 2]),
        (["007", "7"], [0, 1]),
        (["x", "y"], [0, 1]),
        (["²", "1"], [1, 0]),
    ],
)
def test_the_natural_order_reads_digits_as_numbers(names, natural):
    assert list(natural_order(names)) == natural


def test_the_natural_order_needs_no_images_that_choose_it():
    names = [str(k) for k in sorted(map(str, range(12)))]
    labels = np.tile(np.arange(12), 2)
    named = np.array(natural_order(names))[labels]

    found = reordered(named, labels, np.arange(24) < 12, names)

    assert found.natural
    assert found.shown
    assert found.images == 24
    assert found.names(names) == tuple(map(str, range(12)))


def test_so_few_images_show_no_order():
    labels = np.array([0, 1, 0, 1, 0, 1])

    found = reordered(1 - labels, labels, np.arange(6) < 3, ["a", "b"])

    assert not found.shown
    assert not found.testable


def test_exchanged_classes_are_found_however_few_their_images_are():
    labels = np.repeat([0, 1, 2], [1000, 20, 20])
    named = np.array([0, 2, 1])[labels]

    assert exchanged(named, labels, ("a", "b", "c"), 0)[0] == 2
    assert exchanged(labels, labels, ("a", "b", "c"), 0)[0] == 0

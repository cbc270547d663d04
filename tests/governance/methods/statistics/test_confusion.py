"""Confusion of classes, by counting."""

import numpy as np

from governance.methods.statistics.confusion import confusion, confusion_figure, confusion_table


def test_confusions_are_counted_and_listed_most_frequent_first():
    # arrange
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    named = np.array([0, 1, 1, 2, 1, 0, 2])

    # act
    counts = confusion(labels, named, 3)
    table = confusion_table(counts, ["a", "b", "c"])

    # assert
    assert counts.tolist() == [[1, 2, 1], [1, 1, 0], [0, 0, 1]]
    assert [row[:5] for row in table.rows] == [
        ("a", "b", 2, 4, 0.5),
        ("a", "c", 1, 4, 0.25),
        ("b", "a", 1, 2, 0.5),
    ]


def test_a_class_without_images_leaves_its_row_white():
    figure = confusion_figure(np.array([[3, 0], [0, 0]]), ["a", "b"])
    assert figure.image.startswith(b"\x89PNG")
    assert "n = 0 to 3 a class" in figure.caption

"""Pictures of misread images are of the classes with most errors, the surest answers first."""

import io

import numpy as np
from PIL import Image

from governance.methods.misread import CLASSES, PICTURES, misread

NAMES = ("a", "b", "c", "d")


def shown(answers, labels):
    """Pictures of images whose answer i is given with probability 0.5 + i / 100."""
    n = len(labels)
    probabilities = np.full((n, 4), 0.0)
    for place, answer in enumerate(answers):
        sure = 0.5 + place / 100
        probabilities[place] = (1 - sure) / 3
        probabilities[place, answer] = sure
    return misread(
        probabilities,
        np.asarray(labels),
        NAMES,
        [f"id{place}" for place in range(n)],
        lambda place: np.full((3, 200, 100), place / n, dtype=np.float32),
    )


def test_the_classes_with_most_errors_are_shown_and_right_images_are_not():
    figures, table = shown([1, 1, 2, 3, 0, 0], [0, 0, 2, 3, 1, 1])

    assert {row[1] for row in table.rows} == {"a", "b"}
    assert [row[0] for row in table.rows] == ["id1", "id0", "id5", "id4"]
    assert [figure.name for figure in figures] == [row[4] for row in table.rows]


def test_of_each_wrong_answer_the_surest_comes_before_a_second_of_another():
    answers = [1, 2, 1, 1, 1, 1, 1, 1, 1]
    _, table = shown(answers, [0] * 9)

    assert [row[0] for row in table.rows] == ["id8", "id1", "id7", "id6", "id5", "id4"]
    assert len(table.rows) == PICTURES


def test_no_more_classes_are_shown_than_have_room():
    _, table = shown([1, 2, 3, 0], [0, 1, 2, 3])

    assert len({row[1] for row in table.rows}) == CLASSES


def test_pictures_are_small_and_hold_the_pixels():
    figures, _ = shown([1], [0])
    picture = Image.open(io.BytesIO(figures[0].image))

    assert picture.size == (48, 96)
    assert picture.getpixel((0, 0)) == (0, 0, 0)


def test_a_model_without_errors_has_no_pictures():
    figures, table = shown([0, 1], [0, 1])

    assert figures == ()
    assert table.rows == ()

"""Images that turned wrong or right, and the exact test, held against SciPy and plain counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from governance.records.turned import Answers, answers_in, sign_test, turned

CLASSES = ("cat", "dog", "owl")
ROWS = st.lists(st.tuples(*[st.sampled_from(CLASSES)] * 3), min_size=1, max_size=60)


def answers(labels, given):
    return Answers(labels=tuple(labels), given=tuple(given), confidence=(None,) * len(labels))


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (0, 1), (5, 5), (0, 12), (3, 14), (400, 350)]
)
def test_the_exact_test_is_that_of_the_binomial_distribution(first, second):
    n = first + second
    expected = stats.binomtest(first, n).pvalue if n else 1.0
    assert sign_test(first, second) == pytest.approx(expected, rel=1e-9)
    assert sign_test(second, first) == sign_test(first, second)


def test_a_probability_too_small_for_a_number_is_zero_and_no_error():
    assert sign_test(0, 5000) == 0.0


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_every_image_is_counted_once_by_what_became_of_it(rows):
    # arrange
    labels, before, now = zip(*rows, strict=True)
    # act
    found = turned(answers(labels, before), answers(labels, now))
    # assert: one image at a time
    wrong, right, other = [], [], []
    for place, (label, old, new) in enumerate(rows):
        if old == label and new != label:
            wrong.append(place)
        elif old != label and new == label:
            right.append(place)
        elif old != new:
            other.append(place)
    assert [item.place for item in found.wrong] == wrong
    assert [item.place for item in found.right] == right
    assert [item.place for item in found.of_kind("wrong in another way")] == other
    assert sum(count for *_, count in found.confusions) == len(found.images)
    assert {item.label: (item.n, item.wrong, item.right) for item in found.classes} == {
        name: (
            labels.count(name),
            sum(labels[place] == name for place in wrong),
            sum(labels[place] == name for place in right),
        )
        for name in set(labels)
    }
    assert found.p == pytest.approx(sign_test(len(wrong), len(right)))
    assert all(item.p <= item.p_holm <= 1 for item in found.classes)


def test_harmless_versions_are_called_worse_on_a_class_as_rarely_as_holm_promises():
    # arrange: two versions that are right on each image with the same probability
    draw = np.random.default_rng(0)
    labels = np.repeat(CLASSES, 60)
    alarms = 0
    # act
    for _ in range(400):
        given = [
            np.where(draw.random(len(labels)) < 0.85, labels, np.roll(labels, 60)) for _ in range(2)
        ]
        found = turned(*(answers(labels.tolist(), one.tolist()) for one in given))
        alarms += any(item.p_holm <= 0.05 for item in found.classes)
    # assert
    assert alarms / 400 <= 0.05


def test_other_images_are_not_compared():
    assert turned(answers(["cat"], ["cat"]), answers(["dog"], ["cat"])) is None
    assert turned(answers([], []), answers([], [])) is None


def test_a_table_without_its_columns_tells_nothing():
    assert answers_in({"class": ("cat",)}) is None
    old = answers_in({"class": ("cat",), "answer": ("dog",), "confidence": (0.5,)})
    assert old.name(0) == "0"
    new = answers_in({"image": ("a.png",), "class": ("cat",), "answer": ("dog",)})
    assert (new.name(0), new.confidence) == ("a.png", (None,))

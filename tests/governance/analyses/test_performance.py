"""Performance against counting by hand, and against a thousand classes."""

import numpy as np
import pytest

from governance.analyses.performance import Performance, performance
from governance.errors import AnalysisError

CLASSES = ("cat", "dog", "owl")


def hand_made():
    """Ten answers with their probabilities: cats 3 of 4, dogs 1 of 3, owls 3 of 3."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    named = np.array([0, 0, 0, 1, 1, 0, 2, 2, 2, 2])
    probabilities = np.full((10, 3), 0.1)
    probabilities[np.arange(10), named] = 0.8
    return probabilities, labels


def test_accuracy_recall_and_precision_are_what_counting_gives():
    # act
    found = performance(*hand_made(), CLASSES)

    # assert
    metrics = found.metrics
    assert metrics["accuracy"] == pytest.approx(7 / 10)
    assert metrics["recall.cat"] == pytest.approx(3 / 4)
    assert metrics["recall.dog"] == pytest.approx(1 / 3)
    assert metrics["recall.owl"] == 1
    assert metrics["recall_worst"] == pytest.approx(1 / 3)
    assert metrics["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 3 + 1) / 3)
    assert found.intervals["recall.cat"].n == 4
    assert found.intervals["recall_worst"].n == 3
    (table,) = [item for item in found.tables if item.name == "classes"]
    precision = {row[0]: row[table.columns.index("precision")] for row in table.rows}
    assert precision == pytest.approx({"cat": 3 / 4, "dog": 1 / 2, "owl": 3 / 4})
    assert [row[0] for row in table.rows] == ["dog", "cat", "owl"]


def test_scores_of_the_probabilities_are_what_their_formulas_give():
    # arrange
    probabilities, labels = hand_made()

    # act
    metrics = performance(probabilities, labels, CLASSES).metrics

    # assert
    losses, briers = [], []
    for row, label in zip(probabilities, labels, strict=True):
        losses.append(-np.log(row[label]))
        briers.append(sum((row[k] - (k == label)) ** 2 for k in range(3)))
    assert metrics["nll"] == pytest.approx(np.mean(losses))
    assert metrics["brier"] == pytest.approx(np.mean(briers))
    # all confidences are 0.8, so one bin: |0.8 - 0.7|
    assert metrics["ece"] == pytest.approx(0.1)


def test_every_overall_measure_stands_beside_its_control():
    # act
    found = performance(*hand_made(), CLASSES)

    # assert
    (table,) = [item for item in found.tables if item.name == "overall"]
    control = {row[0]: row[table.columns.index("control")] for row in table.rows}
    shares = np.array([0.4, 0.3, 0.3])
    assert control["accuracy"] == pytest.approx(0.4)
    assert control["balanced_accuracy"] == pytest.approx(1 / 3)
    assert control["recall_worst"] == 0
    assert control["nll"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert control["brier"] == pytest.approx(1 - (shares**2).sum())
    assert 0 < control["ece"] < 0.2


def test_a_class_without_images_leaves_the_worst_recall_unknown():
    # act
    found = performance(*hand_made_without_owls(), CLASSES)

    # assert
    assert found.metrics["recall_worst"] is None
    assert found.metrics["balanced_accuracy"] is None
    assert found.metrics["recall.owl"] is None
    assert "recall_worst" not in found.intervals
    assert any("owl" in note for note in found.notes)


def hand_made_without_owls():
    probabilities, labels = hand_made()
    return probabilities[:7], labels[:7]


@pytest.mark.slow
def test_a_thousand_classes_print_a_page_and_keep_every_row():
    # arrange: two images a class, one of ten answers wrong
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1000), 2)
    named = np.where(rng.random(2000) < 0.9, labels, rng.integers(0, 1000, 2000))
    probabilities = np.full((2000, 1000), 0.1 / 999)
    probabilities[np.arange(2000), named] = 0.9

    # act
    found = performance(probabilities, labels, [f"class {i}" for i in range(1000)])

    # assert
    tables = {item.name: item for item in found.tables}
    assert len(tables["classes"].rows) == 1000
    assert all(table.shown is None or table.shown <= 25 for table in found.tables)
    assert tables["overall"].shown is None
    assert found.figures == ()
    assert all(png_height(item.image) < 1500 for item in found.figures)


def png_height(image: bytes) -> int:
    return int.from_bytes(image[20:24], "big")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, y: (p[:, :2], y), "one column per class"),
        (lambda p, y: (p[:9], y), "one row per image"),
        (lambda p, y: (p[:0], y[:0]), "at least one image"),
        (lambda p, y: (p, y + 1), "labels from 1 to 3"),
        (lambda p, y: (p * 2, y), "sum to one"),
        (lambda p, y: (np.where(p > 0.5, np.nan, p), y), "NaN"),
    ],
)
def test_input_that_is_no_answer_is_refused(change, message):
    with pytest.raises(AnalysisError, match=message):
        performance(*change(*hand_made()), CLASSES)


def test_repeated_class_names_are_refused():
    with pytest.raises(AnalysisError, match="repeat"):
        performance(*hand_made(), ("a", "b", "a"))


def test_the_analysis_measures_all_validation_images(tiny_subject):
    # act
    found = Performance().run(tiny_subject, 0)

    # assert
    right = tiny_subject.predictions().argmax(1) == tiny_subject.validation.labels
    assert found.metrics["accuracy"] == pytest.approx(right.mean())
    assert found.intervals["accuracy"].n == 120
    assert found == Performance().run(tiny_subject, 0)
    declared = {name for name in Performance.metrics if "{" not in name}
    assert declared | {f"recall.{name}" for name in tiny_subject.validation.class_names} == set(
        found.metrics
    )


def test_impossible_parameters_are_refused():
    with pytest.raises(ValueError, match="bins = 0"):
        Performance(bins=0)


def test_classes_that_fall_short_are_counted_and_named():
    # arrange: of 40 images of each class, 40 are right, 24 and 34
    labels = np.repeat([0, 1, 2], 40)
    named = labels.copy()
    named[40:56] = 0
    named[80:86] = 0
    probabilities = np.eye(3)[named]

    # act
    found = performance(probabilities, labels, CLASSES, class_recall=0.9)

    # assert: 24 of 40 are shown to be below 0.9, 34 of 40 are not
    assert found.metrics["classes_short"] == 1
    assert "Shown to be below a recall of 0.9000: dog (0.6000 of 40 images)." in found.notes


def test_none_falls_short_of_what_all_classes_hold():
    labels = np.repeat([0, 1, 2], 40)

    found = performance(np.eye(3)[labels], labels, CLASSES)

    assert found.metrics["classes_short"] == 0
    assert not any("Shown to be below" in note for note in found.notes)


def test_whether_a_class_falls_short_is_missing_where_its_images_could_not_show_it():
    probabilities, labels = hand_made()

    found = performance(probabilities, labels, CLASSES)

    assert found.metrics["classes_short"] is None
    assert any(note.startswith("Missing: classes_short, since too few images of cat")
               for note in found.notes)  # fmt: skip


@pytest.mark.parametrize("asked", [0.0, -0.1, 1.5])
def test_a_recall_that_no_class_can_be_asked_for_is_refused(asked):
    with pytest.raises(ValueError, match=r"class_recall = .*: above 0 to 1 is accepted"):
        Performance(class_recall=asked)

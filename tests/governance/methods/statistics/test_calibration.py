"""Calibration error: an oracle by loops, and models whose calibration is known."""

import numpy as np
import pytest

from governance.methods.statistics.calibration import calibration


def test_the_error_is_what_a_loop_over_bins_gives():
    # arrange: distinct confidences, 120 images, four bins of 30
    rng = np.random.default_rng(0)
    confidence = rng.permutation(np.linspace(0.3, 0.99, 120))
    correct = rng.random(120) < 0.7

    # act
    found = calibration(confidence, correct, bins=4)

    # assert
    order = np.argsort(confidence)
    expected = 0.0
    for start in range(0, 120, 30):
        part = order[start : start + 30]
        distance = abs(sum(confidence[part]) / 30 - sum(correct[part]) / 30)
        expected += 30 / 120 * distance
    assert found.counts.tolist() == [30, 30, 30, 30]
    assert found.error == pytest.approx(expected)


def test_the_order_of_images_and_ties_does_not_matter():
    # arrange
    rng = np.random.default_rng(1)
    confidence = np.round(rng.random(200), 1)
    correct = rng.random(200) < confidence
    order = rng.permutation(200)

    # act
    one = calibration(confidence, correct)
    two = calibration(confidence[order], correct[order])

    # assert
    assert one.error == pytest.approx(two.error)
    assert one.counts.tolist() == two.counts.tolist()


def test_a_model_as_sure_as_it_is_right_is_within_what_chance_explains():
    # arrange
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1, 900)

    # act
    found = calibration(confidence, rng.random(900) < confidence)

    # assert
    assert found.null_mean > 0
    assert found.error <= found.null_high
    assert found.interval.low == 0


def test_an_overconfident_model_is_told_apart_by_its_distance():
    # arrange: 20 points surer than right
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.7, 1, 900)

    # act
    found = calibration(confidence, rng.random(900) < confidence - 0.2)

    # assert
    assert found.error > found.null_high
    assert found.interval.low <= 0.2 <= found.interval.high


def test_confidence_that_is_one_for_all_images_has_one_bin():
    found = calibration(np.ones(50), np.arange(50) < 45)
    assert found.counts.tolist() == [50]
    assert found.error == pytest.approx(0.1)
    assert found.null_mean == 0

"""Progress: images, passes and the time left, in words."""

import pytest

from governance.subject.meter import Meter, Reading
from governance.workflows import progress
from governance.workflows.progress import detail, metered, within


@pytest.mark.parametrize(
    ("reading", "seconds", "words"),
    [
        (Reading(), 9, ""),
        (Reading(passes=9120), 9, "9,120 passes"),
        (Reading(passes=300, planned_passes=1200), 10, "300 passes, 30 s left"),
        (Reading(passes=300, planned_passes=1200), 1.9, "300 passes"),
        (Reading(passes=5, planned_passes=1200), 10, "5 passes"),
        (Reading(passes=1300, planned_passes=1200), 10, "1,300 passes"),
        (
            Reading(images=6, planned_images=24, passes=50),
            60,
            "6 of 24 images, 50 passes, 3 min left",
        ),
        (Reading(images=30, planned_images=24), 60, "24 of 24 images"),
    ],
)
def test_what_was_counted_is_said_and_the_time_left_once_it_is_known(reading, seconds, words):
    assert detail(reading, seconds) == words


def test_a_step_begins_at_nothing_and_nobody_is_told_after_it(monkeypatch):
    # arrange
    monkeypatch.setattr(progress, "EVERY", 0.0)
    told, meter = [], Meter()
    meter.count(passes=7)
    # act
    with metered(lambda *step: told.append(step), "x", 1, 3, meter):
        meter.count(passes=2)
    meter.count(passes=5)
    # assert
    assert told == [("x", 1, 3), ("x", 1, 3, "2 passes")]


def test_a_fast_step_is_told_at_most_twice_a_second():
    told, meter = [], Meter()
    with metered(lambda *step: told.append(step), "x", 0, 1, meter):
        for _ in range(1000):
            meter.count(passes=1)
    assert len(told) < 10


def test_steps_of_one_model_among_several_name_it():
    told = []
    within(lambda *step: told.append(step), "models:/a/1")("performance", 0, 2, "9 passes")
    assert told == [("models:/a/1: performance", 0, 2, "9 passes")]

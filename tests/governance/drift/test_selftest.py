"""The detector put to the proof."""

import numpy as np
import pytest
from versions import harmless, record, scattered, truth

from governance.drift import aa_trials, planted
from governance.drift.selftest import _parts
from governance.methods.statistics.intervals import clopper_pearson

OLD = record("1", seed=1)
REFERENCES = harmless(9)


def test_the_same_weights_on_disjoint_images_alarm_no_more_often_than_promised():
    found = aa_trials(OLD, trials=200)

    assert found.passed is True
    assert found.trials == 200
    assert found.interval == clopper_pearson(found.alarms, 200)
    assert found.interval.high < 0.2
    assert "A/A passed" in found.words


def test_the_trials_are_the_same_for_the_same_seed():
    assert aa_trials(OLD, trials=20, seed=4) == aa_trials(OLD, trials=20, seed=4)


def test_too_few_trials_do_not_pass():
    found = aa_trials(OLD, trials=5)

    assert found.passed is False  # the interval of 5 trials reaches beyond twice nominal


def test_too_few_images_leave_it_open():
    assert aa_trials(OLD, trials=5, alpha=0.02).passed is None


def test_parts_are_disjoint_and_even_over_the_classes():
    labels = np.arange(60) % 3

    parts = _parts(labels, 10, np.random.default_rng(0))

    assert sorted(np.concatenate(parts)) == list(range(60))
    assert all((np.bincount(labels[part], minlength=3) == 2).all() for part in parts)


@pytest.mark.parametrize(("faulty", "found"), [(True, True), (False, False)])
def test_a_planted_fault_must_be_found(faulty, found):
    maps = scattered(truth()[::-1], 0.2, 5) if faulty else None

    tested = planted(OLD, record("2", maps=maps, seed=77), REFERENCES)

    assert tested.passed is found
    assert tested.alarms == int(found)
    assert ("found" in tested.words) == found


def test_a_strict_alpha_is_tried_often_enough_to_be_judged():
    found = aa_trials(OLD, alpha=0.05)

    assert (found.trials, found.nominal, found.passed) == (800, 0.05, True)

"""Bounds, tolerance and how often a reference would be called drifted."""

import numpy as np
import pytest
from versions import harmless, record

from governance.drift.distances import distances
from governance.drift.judging import bounds, false_alarms, judge
from governance.drift.version import version_of
from governance.records.drift_terms import DriftTerms


def found(versions):
    return distances([version_of(item) for item in versions], DriftTerms(), {})[0]


def test_bounds_of_one_run_are_a_bootstrap_over_images():
    values = np.random.default_rng(0).gamma(2.0, 0.1, (1, 200))

    low, high = bounds(values, 0)

    half = 1.645 * values.std() / np.sqrt(200)
    assert low == pytest.approx(values.mean() - half, abs=half / 4)
    assert high == pytest.approx(values.mean() + half, abs=half / 4)


def test_bounds_are_wider_where_runs_differ():
    images = np.random.default_rng(0).gamma(2.0, 0.1, 200)
    alike, apart = np.stack([images] * 5), np.stack([images * k for k in (0.5, 0.8, 1, 1.2, 1.5)])

    assert np.ptp(bounds(apart, 0)) > 2 * np.ptp(bounds(alike, 0))


def test_bounds_of_no_difference_are_none():
    assert bounds(np.zeros((3, 20)), 0) == (0.0, 0.0)


def test_one_sided_bounds_hold_as_often_as_promised():
    rng = np.random.default_rng(1)
    covered = [bounds(0.3 + 0.1 * rng.normal(size=(1, 80)), seed)[1] >= 0.3 for seed in range(200)]

    assert 0.9 <= np.mean(covered) <= 0.99  # nominal 0.95, standard error 0.015


def test_without_a_declared_tolerance_the_references_show_one():
    versions = [record("1", seed=1), record("2", seed=2), *harmless(9)]

    judged = judge(found(versions), 1, range(2, 11), DriftTerms(), 0)

    between = found(versions).between["rank"]
    peers = [[0, *(k for k in range(2, 11) if k != one)] for one in range(2, 11)]
    drifts = [between[one, others].mean() for one, others in enumerate(peers, 2)]
    assert judged.tolerance == pytest.approx(np.quantile(drifts, 0.95))
    assert judge(found(versions), 1, range(2, 5), DriftTerms(), 0).tolerance is None


def test_a_version_far_out_does_not_widen_its_own_tolerance():
    near, far = (
        judge(found([record("1", seed=1), new, *harmless(4)]), 1, range(2, 6), DriftTerms(), 0)
        for new in (record("2", seed=2), record("2", seed=2, noise=3.0))
    )

    assert near.tolerance == pytest.approx(far.tolerance)
    assert far.upper > near.upper


def test_leave_one_out_counts_references_called_drifted():
    tested = false_alarms(
        found([record("1", seed=1), record("2", seed=2), *harmless(9)]),
        range(2, 11), DriftTerms(), 0,
    )  # fmt: skip

    # Without a tie exactly one of nine ranks first; with eight others p cannot be 0.1.
    assert (tested.trials, tested.nominal) == (9, pytest.approx(1 / 9))
    assert tested.alarms == 1
    assert tested.passed is True
    assert "1 of 9 reference runs" in tested.words


def test_too_few_references_leave_the_false_alarms_unknown():
    tested = false_alarms(
        found([record("1"), record("2", seed=2), *harmless(4)]), range(2, 6), DriftTerms(), 0
    )

    assert (tested.trials, tested.passed, tested.rate) == (0, None, None)

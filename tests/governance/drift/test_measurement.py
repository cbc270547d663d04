"""A comparison as evidence."""

import pytest
from versions import harmless, record

from governance.drift import compare
from governance.drift.measurement import METRICS, to_measurement
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import MOST_PRINTED
from reports.grid import grid


@pytest.fixture(scope="module")
def comparison():
    return compare(
        record("1", seed=1), record("2", seed=2, wrong=(1, 2, 3)), harmless(9),
        first=record("0", seed=3), terms=DriftTerms(tolerance=0.2),
    )  # fmt: skip


def test_every_metric_is_declared_and_inside_its_range(comparison):
    found = to_measurement(comparison)

    assert set(found.metrics) == set(METRICS)
    for name, value in found.metrics.items():
        metric = METRICS[name]
        assert value is None or metric.lowest is None or value >= metric.lowest
        assert value is None or metric.highest is None or value <= metric.highest


def test_numbers_and_words_are_the_comparisons(comparison):
    found = to_measurement(comparison, withdrawn=("a self-test failed",))

    assert found.metrics["distance"] == comparison.distance
    assert found.metrics["excess"] == pytest.approx(comparison.upper / 0.2)
    assert found.metrics["accuracy_change"] == pytest.approx(-3 / 60)
    assert found.metrics["to_first_upper"] == comparison.to_first.interval.high
    assert found.metrics["drifted"] == (comparison.verdict == "DRIFT")
    assert found.intervals["distance"].low <= comparison.distance
    assert found.notes[0].startswith(comparison.verdict)
    assert comparison.identity.words in found.notes
    assert found.withdrawn == ("a self-test failed",)


def test_every_interval_is_inside_the_range_of_its_metric(comparison):
    intervals = to_measurement(comparison).intervals

    assert {"distance", "changed_reason_share", "to_first", "false_alarm_rate"} <= set(intervals)
    for name, interval in intervals.items():
        assert METRICS[name].lowest <= interval.low <= interval.high <= METRICS[name].highest


@pytest.mark.parametrize(
    ("references", "terms", "drifted"),
    [
        (0, DriftTerms(), None),
        (3, DriftTerms(), None),
        (8, DriftTerms(alpha=0.1), None),  # p is never below 1/9
        (9, DriftTerms(alpha=0.1), 0.0),
        (9, DriftTerms(alpha=0.05), None),
        (0, DriftTerms(tolerance=0.001), 1.0),
        (0, DriftTerms(tolerance=1.9), 0.0),
        (9, DriftTerms(alpha=0.1, statistics=("rank", "lens")), None),
    ],
)
def test_drift_that_could_not_have_been_found_is_missing(references, terms, drifted):
    comparison = compare(record("1", seed=1), record("2", seed=2), harmless(references),
                         terms=terms)  # fmt: skip
    found = to_measurement(comparison)

    assert comparison.verdict != "EQUIVALENT" or terms.tolerance
    assert found.metrics["drifted"] == drifted
    notes = [note for note in found.notes if note.startswith("Missing: drifted")]
    assert len(notes) == (drifted is None)


@pytest.mark.parametrize(
    ("references", "said"), [(0, {"cannot tell"}), (8, {"cannot tell"}), (9, {"no", "yes"})]
)
def test_a_table_says_whether_a_statistic_is_beyond_only_where_that_can_be_told(references, said):
    found = compare(record("1", seed=1), record("2", seed=2), harmless(references))

    table = found.table("statistics")
    assert {row[table.columns.index("beyond")] for row in table.rows} <= said


def test_too_few_references_leave_the_p_value_missing():
    few = compare(record("1", seed=1), record("2", seed=2), harmless(3))

    assert to_measurement(few).metrics["p"] is None
    assert to_measurement(few).metrics["excess"] is None


def test_every_column_of_a_table_is_printed_or_empty_or_named_under_it(comparison):
    tables = to_measurement(comparison).tables

    assert tables
    for table in tables:
        laid_out = grid(table)
        printed = [column.name for column in laid_out.columns]
        rows = table.rows[: len(laid_out.rows)]
        assert len(printed) <= MOST_PRINTED
        assert bool(printed) == bool(rows)
        empty = [
            name
            for place, name in enumerate(table.columns)
            if name in table.printed and all(row[place] is None for row in rows)
        ]
        assert sorted((*printed, *laid_out.columns_left, *empty)) == sorted(table.columns)

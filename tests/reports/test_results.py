"""Results: part D says how often the model is right, in the numbers of the record."""

import dataclasses

import pytest

from governance.records.evidence import Interval, Measurement, Table
from governance.records.policy import Expectation
from reports.findings import findings
from reports.results import results

CLASSES = ("class", "n", "recall", "recall_low", "recall_high", "named")


def measured(make_brief, rows, confusions=(), names=("a", "b", "c"), **changes):
    """A brief assessment whose performance has these recalls."""
    whole = make_brief()
    tables = (
        Table(name="classes", caption="Classes.", columns=CLASSES, rows=tuple(rows)),
        Table(name="confusions", caption="Confusions.", columns=("class", "named", "images", "n"),
              rows=tuple(confusions)),
    )  # fmt: skip
    accuracy = sum(row[1] * row[2] for row in rows) / sum(row[1] for row in rows)
    measurement = Measurement(
        metrics={"accuracy": accuracy, "recall_worst": min(row[2] for row in rows)},
        intervals={"accuracy": Interval(low=0.0, high=1.0, n=30)},
        tables=tables,
    )
    evidence = dataclasses.replace(whole.evidence[0], measurement=measurement)
    bound = Expectation(metric="performance.recall_worst", at_least=0.8)
    validation = dataclasses.replace(
        whole.validation, images=30, class_names=tuple(names), class_counts=(10,) * len(names)
    )
    policy = dataclasses.replace(whole.policy, expectations=(bound,))
    return dataclasses.replace(
        whole, evidence=(evidence,), policy=policy, validation=validation, **changes
    )


ROWS = [("b", 10, 0.5, 0.2, 0.8, 7), ("a", 10, 0.9, 0.6, 0.99, 12), ("c", 10, 1.0, 0.7, 1.0, 11)]
WRONG = [("b", "a", 4, 10), ("b", "c", 1, 10), ("a", "b", 1, 10)]


def part_d(assessment):
    return results(assessment, findings(assessment))


def test_the_class_below_its_bound_is_named_with_its_share_of_the_errors(make_brief):
    found = part_d(measured(make_brief, ROWS, WRONG))

    assert found.lead == (
        "80\u202f% of 30 images are recognised. By its recall 1 of 3 classes lies below its bound "
        "of 80\u202f%: class b, at 50\u202f%. It makes 5 of the 6 errors."
    )


def test_errors_are_counted_by_true_class_and_answer_and_right_answers_left_out(make_brief):
    found = part_d(measured(make_brief, ROWS, WRONG)).errors

    assert found.total == 6
    assert found.names == ("a", "b", "c")
    assert found.square == ((0, 1, 0), (4, 0, 1), (0, 0, 0))


def test_many_classes_give_the_lowest_and_the_most_frequent_and_count_the_rest(make_brief):
    names = tuple(f"c{index:03d}" for index in range(1000))
    rows = [(name, 10, 0.5 + index % 500 / 1000, 0.1, 1.0, 10) for index, name in enumerate(names)]
    rows.sort(key=lambda row: row[2])
    wrong = [(name, "c000", 5, 10) for name in names[1:]]

    found = part_d(measured(make_brief, rows, wrong, names))

    assert str(found.recall).count('stroke-width="1.3"') == 25 + 1  # intervals and the bound
    assert "The 25 lowest of 1,000 classes" in found.recall_note
    assert found.errors.square == ()
    assert (len(found.errors.pairs), found.errors.left) == (10, 989)


def test_a_table_of_other_columns_is_not_taken_for_ours(make_brief):
    whole = measured(make_brief, ROWS, WRONG)
    measurement = whole.evidence[0].measurement
    odd = Table(name="classes", caption="Odd.", columns=("name", "x"), rows=(("a", 1),))
    measurement = dataclasses.replace(measurement, tables=(odd,))
    evidence = dataclasses.replace(whole.evidence[0], measurement=measurement)

    found = part_d(dataclasses.replace(whole, evidence=(evidence,)))

    assert (found.recall, found.errors, found.calibration) == (None, None, None)


def test_a_changed_measure_without_answers_of_both_versions_has_no_paired_interval(assessment):
    found = part_d(assessment)

    assert found.before == "version 3"
    assert [item.interval for item in found.changes] == ["not recorded"] * len(found.changes)
    assert found.changes[0].name == "All images right"
    assert found.changes[0].change == "+9.0\u00a0points"


def test_nothing_measured_is_said_and_crashes_nothing(assessment):
    found = part_d(dataclasses.replace(assessment, evidence=()))

    assert found.lead == "How often the model is right was not measured."
    assert found.recall is None


@pytest.mark.parametrize("value", [0.7992, 0.80004])
def test_no_recall_is_rounded_onto_its_bound(make_brief, value):
    rows = [("b", 10000, value, 0.79, 0.81, 7), *ROWS[1:]]

    found = part_d(measured(make_brief, rows))

    assert ">80.0\u202f%<" not in str(found.recall)


def test_a_recall_that_was_not_measured_is_not_told_as_none_recognised(make_brief):
    whole = measured(make_brief, ROWS[1:], names=("a", "b", "c"))
    first = whole.evidence[0]
    table, *others = first.measurement.tables
    rows = (*table.rows, ("b", 0, None, None, None, 0))
    tables = (dataclasses.replace(table, rows=rows), *others)
    measurement = dataclasses.replace(first.measurement, tables=tables)
    evidence = (dataclasses.replace(first, measurement=measurement),)

    lead = part_d(dataclasses.replace(whole, evidence=evidence)).lead

    assert "By its recall no class lies below its bound" in lead
    assert lead.endswith("The recall of 1 class was not measured.")

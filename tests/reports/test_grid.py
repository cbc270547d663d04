"""Tables are cut to the page, and what is cut is counted."""

from governance.records.evidence import Table
from reports.grid import grid


def table(columns, rows, shown=None):
    return Table(name="t", caption="c", columns=tuple(columns), rows=tuple(rows), shown=shown)


def test_table_is_cut_to_the_rows_shown_and_the_rest_counted():
    rows = [(i, "x") for i in range(1000)]

    assert grid(table("ab", rows, shown=6)).rows_left == 994
    assert len(grid(table("ab", rows)).rows) == 200
    assert grid(table("ab", rows, shown=0)).rows == ()
    assert grid(table("ab", rows[:3], shown=9)).rows_left == 0


def test_wide_table_fills_the_page_and_loses_the_columns_that_do_not_fit():
    wide = grid(table([f"column_{i}" for i in range(20)], [("some text",) * 20]))

    assert len(wide.columns) == 12
    assert wide.columns_left == 8
    assert wide.full
    assert wide.dense
    assert abs(sum(column.width for column in wide.columns) - 100) < 0.1


def test_only_columns_of_numbers_are_set_as_numbers():
    found = grid(table("abcd", [(1, "x", None, True), (0.5, "y", None, False)]))

    assert [column.numeric for column in found.columns] == [True, False, False, False]

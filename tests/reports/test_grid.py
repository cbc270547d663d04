"""Tables are cut to the page, and what is cut is counted."""

from governance.records.evidence import Table
from reports.grid import grid


def table(columns, rows, shown=None, printed=()):
    return Table(
        name="t", caption="c", columns=tuple(columns), rows=tuple(rows), shown=shown,
        printed=printed,
    )  # fmt: skip


def test_table_is_cut_to_the_rows_shown_and_the_rest_counted():
    rows = [(i, "x") for i in range(1000)]

    assert grid(table("ab", rows, shown=6)).rows_left == 994
    assert len(grid(table("ab", rows)).rows) == 200
    assert grid(table("ab", rows, shown=0)).rows == ()
    assert grid(table("ab", rows[:3], shown=9)).rows_left == 0


def test_a_table_prints_the_columns_that_it_names_in_that_order_and_names_the_rest():
    found = grid(table("abcd", [(1, 2, 3, 4)], printed=("d", "a")))

    assert [column.name for column in found.columns] == ["d", "a"]
    assert found.rows == (("4", "1"),)
    assert found.columns_left == ("b", "c")


def test_wide_table_fills_the_page():
    names = [f"column_{i}" for i in range(20)]
    wide = grid(table(names, [("some text",) * 20], printed=tuple(names[8:])))

    assert [column.name for column in wide.columns] == names[8:]
    assert wide.columns_left == tuple(names[:8])
    assert wide.full
    assert wide.dense
    assert abs(sum(column.width for column in wide.columns) - 100) < 0.1


def test_only_columns_of_numbers_are_set_as_numbers():
    found = grid(table("abd", [(1, "x", True), (0.5, "y", False)]))

    assert [column.numeric for column in found.columns] == [True, False, False]


def test_a_column_without_a_single_cell_is_dropped_and_a_cell_without_a_value_is_a_dash():
    found = grid(table("abc", [(1, None, None), (2, None, 0.5)]))

    assert [column.name for column in found.columns] == ["a", "c"]
    assert found.rows == (("1", "\N{EN DASH}"), ("2", "0.5000"))

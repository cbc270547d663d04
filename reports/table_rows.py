"""Table rows: the tables of a record, row by row and by the names of their columns."""

from collections.abc import Mapping

from governance.records.assessment import Assessment
from governance.records.evidence import Cell
from reports.class_names import table_of

__all__ = ["Row", "number_in", "rows_of"]

Row = Mapping[str, Cell]


def rows_of(assessment: Assessment, analysis: str, name: str, *columns: str) -> list[Row]:
    """The rows of a table among the evidence that may be relied on.

    Args:
        assessment: The assessment as recorded.
        analysis: Analysis that made the table.
        name: Name of the table.
        columns: Columns that the rows must have; a table without one of them gives no rows.
    """
    table = table_of(assessment, analysis, name)
    if table is None or not set(columns) <= set(table.columns):
        return []
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def number_in(row: Row, name: str) -> float | None:
    """The number in a column; None where there is none."""
    cell = row.get(name)
    return float(cell) if isinstance(cell, int | float) else None

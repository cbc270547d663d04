"""Grid: the part of a table that fits on a page, with widths in proportion to what is in it."""

from collections.abc import Iterable
from dataclasses import dataclass

from governance.records.evidence import Cell, Table
from governance.records.numbers import cell

__all__ = ["Column", "Grid", "grid"]

# The report stops here; the evidence files hold the rest.
MOST_ROWS = 200

# A table of fewer characters per row than this is set at its natural width.
FULL_WIDTH = 84
MANY_COLUMNS = 7
NOT_APPLICABLE = "\N{EN DASH}"
NARROWEST, WIDEST, WIDEST_OF_MANY = 5, 34, 22


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a printed table: its share of the width in percent, and whether it is numeric."""

    name: str
    width: float
    numeric: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """The part of a table that fits on the page.

    Attributes:
        name: Name of the table, which is its file among the evidence.
        caption: What a row is.
        columns: The columns that are printed.
        rows: The rows that are printed, as text.
        full: Whether it needs the whole width of the page.
        dense: Whether it has so many columns that the type must be small.
        rows_left: Number of rows that are not printed.
        columns_left: Names of the columns that are only in the record.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    full: bool
    dense: bool
    rows_left: int
    columns_left: tuple[str, ...]


def grid(table: Table, most: int = MOST_ROWS) -> Grid:
    """The part of a table that fits on the page, with widths in proportion to what is in it.

    Columns without a single cell are left out; a cell without a value does not apply to its row.

    Args:
        table: Rows in the order of their weight.
        most: Rows that are printed at most.
    """
    shown = min(len(table.rows) if table.shown is None else table.shown, most)
    columns = tuple(
        name
        for name in table.printed
        if any(row[table.columns.index(name)] is not None for row in table.rows[:shown])
    )
    places = [table.columns.index(name) for name in columns]
    cells = [tuple(row[place] for place in places) for row in table.rows[:shown]]
    texts = [tuple(_text(item) for item in row) for row in cells]
    widest = WIDEST_OF_MANY if len(columns) > MANY_COLUMNS else WIDEST
    sizes = [
        _size(name, [row[index] for row in texts], widest) for index, name in enumerate(columns)
    ]
    return Grid(
        name=table.name,
        caption=table.caption,
        columns=tuple(
            Column(
                name,
                round(100 * size / max(1, sum(sizes)), 2),
                _numeric(row[index] for row in cells),
            )
            for index, (name, size) in enumerate(zip(columns, sizes, strict=True))
        ),
        rows=tuple(texts),
        full=sum(sizes) > FULL_WIDTH,
        dense=len(columns) > MANY_COLUMNS,
        rows_left=len(table.rows) - len(texts),
        columns_left=tuple(name for name in table.columns if name not in table.printed),
    )


def _text(item: Cell) -> str:
    return NOT_APPLICABLE if item is None else cell(item)


def _size(name: str, texts: Iterable[str], widest: int) -> int:
    # A column is as wide as its longest word of the heading and its longest cell, within reason.
    word = max((len(part) for part in name.replace("_", " ").split()), default=0)
    return min(widest, max(NARROWEST, word, *(len(text) for text in texts), 0)) + 3


def _numeric(cells: Iterable[Cell]) -> bool:
    present = [item for item in cells if item is not None]
    return bool(present) and all(
        isinstance(item, int | float) and not isinstance(item, bool) for item in present
    )

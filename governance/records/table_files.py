"""Table files: the rows of a table as Parquet for programs and as CSV for people."""

import csv as csv_format
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from governance.records.evidence import Table

__all__ = ["csv", "parquet", "rows_of"]


def parquet(table: Table) -> bytes:
    """The rows as a Parquet file."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    arrays = [pa.array(list(column)) for column in columns]
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays, names=list(table.columns)), buffer)
    return buffer.getvalue()


def csv(table: Table) -> bytes:
    """The rows as a CSV file in which no spreadsheet finds a formula."""
    buffer = io.StringIO(newline="")
    writer = csv_format.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_unformulaic(cell) for cell in row] for row in table.rows)
    return buffer.getvalue().encode()


def _unformulaic(cell: object) -> object:
    # Class names are untrusted: a spreadsheet must not run "=..." as a formula.
    risky = isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"}
    return f"'{cell}" if risky else cell


def rows_of(content: bytes) -> list[list[Any]]:
    """The rows in a Parquet file.

    Raises:
        ValueError: If the bytes are no Parquet file.
    """
    try:
        columns = pq.read_table(io.BytesIO(content)).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error)) from error
    return [list(row) for row in zip(*columns.values(), strict=True)]

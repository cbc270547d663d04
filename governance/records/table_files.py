"""Table files: the rows of a table as Parquet for programs and as CSV for people, and back."""

import csv as csv_format
import io
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.records.evidence import LONGEST_TEXTS, MOST_CELLS, Table
from governance.records.parquet_footer import Footer, footer_of

__all__ = ["LARGEST_PARQUET", "csv", "parquet", "rows_of", "texts_of"]

#: Bytes of a Parquet file, and of its columns before compression.
LARGEST_PARQUET = 64 * 2**20
#: Row groups of a Parquet file; one of ours has one.
MOST_GROUPS = 1_000
#: Bytes of a text in the footer of a Parquet file, such as its schema.
LONGEST_FOOTER = 2**20
#: Kinds of compression. Others make a gigabyte of a megabyte; Snappy makes 21 at most.
COMPRESSIONS = frozenset({"UNCOMPRESSED", "SNAPPY"})
#: Of a column that a table can have: truth values, whole numbers, fractions, texts, nothing.
KINDS = (pa.bool_(), pa.int64(), pa.float64(), pa.string(), pa.null())


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
    """The rows in a Parquet file, whose footer says beforehand how many there are.

    Raises:
        ValueError: If the bytes are no Parquet file of plain columns, or are beyond a limit.
    """
    columns = _read(content, _recorded)
    return [list(row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]


def texts_of(content: bytes) -> dict[str, list[str | None]]:
    """The columns of a Parquet file that a person made, every value as text, by their names.

    Raises:
        ValueError: If the bytes are no Parquet file of plain columns, or are beyond a limit.
    """
    columns = _read(content, _textual)
    names = footer_of(content).names
    if len(set(names)) < len(names):
        raise ValueError("names of columns repeat; a name for each is needed")
    try:
        texts = [_texts(column) for column in columns]
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    return dict(zip(names, texts, strict=True))


def _texts(column: Any) -> list[str | None]:
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    texts: list[str | None] = pc.cast(column, pa.string()).to_pylist()
    return texts


def _recorded(kind: Any) -> bool:
    return kind in KINDS


def _textual(kind: Any) -> bool:
    return bool(pa.types.is_primitive(kind)) or kind in KINDS


def _read(content: bytes, accepted: Callable[[Any], bool]) -> list[Any]:
    """The columns of a Parquet file, if they are of an accepted kind."""
    if len(content) > LARGEST_PARQUET:
        raise ValueError(f"{len(content)} bytes; at most {LARGEST_PARQUET} are accepted")
    footer = footer_of(content)
    if problem := next(_problems(footer), None):
        raise ValueError(problem)
    try:
        file = pq.ParquetFile(
            io.BytesIO(content),
            # Texts stay one each, however often they stand in the column, until they are counted.
            read_dictionary=list(footer.names),
            thrift_string_size_limit=LONGEST_FOOTER,
            thrift_container_size_limit=MOST_CELLS,
        )
        columns = file.read().columns
        _check(columns, accepted)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error)) from error
    return list(columns)


def _problems(footer: Footer) -> Iterator[str]:
    """What a footer promises that no table of a record has."""
    if len(footer.rows) > MOST_GROUPS:
        yield f"{len(footer.rows)} row groups; at most {MOST_GROUPS} are accepted"
    rows, columns = sum(footer.rows), len(footer.names)
    if any(count < 0 for count in footer.rows) or rows * max(columns, 1) > MOST_CELLS:
        yield f"{rows} rows of {columns} columns; at most {MOST_CELLS} cells are accepted"
    if not footer.flat:
        yield "holds lists or tables in a column; plain columns are accepted"
    chunks = [column for group in footer.columns for column in group]
    if strange := {column.compression for column in chunks} - COMPRESSIONS:
        accepted = ", ".join(sorted(COMPRESSIONS))
        yield f"{', '.join(sorted(strange))} compression; {accepted} is accepted"
    size = sum(column.size for column in chunks)
    if any(column.size < 0 for column in chunks) or size > LARGEST_PARQUET:
        yield f"{size} bytes when unpacked; at most {LARGEST_PARQUET} are accepted"


def _check(columns: list[Any], accepted: Callable[[Any], bool]) -> None:
    """Refuse columns of another kind, and texts that are too long together."""
    length = 0
    for column in columns:
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
            length += sum(_length(chunk) for chunk in column.chunks)
        if not accepted(kind):
            raise ValueError(f"a column of {kind}; {', '.join(map(str, KINDS))} are accepted")
    if length > LONGEST_TEXTS:
        raise ValueError(f"texts of {length} bytes; at most {LONGEST_TEXTS} are accepted")


def _length(chunk: Any) -> int:
    """Bytes of all texts of a column that keeps each text once."""
    if pa.types.is_null(chunk.dictionary.type) or pa.types.is_primitive(chunk.dictionary.type):
        return 0
    lengths = pc.cast(pc.binary_length(chunk.dictionary), pa.int64())
    return pc.sum(lengths.take(chunk.indices)).as_py() or 0

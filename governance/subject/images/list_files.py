"""List files: the columns of a list of images in CSV, JSON lines or Parquet, all values as text.

Whether a column holds numbers is for the reader of its values to say: a class may be called 7.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from governance.errors import SubjectError
from governance.records.bounded import content_of, json_data
from governance.records.table_files import texts_of
from governance.records.wording import first_few

__all__ = [
    "LIST_SUFFIXES",
    "MOST_CELLS",
    "Columns",
    "column_problems",
    "flat",
    "plain",
    "read_list",
]

#: Endings of the files that are read as lists.
LIST_SUFFIXES = (".csv", ".jsonl", ".parquet", ".tsv")
#: Bytes of a list in CSV or JSON lines; `table_files` has that of Parquet.
LARGEST_LIST = 64 * 2**20
#: Cells of a list, those of all columns.
MOST_CELLS = 2_000_000
#: Columns of a list.
MOST_COLUMNS = 200
#: Characters of a value, and of the name of a column.
LONGEST_VALUE = 4096
LONGEST_COLUMN = 200

#: What Excel and others write between values, besides the comma.
SEPARATORS = ",;\t"

#: Values of each column by its name; None for one that is missing.
Columns = Mapping[str, Sequence[str | None]]


def read_list(file: Path, problems: list[str]) -> Columns:
    """The columns of a list, in the order of the file; empty values are None.

    Args:
        file: A file with one of the endings.
        problems: Gets what stands in the way; there are then no columns.
    """
    try:
        content = content_of(file, LARGEST_LIST, SubjectError)
        columns = _read(content, file.suffix.lower())
        return {name: [_value(text) for text in values] for name, values in columns.items()}
    except OSError as error:
        problems.append(f"{file.name}: cannot be read: {error.strerror}")
    except SubjectError as error:
        problems += [f"{file.name}: {problem}" for problem in error.problems]
    except (ValueError, csv.Error) as error:
        problems.append(f"{file.name}: cannot be read as a list: {error}")
    return {}


def _read(content: bytes, suffix: str) -> Columns:
    """The columns of a list by its ending.

    Raises:
        ValueError: If it cannot be read, or is beyond a limit.
    """
    if suffix == ".parquet":
        columns = texts_of(content)
        _check_names(list(columns))
        return columns
    text = content.decode("utf-8-sig")
    if suffix == ".jsonl":
        return _of_rows(*_json_rows(text))
    names, rows = _csv_rows(text)
    return _of_rows(names, rows)


def _csv_rows(text: str) -> tuple[list[str], Iterator[list[str]]]:
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names = next(rows, [])
    return names, (row for row in rows if row)


def _json_rows(text: str) -> tuple[list[str], Iterator[list[str | None]]]:
    lines = (line for line in text.split("\n") if line.strip())
    found = [_flat(line, number) for number, line in enumerate(lines, 1)]
    names = list(dict.fromkeys(name for row in found for name in row))
    if len(names) * len(found) > MOST_CELLS:
        raise ValueError(f"more than {MOST_CELLS} values; fewer are accepted")
    return names, ([row.get(name) for name in names] for row in found)


def _flat(line: str, number: int) -> dict[str, str | None]:
    """The values of a line of JSON as texts."""
    row = json_data(line.encode(), f"line {number}", SubjectError)
    if not isinstance(row, dict):
        raise SubjectError(f"line {number} is no object; one object a line is accepted")
    texts = flat(row)
    deep = [name for name in row if name not in texts]
    if deep:
        raise ValueError(
            f"line {number}: {first_few(deep)} hold lists or objects; texts, numbers, true and "
            "false are accepted"
        )
    return texts


def flat(row: Mapping[str, Any]) -> dict[str, str | None]:
    """The values of a JSON object that are no lists and no objects, as texts."""
    return {
        name: None if value is None else _text(value)
        for name, value in row.items()
        if not isinstance(value, dict | list)
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _of_rows(names: list[str], rows: Iterable[Sequence[str | None]]) -> Columns:
    _check_names(names)
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise ValueError(
                f"row {number} has {len(row)} values and the first line names {len(names)} columns"
            )
        if number * len(names) > MOST_CELLS:
            raise ValueError(f"more than {MOST_CELLS} values; fewer are accepted")
        for name, value in zip(names, row, strict=True):
            columns[name].append(value)
    return columns


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise ValueError("it names no columns; the first line of a CSV file names them")
    if problem := next(column_problems(names), None):
        raise ValueError(problem)


def column_problems(names: Sequence[str]) -> Iterator[str]:
    """What is wrong with the names of columns, a sentence each."""
    if len(names) > MOST_COLUMNS:
        yield f"{len(names)} columns; at most {MOST_COLUMNS} are accepted"
    if len(set(names)) < len(names):
        yield "names of columns repeat; a name for each is needed"
    if any(not name.strip() or not name.isprintable() for name in names):
        yield "a column has no name, or one that cannot be printed"
    if any(len(name) > LONGEST_COLUMN for name in names):
        yield f"the name of a column has more than {LONGEST_COLUMN} characters"


def plain(name: str, values: Sequence[str | None], problems: list[str]) -> list[str | None]:
    """Values of a column with plain white space; None where nothing is left.

    Args:
        name: Name of the column in messages.
        values: As they were read.
        problems: Gets values that cannot be printed, or are too long.
    """
    found = [" ".join((value or "").split()) or None for value in values]
    strange = [
        repr(value[:40])
        for value in found
        if value and (not value.isprintable() or len(value) > LONGEST_VALUE)
    ]
    if strange:
        problems.append(
            f"column {name}: {first_few(strange)} cannot be printed or have more than "
            f"{LONGEST_VALUE} characters; remove them"
        )
    return found


def _value(text: str | None) -> str | None:
    if text is not None and len(text) > LONGEST_VALUE:
        raise ValueError(f"a value of {len(text)} characters; at most {LONGEST_VALUE} are accepted")
    return text or None

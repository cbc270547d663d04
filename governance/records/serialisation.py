"""Records: frozen dataclasses as plain JSON data and back.

Keys are sorted, numbers finite and types checked on the way in, so that the same record always has
the same bytes and a damaged one is refused by place.
"""

import dataclasses
import json
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from governance.errors import EvidenceError
from governance.records.bounded import json_data
from governance.records.decoding import FLAT, IF_SET, UNWRITTEN, decode, flat_names

__all__ = ["FLAT", "IF_SET", "UNWRITTEN", "canonical", "from_data", "parse", "to_data"]

T = TypeVar("T")

MOST_PROBLEMS = 20


def canonical(data: object) -> bytes:
    """JSON bytes of plain data: sorted keys, two spaces, UTF-8, no NaN, a final newline."""
    text = json.dumps(data, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=2)
    # Lone surrogates (from file names in a message, say) stay as JSON's own \\u escapes.
    return f"{text}\n".encode(errors="backslashreplace")


def parse(content: bytes, place: str) -> Any:
    """Plain data of JSON bytes.

    Raises:
        EvidenceError: If they are no JSON, hold NaN or infinity, or are beyond a limit.
    """
    return json_data(content, place, EvidenceError)


def to_data(value: Any) -> Any:
    """Plain data of a record: dataclasses and mappings as dicts, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dict(_written(value))
    if isinstance(value, Mapping):
        return {str(key): to_data(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_data(item) for item in value]
    return value


def _written(record: Any) -> Iterator[tuple[str, Any]]:
    """Name and plain data of each field that is written."""
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.metadata == FLAT:
            absent = ((name, None) for name in flat_names(type(record), field))
            yield from absent if value is None else _written(value)
        elif field.metadata != UNWRITTEN and not (field.metadata == IF_SET and value is None):
            yield field.name, to_data(value)


def from_data(kind: type[T], data: Any, place: str = "record") -> T:
    """The record of type `kind` held in plain data.

    Raises:
        EvidenceError: All fields that are missing, unknown or of another type, by place; the first
            twenty of them.
    """
    problems: list[str] = []
    record = decode(kind, data, place, problems)
    if problems:
        rest = len(problems) - MOST_PROBLEMS
        more = [f"{place}: {rest} more problems"] if rest > 0 else []
        raise EvidenceError([*problems[:MOST_PROBLEMS], *more])
    return typing.cast("T", record)

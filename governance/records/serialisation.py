"""Records: frozen dataclasses as plain JSON data and back.

Keys are sorted, numbers finite and types checked on the way in, so that the same record always has
the same bytes and a damaged one is refused by place.
"""

import dataclasses
import json
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from governance.errors import EvidenceError, GovernanceError

__all__ = ["FLAT", "UNWRITTEN", "canonical", "from_data", "parse", "to_data"]

T = TypeVar("T")

#: Metadata of a field that holds a record, whose fields are written beside the other fields.
FLAT = MappingProxyType({"written": "flat"})
#: Metadata of a field that is not written; reading gives it its default.
UNWRITTEN = MappingProxyType({"written": "never"})


def canonical(data: object) -> bytes:
    """JSON bytes of plain data: sorted keys, two spaces, UTF-8, no NaN, a final newline."""
    text = json.dumps(data, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=2)
    # Lone surrogates (from file names in a message, say) stay as JSON's own \\u escapes.
    return f"{text}\n".encode(errors="backslashreplace")


def parse(content: bytes, place: str) -> Any:
    """Plain data of JSON bytes.

    Raises:
        EvidenceError: If they are no JSON, or hold NaN or infinity.
    """
    try:
        return json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"{place}: cannot be read: {error}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"holds {constant}; finite numbers are accepted")


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
            absent = ((name, None) for name in _flat_names(type(record), field))
            yield from absent if value is None else _written(value)
        elif field.metadata != UNWRITTEN:
            yield field.name, to_data(value)


def _flat_names(kind: Any, field: "dataclasses.Field[Any]") -> tuple[str, ...]:
    """Names under which the record in a flat field is written."""
    hint = typing.get_type_hints(kind)[field.name]
    (inner,) = (item for item in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(item))
    return tuple(item.name for item in dataclasses.fields(inner) if item.metadata != UNWRITTEN)


def from_data(kind: type[T], data: Any, place: str = "record") -> T:
    """The record of type `kind` held in plain data.

    Raises:
        EvidenceError: If a field is missing, unknown or of another type, by place.
    """
    return typing.cast("T", _decode(kind, data, place))


def _decode(kind: Any, data: Any, place: str) -> Any:  # noqa: PLR0911 - one return per kind of type
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return data
    if origin in {typing.Union, types.UnionType}:
        return _decode_union(arguments, data, place)
    if origin is typing.Literal:
        if data in arguments:
            return data
        raise EvidenceError(f"{place} is {data!r}; one of {arguments} is accepted")
    if dataclasses.is_dataclass(kind) and isinstance(data, dict):
        return _decode_record(kind, data, place)
    if origin is tuple and isinstance(data, list):
        return _decode_tuple(arguments, data, place)
    if origin is Mapping and isinstance(data, dict):
        return {key: _decode(arguments[1], data[key], f"{place}.{key}") for key in data}
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return _decode_number(data, place)
    if isinstance(kind, type) and type(data) is kind:
        return data
    raise EvidenceError(f"{place} is {type(data).__name__} {str(data)[:60]!r}; {kind} is accepted")


def _decode_union(options: tuple[Any, ...], data: Any, place: str) -> Any:
    if data is None and types.NoneType in options:
        return None
    # Cells of tables come in hundred thousands; float is left out for its NaN.
    if type(data) in options and type(data) in {str, int, bool}:
        return data
    # The very type first: a cell 1 is a whole number, and 1.0 a fraction.
    kinds = [option for option in options if option is not types.NoneType]
    for option in sorted(kinds, key=lambda option: option is not type(data)):
        try:
            return _decode(option, data, place)
        except EvidenceError:
            if len(kinds) == 1:
                raise
    raise EvidenceError(f"{place} is {str(data)[:60]!r}; one of {options} is accepted")


def _decode_number(data: float, place: str) -> float:
    if not abs(data) <= sys.float_info.max:
        raise EvidenceError(f"{place} is {str(data)[:60]}; a finite number is accepted")
    return float(data)


def _decode_record(kind: Any, data: dict[str, Any], place: str) -> Any:
    hints = typing.get_type_hints(kind)
    fields = [field for field in dataclasses.fields(kind) if field.metadata != UNWRITTEN]
    flat = {field.name: _flat_names(kind, field) for field in fields if field.metadata == FLAT}
    parts = {
        field.name: data[field.name] for field in fields if field.name in set(data) - set(flat)
    }
    parts |= {name: _flat_part(hints[name], inner, data) for name, inner in flat.items()}
    unknown = sorted(set(data) - set(parts) - {name for inner in flat.values() for name in inner})
    unknown += sorted(set(data) & set(flat))
    missing = sorted(
        field.name
        for field in fields
        if field.name not in parts
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    )
    if unknown or missing:
        raise EvidenceError(f"{place}: missing {missing}, unknown {unknown}")
    values = {
        name: _decode(hints[name], part, place if name in flat else f"{place}.{name}")
        for name, part in parts.items()
    }
    try:
        return kind(**values)
    except GovernanceError as error:
        raise EvidenceError(f"{place}: {error}") from error


def _flat_part(hint: Any, names: tuple[str, ...], data: dict[str, Any]) -> dict[str, Any] | None:
    """What stands of a flat field; None where it may be absent and nothing of it stands."""
    part = {name: data[name] for name in names if name in data}
    absent = all(value is None for value in part.values())
    return None if absent and types.NoneType in typing.get_args(hint) else part


def _decode_tuple(arguments: tuple[Any, ...], data: list[Any], place: str) -> Any:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        return tuple(_decode(arguments[0], item, f"{place}[{i}]") for i, item in enumerate(data))
    if len(arguments) != len(data):
        raise EvidenceError(f"{place} has {len(data)} items; {len(arguments)} are accepted")
    pairs = zip(arguments, data, strict=True)
    return tuple(_decode(kind, item, f"{place}[{i}]") for i, (kind, item) in enumerate(pairs))

"""Decoding: plain data, as JSON and TOML give it, as typed values; all problems at once.

`decode` is the one place that holds data against type hints: records, the parameters of analyses,
policies, keyrings and signed statements come through here. A problem reads
`<place>: is <value>; <what the type takes> is accepted`, such as
`record.evidence[0].seed: is 'x'; a whole number is accepted`.
"""

import dataclasses
import functools
import math
import sys
import types
import typing
from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from governance.errors import GovernanceError

__all__ = ["FLAT", "IF_SET", "INVALID", "UNWRITTEN", "decode", "describe", "flat_names", "quoted"]

#: Metadata of a field that holds a record, whose fields are written beside the other fields.
FLAT = MappingProxyType({"written": "flat"})
#: Metadata of a field that is not written; reading gives it its default.
UNWRITTEN = MappingProxyType({"written": "never"})
#: Metadata of a field that is written only where it is not None, so that records without it keep
#: the bytes that they had before there was such a field.
IF_SET = MappingProxyType({"written": "if set"})

#: What `decode` returns for data that does not fit; the problem is noted.
INVALID: Final = object()

LONGEST_VALUE = 100
UNIONS = (typing.Union, types.UnionType)
WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    bytes: "a picture",
    datetime: "a time such as 2026-11-22T00:00:00Z",
}
MANY = {int: "whole numbers", float: "numbers", str: "texts"}


def decode(  # noqa: PLR0911 - one return per kind of type
    kind: Any, data: Any, place: str, problems: list[str]
) -> Any:
    """The value of a type that plain data holds; `INVALID` where it does not fit.

    Args:
        kind: A type hint of bool, int, float, str, datetime, `Any`, `Literal`, unions, tuples,
            mappings and dataclasses. Lists become tuples, and whole numbers fractions where the
            hint is float. NaN and infinity fit no hint.
        data: What `json` or `tomllib` returned.
        place: Where the data stands, for problems.
        problems: Gets one sentence a problem, with its place and what would be accepted.
    """
    if kind is Any:
        return data
    origin, arguments, is_record = _kind(kind)
    if origin in UNIONS:
        return _union(kind, arguments, data, place, problems)
    if origin is tuple and isinstance(data, list | tuple):
        return _tuple(kind, arguments, data, place, problems)
    if origin is Mapping and isinstance(data, Mapping):
        if _fit_as_they_are(arguments[1], data.values()):
            return dict(data)
        return _all({k: decode(arguments[1], v, f"{place}.{k}", problems) for k, v in data.items()})
    if is_record and isinstance(data, Mapping):
        return _record(kind, data, place, problems)
    if _fits(kind, origin, arguments, data):
        return float(data) if kind is float else data
    problems.append(f"{place}: is {quoted(data)}; {describe(kind)} is accepted")
    return INVALID


def describe(kind: Any) -> str:
    """What a type takes, in words."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin in UNIONS:
        options = [option for option in arguments if option is not types.NoneType]
        return " or ".join(describe(option) for option in options)
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"a list of {count}{MANY.get(arguments[0], 'items')}"
    if origin is Mapping or dataclasses.is_dataclass(kind):
        return "a table"
    return WORDS.get(kind) or str(kind)


def quoted(data: object) -> str:
    """A value as a message shows it: cut where it is long."""
    text = repr(data)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


@functools.cache
def _kind(kind: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """Of a type hint: its origin, its arguments, and whether it is a record."""
    return typing.get_origin(kind), typing.get_args(kind), dataclasses.is_dataclass(kind)


def _fits(kind: Any, origin: Any, arguments: tuple[Any, ...], data: Any) -> bool:
    if origin is typing.Literal:
        # By type too: true is no 1.
        return any(data == option and type(data) is type(option) for option in arguments)
    if kind is float:
        number = isinstance(data, int | float) and not isinstance(data, bool)
        return number and abs(data) <= sys.float_info.max
    return isinstance(kind, type) and type(data) is kind


def _union(kind: Any, options: tuple[Any, ...], data: Any, place: str, problems: list[str]) -> Any:
    if data is None and types.NoneType in options:
        return data
    if _fit_as_they_are(kind, (data,)):
        return data
    kinds = [option for option in options if option is not types.NoneType]
    if len(kinds) == 1:
        return decode(kinds[0], data, place, problems)
    # The very type first: a cell 1 is a whole number, and 1.0 a fraction.
    for option in sorted(kinds, key=lambda option: option is not type(data)):
        value = decode(option, data, place, [])
        if value is not INVALID:
            return value
    problems.append(f"{place}: is {quoted(data)}; {describe(kind)} is accepted")
    return INVALID


def _tuple(
    kind: Any, arguments: tuple[Any, ...], data: Any, place: str, problems: list[str]
) -> Any:
    endless = len(arguments) == 2 and arguments[1] is Ellipsis  # noqa: PLR2004 - tuple[X, ...]
    # Cells of tables come in hundred thousands, and most rows fit as they are.
    if endless and _fit_as_they_are(arguments[0], data):
        return tuple(data)
    kinds = (arguments[0],) * len(data) if endless else arguments
    if len(kinds) != len(data):
        problems.append(f"{place}: is {quoted(data)}; {describe(kind)} is accepted")
        return INVALID
    pairs = enumerate(zip(kinds, data, strict=True))
    items = [decode(item, value, f"{place}[{index}]", problems) for index, (item, value) in pairs]
    return INVALID if any(item is INVALID for item in items) else tuple(items)


def _fit_as_they_are(kind: Any, items: Collection[Any]) -> bool:
    """Whether all of several values fit a type hint and need no change."""
    fractions = (item for item in items if type(item) is float)
    return _plain_types(kind).issuperset(map(type, items)) and all(map(math.isfinite, fractions))


@functools.cache
def _plain_types(kind: Any) -> frozenset[type]:
    """Types of JSON's plain values that a type hint takes as they are."""
    options = typing.get_args(kind) if typing.get_origin(kind) in UNIONS else (kind,)
    return frozenset(options) & {str, int, bool, float, types.NoneType}


def _record(kind: Any, data: Mapping[str, Any], place: str, problems: list[str]) -> Any:
    hints, before = _hints(kind), len(problems)
    fields, flat, keys = _shape(kind)
    if not data.keys() <= keys:
        problems += [
            f"{place}.{name}: unknown key; accepted are {', '.join(sorted(keys))}"
            for name in sorted(set(data) - keys)
        ]
    parts = {name: data[name] for name in fields if name in data and name not in flat}
    parts |= {name: _flat_part(hints[name], names, data) for name, names in flat.items()}
    problems += [
        f"{place}.{name}: missing; {describe(hints[name])} is needed"
        for name, f in fields.items()
        if name not in parts
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    values = {
        name: decode(hints[name], part, place if name in flat else f"{place}.{name}", problems)
        for name, part in parts.items()
    }
    if len(problems) > before:
        return INVALID
    try:
        return kind(**values)
    except GovernanceError as error:
        problems += [f"{place}: {problem}" for problem in error.problems]
        return INVALID


def flat_names(kind: Any, field: "dataclasses.Field[Any]") -> tuple[str, ...]:
    """Names under which the record in a flat field is written."""
    hint = _hints(kind)[field.name]
    (inner,) = (item for item in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(item))
    return tuple(item.name for item in dataclasses.fields(inner) if item.metadata != UNWRITTEN)


def _flat_part(hint: Any, names: tuple[str, ...], data: Mapping[str, Any]) -> dict[str, Any] | None:
    """What stands of a flat field; None where it may be absent and nothing of it stands."""
    part = {name: data[name] for name in names if name in data}
    absent = all(value is None for value in part.values())
    return None if absent and types.NoneType in typing.get_args(hint) else part


@functools.cache
def _shape(
    kind: Any,
) -> tuple[dict[str, "dataclasses.Field[Any]"], dict[str, tuple[str, ...]], frozenset[str]]:
    """Of a record: the fields that are written, the keys of each flat one, and all keys."""
    fields = {f.name: f for f in dataclasses.fields(kind) if f.metadata != UNWRITTEN}
    flat = {name: flat_names(kind, f) for name, f in fields.items() if f.metadata == FLAT}
    beside = {name for names in flat.values() for name in names}
    return fields, flat, frozenset((set(fields) - set(flat)) | beside)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _all(values: dict[str, Any]) -> Any:
    return INVALID if any(value is INVALID for value in values.values()) else values

"""TOML reader: tables read key by key, with every problem of the file and its place at once."""

import math
import typing
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from governance.errors import PolicyError
from governance.records.bounded import toml_data
from governance.records.decoding import INVALID, decode, describe, quoted

__all__ = ["Reader", "parse"]

T = TypeVar("T")

TABLE = Mapping[str, Any]
BYTE_ORDER_MARK = "\ufeff"


def parse(text: str, where: str) -> "Reader":
    """A reader over the whole file, with or without the byte order mark of Windows' editors.

    Raises:
        PolicyError: If the text is not TOML, or is beyond a limit.
    """
    return Reader(toml_data(text.removeprefix(BYTE_ORDER_MARK), where, PolicyError), where, "", [])


class Reader:
    """One table of the file. Every key is asked for once; `done` complains about the rest.

    A wrong value is noted in `problems` (shared by all tables of the file) and the default
    returned, so that reading goes on to the next problem.
    """

    def __init__(self, data: Mapping[str, Any], where: str, path: str, problems: list[str]) -> None:
        self.problems = problems
        self.path = path
        self._data, self._where = data, where
        self._asked: set[str] = set()

    def problem(self, key: str, what: str) -> None:
        """Note a problem at `key`."""
        place = f"{self.path}.{key}" if self.path else key
        self.problems.append(f"{self._where}: {place}: {what}")

    @property
    def names(self) -> tuple[str, ...]:
        """All keys of the table, as written; nobody needs to ask for them any more."""
        self._asked.update(self._data)
        return tuple(self._data)

    def has(self, *keys: str) -> bool:
        """Whether any of `keys` is written in the table."""
        return any(key in self._data for key in keys)

    def leave(self, *keys: str) -> None:
        """Take no offence at `keys`, which someone else reads."""
        self._asked.update(keys)

    def done(self) -> None:
        """Complain about keys nobody asked for."""
        for key in sorted(set(self._data) - self._asked):
            self.problem(key, f"unknown key; accepted are {', '.join(sorted(self._asked))}")

    def text(self, key: str, default: str | None) -> str:
        """A text; required, and not empty, where the default is None."""
        value = self._value(key, default, str)
        if default is None and value is not None and not value.strip():
            self.problem(key, "is empty; a text is needed")
        return str(value or default or "")

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        return bool(self._value(key, default, bool))

    def choice(self, key: str, default: str, options: Sequence[str], other: str = "") -> str:
        """One of `options`; `other` says what else is accepted, which someone else reads."""
        accepted = f"{describe(Literal[*options])}, {other}," if other else ""
        return str(self._value(key, default, Literal[*options], accepted))

    def holds_table(self, key: str) -> bool:
        """Whether what is written at `key` is a table."""
        return isinstance(self._data.get(key), Mapping)

    def record(self, key: str, kind: type[T]) -> T | None:
        """The table at `key` as a record of type `kind`, with every problem at its own key.

        Returns:
            None where the table is wrong, or not written.
        """
        self._asked.add(key)
        if not self.holds_table(key):
            return None
        place = f"{self.path}.{key}" if self.path else key
        value = decode(kind, self._data[key], f"{self._where}: {place}", self.problems)
        return None if value is INVALID else typing.cast("T", value)

    def part(self, kind: type[T], *keys: str) -> T | None:
        """The values at `keys` as a record of type `kind`; None where one of them is wrong."""
        self._asked.update(keys)
        written = {key: self._data[key] for key in keys if key in self._data}
        place = f"{self._where}: {self.path}" if self.path else self._where
        value = decode(kind, written, place, self.problems)
        return None if value is INVALID else typing.cast("T", value)

    def time(self, key: str, *, required: bool) -> datetime | None:
        """A time with its offset, in UTC; None where it is not written."""
        if key not in self._data and not required:
            self._asked.add(key)
            return None
        value = self._value(key, None, datetime)
        if value is not None and value.tzinfo is None:
            self.problem(key, f"is {value.isoformat()}; {describe(datetime)} is accepted")
            return None
        return None if value is None else value.astimezone(UTC)

    def number(
        self,
        key: str,
        default: float | None,
        *,
        whole: bool = False,
        lowest: float | None = None,
        above: float | None = None,
    ) -> float | None:
        """A finite number, optional where the default is None."""
        if key not in self._data:
            self._asked.add(key)
            return default
        kind = int if whole else float
        accepted = describe(kind)
        if lowest is not None:
            accepted += f" of at least {lowest:g}"
        if above is not None:
            accepted += f" above {above:g}"
        value = self._value(key, None, kind, accepted)
        if value is None:
            return default
        if not _inside(self._data[key], lowest, above):
            self.problem(key, f"is {self._data[key]!r}; {accepted} is accepted")
            return default
        return typing.cast("float", value)

    def numbers(
        self,
        key: str,
        default: tuple[float, ...] | None,
        *,
        whole: bool = False,
        count: int | None = None,
        above: float | None = None,
    ) -> tuple[float, ...] | None:
        """A list of finite numbers, such as `[28, 28]`."""
        if key not in self._data:
            self._asked.add(key)
            return default
        item = int if whole else float
        kind = tuple[(item,) * count] if count else tuple[item, ...]  # type: ignore[misc, valid-type]
        accepted = describe(kind) + (f" above {above:g}" if above is not None else "")
        value = self._value(key, None, kind, accepted)
        if value is None:
            return default
        if not value or not all(_inside(number, None, above) for number in self._data[key]):
            self.problem(key, f"is {self._data[key]!r}; {accepted} is accepted")
            return default
        return typing.cast("tuple[float, ...]", value)

    def texts(self, key: str, default: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """A list of texts, none of them empty; the list itself may be."""
        if key not in self._data:
            self._asked.add(key)
            return default
        value = self._value(key, None, tuple[str, ...])
        if value is None:
            return default
        if not all(item.strip() for item in value):
            self.problem(key, f"is {self._data[key]!r}; texts that are not empty are accepted")
            return default
        return typing.cast("tuple[str, ...]", value)

    def text_or_texts(self, key: str) -> str | tuple[str, ...] | None:
        """A text or a list of texts, not empty and none of them empty; None where not written."""
        if key not in self._data:
            self._asked.add(key)
            return None
        value = self._value(key, None, str | tuple[str, ...])
        items = (value,) if isinstance(value, str) else value
        if items is not None and not (items and all(item.strip() for item in items)):
            self.problem(key, f"is {self._data[key]!r}; texts that are not empty are accepted")
            return None
        return typing.cast("str | tuple[str, ...] | None", value)

    def table(self, key: str) -> "Reader":
        """A table inside this one; empty where it is not written."""
        value = self._value(key, {}, TABLE)
        path = f"{self.path}.{key}" if self.path else key
        return Reader(value or {}, self._where, path, self.problems)

    def tables(self, key: str) -> list["Reader"]:
        """An array of tables, `[[key]]`."""
        value = self._value(key, (), tuple[Any, ...], f"[[{key}]] tables")
        items = value or ()
        good = [(i, item) for i, item in enumerate(items) if isinstance(item, dict)]
        if len(good) < len(items):
            self.problem(key, f"holds something else; [[{key}]] tables are accepted")
        path = f"{self.path}.{key}" if self.path else key
        return [Reader(item, self._where, f"{path}[{i}]", self.problems) for i, item in good]

    def named_tables(self, key: str) -> dict[str, dict[str, Any]]:
        """Tables by name, `[key.name]`, taken as written."""
        value = self._value(key, {}, TABLE, f"[{key}.<name>] tables") or {}
        for name, item in value.items():
            if not isinstance(item, dict):
                self.problem(f"{key}.{name}", f"is {item!r}; a table is accepted")
        return {name: dict(item) for name, item in value.items() if isinstance(item, dict)}

    def _value(self, key: str, default: Any, kind: Any, accepted: str = "") -> Any:
        """What is written, decoded; the default where nothing is or what is does not fit."""
        self._asked.add(key)
        accepted = accepted or describe(kind)
        if key not in self._data:
            if default is None:
                self.problem(key, f"missing; {accepted} is needed")
            return default
        value = decode(kind, self._data[key], key, [])
        if value is INVALID:
            self.problem(key, f"is {quoted(self._data[key])}; {accepted} is accepted")
            return default
        return value


def _inside(value: float, lowest: float | None, above: float | None) -> bool:
    # TOML's whole numbers have 64 bits; Python would read longer ones, that no float can hold.
    finite = abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)
    return finite and (lowest is None or value >= lowest) and (above is None or value > above)

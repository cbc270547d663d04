"""Evidence: what was measured on a model, as plain frozen data.

Nothing here holds a tensor, a model or HTML: what is kept can be read in two years without torch.
Numbers are finite or missing (`None`); NaN and infinity become missing when a record is made, so
that no later step can mistake them for a value.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from governance.errors import AnalysisError

__all__ = [
    "LONGEST_TEXTS",
    "MOST_CELLS",
    "MOST_PRINTED",
    "Cell",
    "Evidence",
    "Failure",
    "Figure",
    "Interval",
    "Measurement",
    "Metric",
    "Table",
]


FILE_NAME = re.compile(r"[a-z][a-z0-9_]*")
INT64_MAX = 2**63 - 1

#: Columns of a table that fit on a page.
MOST_PRINTED = 12
#: Cells of a table, and of all tables of an assessment that is read.
MOST_CELLS = 2_000_000
#: Bytes of all texts of a table, in UTF-8.
LONGEST_TEXTS = 64 * 2**20

Cell = bool | int | float | str | None


def plain(value: object) -> Cell:
    """A cell as JSON and Parquet can hold it: numpy scalars unwrapped, non-finite numbers missing.

    Raises:
        AnalysisError: For anything that is not a bool, number, string or None.
    """
    try:
        item = value.item() if hasattr(value, "item") else value
    except (ValueError, RuntimeError):  # an array or a tensor of several numbers
        item = value
    if item is None or isinstance(item, bool | int | str):
        return item
    if isinstance(item, float):
        return item if math.isfinite(item) else None
    raise AnalysisError(
        f"a record holds {type(value).__name__} {value!r}; accepted are bool, int, float, str, None"
    )


def number(value: object) -> float | None:
    """A metric's value: finite, or None.

    Raises:
        AnalysisError: For anything that is not a number.
    """
    item = plain(value)
    if isinstance(item, str):
        raise AnalysisError(f"a metric holds the text {item!r}; a number or None is accepted")
    return None if item is None else float(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided confidence interval with the number of observations behind it.

    Its ends are finite: where nothing bounds a metric, the metric has no interval.
    """

    low: float
    high: float
    n: int
    level: float = 0.95
    method: str = "Wilson"

    def __post_init__(self) -> None:
        low, high, n = number(self.low), number(self.high), plain(self.n)
        if low is None or high is None or low > high or not isinstance(n, int):
            raise AnalysisError(
                f"interval from {self.low} to {self.high} of {self.n} observations; finite ends in "
                "ascending order and a whole number are accepted"
            )
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        object.__setattr__(self, "n", n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a number of an analysis means; declared beside the analysis, checked in policies.

    Attributes:
        meaning: One sentence for someone who reads a policy or a report.
        better: Which way is better, so that a threshold the wrong way round is noticed.
        lowest: Smallest value that can occur; None where there is no bound.
        highest: Largest value that can occur; None where there is no bound.
        per_class: Whether the number rests on every class having enough images.
        tolerance: Largest difference, absolute or as a share of the larger value, between two
            measurements of the same model on the same images on different machines.
    """

    meaning: str
    better: Literal["higher", "lower"]
    lowest: float | None = 0.0
    highest: float | None = 1.0
    per_class: bool = False
    tolerance: float = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture in PNG, its caption, and what is seen in it (empty in earlier records)."""

    name: str
    caption: str
    image: bytes
    seen: str = ""

    @property
    def alternative(self) -> str:
        """The text that takes the place of the picture."""
        return self.seen or self.caption


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of plain cells under named columns.

    Attributes:
        caption: What a row is, with n and the kind of interval.
        columns: Names, unique, at least one.
        rows: Cells in the order of the columns; a column holds texts, truth values or numbers, or
            None. Whole numbers beside fractions become fractions, as Parquet would make them.
        shown: Number of rows that the report prints; None for all. All rows are kept as evidence.
        printed: Names of the columns that the report prints, in that order, at most twelve. By
            default all of them; a table of more columns has to choose. All are kept as evidence.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    shown: int | None = None
    printed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise AnalysisError(
                f"table {self.name}: columns {self.columns}; at least one, each of its own name, "
                "are accepted"
            )
        if len(self.rows) * len(self.columns) > MOST_CELLS:
            raise AnalysisError(
                f"table {self.name}: {len(self.rows)} rows of {len(self.columns)} columns; at most "
                f"{MOST_CELLS} cells are accepted"
            )
        object.__setattr__(self, "printed", self._printed())
        rows = tuple(tuple(plain(cell) for cell in row) for row in self.rows)
        for index, row in enumerate(rows):
            if len(row) != len(self.columns):
                raise AnalysisError(
                    f"table {self.name}, row {index}: {len(row)} cells for "
                    f"{len(self.columns)} columns"
                )
        cells = [
            _column(f"table {self.name}, column {name!r}", [row[place] for row in rows])
            for place, name in enumerate(self.columns)
        ]
        object.__setattr__(self, "rows", tuple(zip(*cells, strict=True)))

    def _printed(self) -> tuple[str, ...]:
        printed = self.printed or self.columns
        unknown = [name for name in printed if name not in self.columns]
        if unknown or len(set(printed)) != len(printed):
            raise AnalysisError(
                f"table {self.name}: prints {', '.join(printed)}; each at most once of "
                f"{', '.join(self.columns)} is accepted"
            )
        if len(printed) > MOST_PRINTED:
            raise AnalysisError(
                f"table {self.name}: prints {len(printed)} columns; `printed` that names at most "
                f"{MOST_PRINTED} of {', '.join(self.columns)} is accepted"
            )
        return printed


def _check_texts(where: str, texts: Sequence[str]) -> None:
    try:
        size = len("".join(texts).encode())
    except UnicodeEncodeError as error:
        raise AnalysisError(
            f"{where}: holds a text that is no Unicode (a lone surrogate)"
        ) from error
    if size > LONGEST_TEXTS:
        raise AnalysisError(f"{where}: texts of {size} bytes; {LONGEST_TEXTS} are accepted")


def _column(where: str, cells: list[Cell]) -> list[Cell]:
    """Cells as a Parquet column will give them back: of one type, whole numbers of 64 bits."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {int, float}:
        return [None if cell is None else float(cell) for cell in cells]
    if len(kinds) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise AnalysisError(f"{where}: mixes {names}; one type is accepted")
    if kinds == {str}:
        _check_texts(where, [cell for cell in cells if isinstance(cell, str)])
    if kinds == {int} and any(abs(cell) > INT64_MAX for cell in cells if isinstance(cell, int)):
        raise AnalysisError(f"{where}: holds a whole number beyond 64 bits; write it as a text")
    return cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What an analysis found: numbers, and the figures and tables behind them.

    Attributes:
        metrics: Value by name, without the analysis' prefix; missing values are None.
        intervals: The interval of a metric, under the same name.
        figures: Pictures for the report.
        tables: Rows for the report and for later use.
        notes: Sentences the report must print beside the numbers (what was sampled, which path was
            taken, where a baseline did as well).
        unanswered: What the analysis set out to answer and could not, a sentence each; the report's
            first page says it under what was not assessed.
        withdrawn: Why this must not be relied on, such as a failed self-test; empty where it may.
            The numbers are kept to be looked at, and count as missing wherever one is asked for.
    """

    metrics: Mapping[str, float | None]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(reason.strip() for reason in self.withdrawn):
            raise AnalysisError("withdrawn for an empty reason; a sentence is accepted")
        stray = sorted(set(self.intervals) - set(self.metrics))
        if stray:
            raise AnalysisError(f"intervals without a metric of that name: {', '.join(stray)}")
        names = [figure.name for figure in self.figures] + [table.name for table in self.tables]
        if len(set(names)) != len(names):
            raise AnalysisError(f"figures and tables repeat a name: {sorted(names)}")
        for name in names:
            if not FILE_NAME.fullmatch(name):
                raise AnalysisError(
                    f"figure or table {name!r}: names become files; small letters, digits and _ "
                    "are accepted"
                )
        metrics = {name: number(value) for name, value in sorted(self.metrics.items())}
        object.__setattr__(self, "metrics", MappingProxyType(metrics))
        intervals = dict(sorted(self.intervals.items()))
        object.__setattr__(self, "intervals", MappingProxyType(intervals))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an analysis has no measurement: the kind of error and its message."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A measurement, or the failure to make one, with how it came about.

    Attributes:
        analysis: Name of the analysis: file, policy table, metric prefix, artifact folder.
        about: The analysis' own description (its docstring), printed by the report.
        parameters: As used, defaults included.
        seed: Of every random choice in it.
        seconds: Wall clock.
        device: Where it ran, such as `cpu` or `cuda:0 (name)`.
        measurement: What was found; None if it failed.
        failure: Why nothing was found; None if it succeeded.
        covers: Keys of the topics (`records.topics`) that the analysis assesses.
    """

    analysis: str
    about: str
    parameters: Mapping[str, Any]
    seed: int
    seconds: float
    device: str
    measurement: Measurement | None = None
    failure: Failure | None = None
    covers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.measurement is None) == (self.failure is None):
            raise AnalysisError(
                f"evidence of {self.analysis} needs either a measurement or a failure"
            )
        parameters = {name: _listed(value) for name, value in self.parameters.items()}
        object.__setattr__(self, "parameters", MappingProxyType(parameters))


def _listed(value: Any) -> Any:
    # Lists, as JSON will give them back, so that a record read equals the record written.
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value

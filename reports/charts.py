"""Charts: figures of the report in SVG, drawn from the tables of a record.

A chart is as wide as it is printed: one unit is one point, so that its letters keep their 8 points.
Its `title` says what is to be seen. Colour only repeats what a shape or a word says already.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from governance.records.numbers import MINUS
from reports.amounts import NARROW
from reports.prose import printable

__all__ = ["Axis", "Dot", "Line", "Mark", "curve", "dots", "lines", "unit_axis"]

INK, SOFT, RULE, BAND = "#1c2127", "#57606a", "#d0d6dc", "#e4e8ec"
TONES = {"met": "#17633a", "unmet": "#a1221c", "open": "#8a5200", "": INK}
LETTER = 4.5  # points that a letter of 8 points takes on average
TYPE = 8
ROW = 13.2
TOP, BOTTOM, SIDE = 16.0, 30.0, 10.0
LONGEST_LABEL = 34
CURVE = 74.0  # points from the foot of a curve to its top
MOST_TICKS = 7

State = Literal["met", "unmet", "open", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A scale: its ends, its ticks with their texts, and what it measures."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A value that a reader holds the others against: a bound or a control.

    Attributes:
        text: Its name, such as "at least 80 %".
        side: Which side of it is permitted; None for a control.
    """

    value: float
    text: str
    side: Literal["above", "below"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A row: a value with its interval, the value of the version before as a ring, and texts."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    before: float | None = None
    state: State = ""
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line over named places, with the text at its end; dashed or dotted for a comparison."""

    text: str
    values: tuple[float | None, ...]
    state: State = ""
    dash: Literal["", "4 3", "1 2"] = ""
    square: bool = False


def unit_axis(
    values: Iterable[float | None], title: str, *, percent: bool = True, whole: bool = False
) -> Axis:
    """A scale that holds all values: shares up to 100 %, other numbers to round ends.

    Args:
        values: All that is drawn; None is left out.
        title: What is measured.
        percent: Whether the values are shares.
        whole: Whether a scale of shares starts at 0.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    least, most = min(known, default=0.0), max(known, default=1.0)
    if percent and least >= 0 and most <= 1:
        first = 0 if whole else max(0, math.floor(round(100 * least - 10, 6) / 10) * 10)
        gap = 10 if 100 - first <= 10 * MOST_TICKS else 20
        ticks = [tick for tick in range(first, 101) if (100 - tick) % gap == 0]
        shown = tuple((tick / 100, f"{tick}{NARROW}%") for tick in ticks)
        return Axis(low=first / 100, high=1.0, ticks=shown, title=title)
    least, most = min(0.0, least), max(0.0, most)
    step = _step((most - least) or 1.0)
    low, high = math.floor(least / step + 1e-9) * step, math.ceil(most / step - 1e-9) * step
    high = high if high > low else low + step
    count = round((high - low) / step)
    shown = tuple(
        (low + i * step, _text(low + i * step, percent=percent)) for i in range(count + 1)
    )
    return Axis(low=low, high=high, ticks=shown, title=title)


def _step(span: float) -> float:
    size = 10.0 ** math.floor(math.log10(span / MOST_TICKS))
    steps = (size * times for times in (1.0, 2.0, 5.0, 10.0))
    return next(step for step in steps if span / step <= MOST_TICKS - 1)


def _text(value: float, *, percent: bool) -> str:
    shown = f"{round(100 * value if percent else value, 6):g}".replace("-", MINUS)
    return f"{shown}{NARROW}%" if percent else shown


def dots(
    rows: Sequence[Dot],
    axis: Axis,
    *,
    width: int,
    title: str,
    mark: Mark | None = None,
    heads: Sequence[str] = (),
) -> Markup:
    """A value a row with its interval; a band and a line show the bound.

    Args:
        rows: From top to bottom.
        axis: The scale.
        width: Points across.
        title: What is to be seen.
        mark: The bound or control, drawn through all rows.
        heads: What stands above the texts at the right of each row.
    """
    left = min(LONGEST_LABEL, max((len(row.label) for row in rows), default=0)) * LETTER + SIDE
    columns = _columns(rows, heads, width)
    right = (
        columns[0] - max(len(row.cells[0]) for row in rows) * LETTER if columns else width
    ) - 14
    place = _Place(axis.low, axis.high, left, right)
    foot = TOP + ROW * len(rows)
    parts = _scale(axis, place, left, right, foot)
    if mark is not None:
        parts[:0] = _mark(mark, axis, place, foot, right)
    parts += [
        _words(x, TOP - 6, head, anchor="end") for x, head in zip(columns, heads, strict=True)
    ]
    for index, row in enumerate(rows):
        y = TOP + ROW * (index + 0.5)
        parts.append(_words(left - 6, y + 2.8, row.label, anchor="end", longest=LONGEST_LABEL))
        parts += _dot(row, place, y)
        parts += [
            _words(x, y + 2.8, text, anchor="end", tone=TONES[row.state])
            for x, text in zip(columns, row.cells, strict=True)
        ]
    return _svg(width, foot + BOTTOM, title, parts)


def _columns(rows: Sequence[Dot], heads: Sequence[str], width: float) -> list[float]:
    """Right ends of the columns of text, from left to right."""
    ends: list[float] = []
    right = float(width)
    for index in reversed(range(len(heads))):
        ends.insert(0, right)
        longest = max(len(heads[index]), *(len(row.cells[index]) for row in rows))
        right -= longest * LETTER + 8
    return ends


def _dot(row: Dot, place: "_Place", y: float) -> list[str]:
    tone, parts = TONES[row.state], []
    if row.before is not None:
        parts.append(
            f'<circle cx="{place(row.before)}" cy="{y:.1f}" r="3.4" fill="none" stroke="{SOFT}" '
            'stroke-width="1.2"/>'
        )
    if row.low is not None and row.high is not None:
        low, high = place(row.low), place(row.high)
        parts.append(
            f'<path d="M{low} {y:.1f}H{high}M{low} {y - 3:.1f}v6M{high} {y - 3:.1f}v6" fill="none" '
            f'stroke="{tone}" stroke-width="1.3"/>'
        )
    if row.value is None:
        parts.append(_words(place.start + 4, y + 2.8, "not measured", tone=TONES["open"]))
    else:
        parts.append(_point(float(place(row.value)), y, tone, square=row.state == "unmet"))
    return parts


def _point(x: float, y: float, tone: str, *, square: bool) -> str:
    if not square:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.9" fill="{tone}"/>'
    return f'<rect x="{x - 3.2:.1f}" y="{y - 3.2:.1f}" width="6.4" height="6.4" fill="{tone}"/>'


def lines(
    places: Sequence[str],
    drawn: Sequence[Line],
    axis: Axis,
    *,
    across: str,
    width: int,
    title: str,
    height: int = 92,
) -> Markup:
    """Lines over named places, each named at its end.

    Args:
        places: Names from left to right, such as layers.
        drawn: The lines.
        axis: The scale upwards.
        across: What the places are.
        width: Points across.
        title: What is to be seen.
        height: Points from the lowest to the highest tick.
    """
    longest = max((len(text) for _, text in axis.ticks), default=0)
    left, right = longest * LETTER + 8, width - max(len(line.text) for line in drawn) * LETTER - 8
    foot = TOP + height
    up = _Place(axis.low, axis.high, foot, TOP)
    gap = (right - left - 12) / max(1, len(places) - 1)
    xs = [left + 6 + gap * index for index in range(len(places))]
    parts = [_words(0, 8, axis.title)]
    for value, text in axis.ticks:
        parts.append(f'<path d="M{left:.1f} {up(value)}H{right:.1f}" stroke="{RULE}"/>')
        parts.append(_words(left - 4, float(up(value)) + 2.8, text, anchor="end"))
    letters = max(3, int(gap / LETTER))
    parts += [
        _words(x, foot + 11 + 9 * row, line, anchor="middle", longest=letters)
        for x, name in zip(xs, places, strict=True)
        for row, line in enumerate(_two_lines(name, letters))
    ]
    parts.append(_words((left + right) / 2, foot + 32, across, anchor="middle"))
    ends = _apart([float(up(_last(line.values))) for line in drawn], TYPE + 2)
    for line, end in zip(drawn, ends, strict=True):
        parts += _drawn(line, xs, up)
        parts.append(_words(right + 4, end + 2.8, line.text, tone=TONES[line.state]))
    return _svg(width, foot + BOTTOM + 9, title, parts)


def _two_lines(name: str, letters: int) -> list[str]:
    """A name in as many lines as it needs, at most two, broken between words."""
    first, space, rest = name.partition(" ")
    return [name] if len(name) <= letters or not space else [first, rest]


def _drawn(line: Line, xs: Sequence[float], up: "_Place") -> list[str]:
    known = [(x, float(up(y))) for x, y in zip(xs, line.values, strict=True) if y is not None]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in known)
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    tone = TONES[line.state] if not line.dash else SOFT
    parts = [f'<path d="M{path}" fill="none" stroke="{tone}" stroke-width="1.4"{dash}/>']
    if not line.dash:
        parts += [_point(x, y, tone, square=line.square) for x, y in known]
    return parts


def _last(values: Sequence[float | None]) -> float:
    return next((value for value in reversed(values) if value is not None), 0.0)


def _apart(wanted: Sequence[float], least: float) -> list[float]:
    """Heights as wanted, moved down where they stand closer than the least."""
    found, floor = [0.0] * len(wanted), -math.inf
    for index in sorted(range(len(wanted)), key=wanted.__getitem__):
        floor = max(wanted[index], floor + least)
        found[index] = floor
    return found


def curve(
    points: Sequence[tuple[float, float, float | None, float | None]],
    *,
    across: str,
    up: str,
    width: int,
    title: str,
) -> Markup:
    """Shares against shares with their intervals, and the line on which both are equal.

    Args:
        points: x, y and the ends of the interval of y, each from 0 to 1.
        across: What x is.
        up: What y is.
        width: Points across.
        title: What is to be seen.
    """
    axis = unit_axis([value for x, y, _, _ in points for value in (x, y)], up)
    left, foot = 5 * LETTER + 8, TOP + CURVE
    xs = _Place(axis.low, axis.high, left, width - 14.0)
    ys = _Place(axis.low, axis.high, foot, TOP)
    parts = [_words(0, 8, up)]
    for value, text in axis.ticks:
        parts.append(f'<path d="M{left:.1f} {ys(value)}H{width - 14}" stroke="{RULE}"/>')
        parts.append(_words(left - 4, float(ys(value)) + 2.8, text, anchor="end"))
        parts.append(_words(float(xs(value)), foot + 12, text, anchor="middle"))
    parts.append(_words((left + width) / 2, foot + 24, across, anchor="middle"))
    parts.append(
        f'<path d="M{xs(axis.low)} {foot}L{xs(axis.high)} {TOP}" stroke="{SOFT}" '
        'stroke-dasharray="1 2"/>'
    )
    for x, y, low, high in points:
        if low is not None and high is not None:
            parts.append(f'<path d="M{xs(x)} {ys(low)}V{ys(high)}" stroke="{INK}"/>')
        parts.append(_point(float(xs(x)), float(ys(y)), INK, square=False))
    return _svg(width, foot + BOTTOM, title, parts)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands between two ends of the paper, as text for a path."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> str:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return f"{self.start + share * (self.end - self.start):.1f}"


def _scale(axis: Axis, place: _Place, left: float, right: float, foot: float) -> list[str]:
    parts = [f'<path d="M{left:.1f} {foot:.1f}H{right:.1f}" stroke="{SOFT}" stroke-width="0.7"/>']
    for value, text in axis.ticks:
        parts.append(f'<path d="M{place(value)} {foot:.1f}v3" stroke="{SOFT}" stroke-width="0.7"/>')
        parts.append(_words(float(place(value)), foot + 12, text, anchor="middle"))
    parts.append(_words((left + right) / 2, foot + 24, axis.title, anchor="middle"))
    return parts


def _mark(mark: Mark, axis: Axis, place: _Place, foot: float, width: float) -> list[str]:
    x, parts = float(place(mark.value)), []
    if mark.side is not None:
        end = float(place(axis.high if mark.side == "above" else axis.low))
        parts.append(
            f'<rect x="{min(x, end):.1f}" y="{TOP:.1f}" width="{abs(end - x):.1f}" '
            f'height="{foot - TOP:.1f}" fill="{BAND}"/>'
        )
    dash = "" if mark.side else ' stroke-dasharray="3 2"'
    parts.append(
        f'<path d="M{x:.1f} {TOP - 3:.1f}V{foot:.1f}" stroke="{INK}" stroke-width="1.3"{dash}/>'
    )
    half = len(mark.text) * LETTER / 2
    middle = min(max(x, half), width - half)
    parts.append(_words(middle, TOP - 6, mark.text, anchor="middle", tone=INK, bold=True))
    return parts


def _words(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    tone: str = SOFT,
    bold: bool = False,
    longest: int | None = None,
) -> str:
    flat = " ".join(printable(text).split())
    if longest is not None and len(flat) > longest:
        flat = f"{flat[: longest - 1]}…"
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{TYPE}" text-anchor="{anchor}" fill="{tone}"'
        f"{weight}>{escape(flat)}</text>"
    )


def _svg(width: float, height: float, title: str, parts: Iterable[str]) -> Markup:
    # Every text in it was escaped where it was written.
    return Markup(  # noqa: S704
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
        f'width="{width}pt" height="{height:.0f}pt" role="img" font-family="Plex Sans">'
        f"<title>{escape(printable(title))}</title>{''.join(parts)}</svg>"
    )

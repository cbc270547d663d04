"""Scales: where a value, its interval, its bound and the baseline stand on a line.

One unit is a point of print, so that text within a drawing keeps its size. The geometry is worked
out here, and one macro of the templates draws it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.amounts import amount, bound
from reports.findings import FindingText
from reports.metric_texts import metric_texts

__all__ = [
    "Arrow", "Mark", "Scale", "Text", "arrow", "card_scale", "cell_scale", "lowest_share",
    "tile_scale",
]  # fmt: skip

#: Width of a drawing in points, by where it stands.
CARD, TILE, CELL = 450.0, 138.0, 190.0
#: Largest number of ticks, by width.
TICKS = {CARD: 7, TILE: 2, CELL: 5}
MARGIN = 10.0
#: Width of a letter of 8 points, on average.
LETTER = 4.3
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
#: Room that an "at most" scale leaves above its bound.
ROOM = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A word beside a mark: its place, and which of its ends stands there."""

    x: float
    words: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The measured value on a scale: its place, its shape and the ends of its interval."""

    x: float
    met: bool
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A line with a permitted range and what was measured.

    Attributes:
        width: Width in points.
        title: What is seen, for readers who do not see it.
        tone: Colour of the value: `met`, `unmet` or `open`.
        ticks: Labels below the line.
        band: Left and right end of the permitted range.
        at: Place of the bound.
        limit: The words of the bound.
        mark: The value; None where nothing was measured.
        baseline: What the version before had; None where it is not known.
        below: Words below the axis, in the colour of the value; may be None.
        absent: Words in the place of a value that is not there; empty where there is one.
    """

    width: float
    title: str
    tone: str
    ticks: tuple[Text, ...]
    band: tuple[float, float]
    at: float
    limit: Text
    mark: Mark | None
    baseline: Text | None
    below: Text | None
    absent: str

    @property
    def left(self) -> float:
        """Where the line begins."""
        return MARGIN

    @property
    def right(self) -> float:
        """Where the line ends."""
        return self.width - MARGIN

    @property
    def middle(self) -> Text:
        """The words in the place of a value, in the wider part beside the bound."""
        after = self.right - self.at > self.at - self.left
        centre = (self.at + self.right) / 2 if after else (self.at + self.left) / 2
        return Text(x=round(centre, 1), words=self.absent)


def card_scale(item: FindingText, before: float | None = None, who: str = "") -> Scale:
    """The scale of a card, as wide as the card.

    Args:
        item: The finding.
        before: Value of the baseline, as recorded.
        who: Name of the baseline, such as "version 1".
    """
    return _scale(item, CARD, before, who)


def cell_scale(item: FindingText, before: float | None = None) -> Scale:
    """The scale in a cell of a table, or on a phone.

    Args:
        item: The finding.
        before: Value of the baseline, as recorded.
    """
    return _scale(item, CELL, before, "")


def tile_scale(item: FindingText, lowest: float, before: float | None = None) -> Scale:
    """The scale of a tile, from a share that all tiles of the page have in common to 100 %.

    Args:
        item: The finding.
        lowest: Share at which the line begins.
        before: Value of the baseline, as recorded.
    """
    ends = (lowest, 1.0) if metric_texts(item.metric).unit == "percent" else None
    return _scale(item, TILE, before, "", ends)


def lowest_share(values: Sequence[float | None]) -> float:
    """The largest multiple of a tenth that leaves a tenth below the lowest of some shares."""
    least = min((item for item in values if item is not None), default=1.0)
    return max(0.0, math.floor(round(10 * (least - 0.1), 6)) / 10)


def _scale(
    item: FindingText,
    width: float,
    before: float | None,
    who: str,
    ends: tuple[float, float] | None = None,
) -> Scale:
    record, unit = item.record, metric_texts(item.metric).unit
    interval, expectation = record.interval, record.expectation
    limit = expectation.at_most if expectation.at_least is None else expectation.at_least
    limit = 0.0 if limit is None else limit
    found = [record.observed, before]
    found += [] if interval is None else [interval.low, interval.high]
    marks = [limit, *(value for value in found if value is not None)]
    low, high = ends or _range(marks, limit, unit, at_least=expectation.at_least is not None)
    step = _step(low, high, TICKS[width]) if width != TILE else high - low

    def place(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return round(MARGIN + share * (width - 2 * MARGIN), 1)

    edge = place(limit)
    right = (edge, width - MARGIN) if expectation.at_least is not None else (MARGIN, edge)
    mark = None
    if record.observed is not None:
        mark = Mark(
            x=place(record.observed),
            met=item.outcome == "met",
            low=None if interval is None else place(interval.low),
            high=None if interval is None else place(interval.high),
        )
    told = _label(edge, item.requirement, width)
    ticks = _ticks(low, high, step, unit, place)
    return Scale(
        width=width,
        title=_title(item, before, who, unit),
        tone={"met": "met", "unmet": "unmet"}.get(item.outcome, "open"),
        ticks=ticks,
        band=right,
        at=edge,
        limit=told,
        mark=mark,
        baseline=_baseline(before, who, unit, place, told, width),
        below=_below(item, mark, width) if width == CARD else None,
        absent="" if record.observed is not None else item.word,
    )


def _range(marks: list[float], limit: float, unit: str, *, at_least: bool) -> tuple[float, float]:
    """The values at which the line begins and ends, as recorded."""
    least, most = min(marks), max(marks)
    if at_least and unit == "percent":
        return lowest_share(marks), 1.0
    if at_least:
        spread = max(most - least, abs(limit) / 2, 1e-9)
        return _round(least - spread / 4, spread, down=True), _round(most + spread / 4, spread)
    top = max(most, ROOM * limit)
    spread = max(top - min(least, 0.0), 1e-9)
    high = _round(top, spread) if top > 0 else 1.0
    if unit == "percent":
        high = min(1.0, high)
    return (_round(least, spread, down=True) if least < 0 else 0.0), high


def _round(value: float, spread: float, *, down: bool = False) -> float:
    """A value rounded outward to a tick that suits the spread."""
    step = _step(0.0, spread, 5)
    whole = math.floor(value / step + 1e-9) if down else math.ceil(value / step - 1e-9)
    return whole * step


def _step(low: float, high: float, most: int) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that needs at most so many ticks."""
    size: float = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = [size * item for item in STEPS]
    return next((step for step in steps if (high - low) / step <= most - 1 + 1e-9), 10 * size)


def _ticks(low: float, high: float, step: float, unit: str, place) -> tuple[Text, ...]:  # type: ignore[no-untyped-def]  # noqa: ANN001 - a local function
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [low, high] if last - first < 1 else [step * item for item in range(first, last + 1)]
    return tuple(
        Text(
            x=place(value),
            words=bound(float(f"{value:.10g}"), unit).replace("\N{NO-BREAK SPACE}points", "")
            if unit != "flag"
            else f"{value:g}",
            anchor="middle",
        )
        for value in values
    )


def _label(x: float, words: str, width: float) -> Text:
    """Words centred on a place, or against the edge where they would pass it."""
    half = LETTER * len(words) / 2
    if x - half < 0:
        return Text(x=0.0, words=words, anchor="start")
    if x + half > width:
        return Text(x=width, words=words, anchor="end")
    return Text(x=x, words=words)


def _baseline(  # type: ignore[no-untyped-def]
    before: float | None,
    who: str,
    unit: str,
    place,  # noqa: ANN001 - a local function
    limit: Text,
    width: float,
) -> Text | None:
    """The ring of the baseline; its words only where those of the bound leave room."""
    if before is None:
        return None
    x = place(before)
    words = f"{who}: {amount(before, unit)}" if who else ""
    label = _label(x, words, width)
    reach = LETTER * (len(words) + len(limit.words)) / 2 + 6
    centres = [_centre(item, width) for item in (label, limit)]
    if words and abs(centres[0] - centres[1]) < reach:
        words = ""
    return Text(x=x, words=words, anchor=label.anchor)


def _centre(text: Text, width: float) -> float:
    half = LETTER * len(text.words) / 2
    return {"start": half, "end": width - half}.get(text.anchor, text.x)


def _below(item: FindingText, mark: Mark | None, width: float) -> Text | None:
    if mark is None:
        return None
    words = f"{item.value}, interval {item.interval}" if item.interval else item.value
    return _label(mark.x, words, width)


def _title(item: FindingText, before: float | None, who: str, unit: str) -> str:
    parts = [f"{item.name}: {item.value}"]
    if item.interval:
        parts.append(f"interval {item.interval}")
    parts.append(f"required {item.requirement}")
    if before is not None:
        parts.append(f"{who or 'the version before'} had {amount(before, unit)}")
    return f"{', '.join(parts)}; {item.word}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """The line of a change, from the baseline to this version.

    Attributes:
        width: Width in points.
        title: What is seen, for readers who do not see it.
        ticks: Labels of the two ends of the line.
        old: Place of the baseline; None where there is nothing to compare with.
        new: Place of this version.
        names: Words above the two places.
    """

    width: float
    title: str
    ticks: tuple[Text, ...] = ()
    old: float | None = None
    new: float | None = None
    names: tuple[Text, ...] = ()

    @property
    def right(self) -> float:
        """Where the line ends."""
        return self.width - MARGIN


def arrow(
    old: float | None, new: float | None, lowest: float, names: tuple[str, str] = ("", "")
) -> Arrow:
    """The line of a change of a share, on the scale of the tiles.

    Args:
        old: Share of the baseline; None where there is none.
        new: Share of this version.
        lowest: Share at which the line begins.
        names: Words above the baseline and above this version.
    """
    if old is None or new is None:
        return Arrow(width=TILE, title="No version to compare with")
    start = min(lowest, lowest_share([old, new]))

    def place(value: float) -> float:
        return round(MARGIN + (value - start) / (1 - start) * (TILE - 2 * MARGIN), 1)

    return Arrow(
        width=TILE,
        title=f"From {amount(old, 'percent')} in the version before to {amount(new, 'percent')}",
        ticks=(
            Text(x=MARGIN, words=bound(start, "percent")),
            Text(x=TILE - MARGIN, words=bound(1.0, "percent")),
        ),
        old=place(old),
        new=place(new),
        names=_apart(place(old), place(new), names),
    )


def _apart(old: float, new: float, names: tuple[str, str]) -> tuple[Text, ...]:
    """The words above two places, the left ones ending and the right ones beginning there."""
    left, right = ("end", "start") if old < new else ("start", "end")
    texts = []
    for x, words, anchor in ((old, names[0], left), (new, names[1], right)):
        reach = LETTER * len(words)
        if anchor == "end" and x - reach < 0:
            texts.append(Text(x=0.0, words=words, anchor="start"))
        elif anchor == "start" and x + reach > TILE:
            texts.append(Text(x=TILE, words=words, anchor="end"))
        else:
            texts.append(Text(x=x, words=words, anchor=anchor))
    spans = sorted(_reach(item) for item in texts)
    return tuple(texts) if spans[0][1] + 4 < spans[1][0] else ()


def _reach(text: Text) -> tuple[float, float]:
    width = LETTER * len(text.words)
    start = {"start": text.x, "end": text.x - width}.get(text.anchor, text.x - width / 2)
    return start, start + width

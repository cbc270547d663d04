"""Reproduction: a measurement made again, held against the one on record.

On the same stack (versions, processor and threads) the same seed gives the same bits, and whatever
differs is named. On another stack float32 sums are rounded in another order. There the metrics and
the ends of their intervals are compared, each within the tolerance that its analysis declares.
"""

import math
from collections.abc import Callable, Iterator, Mapping

from governance.records.evidence import Evidence, Interval, Measurement, Metric, Table
from governance.records.policy import declared

__all__ = ["UNDECLARED", "differences", "stack_differences"]

#: What is compared of a metric that its analysis does not declare.
UNDECLARED = Metric(meaning="Not declared.", better="higher")

#: Entries of an environment on which no number depends: the release of the kernel, and the digest
#: of all packages, of which those that numbers depend on stand beside it.
IRRELEVANT = frozenset({"system", "packages"})


def stack_differences(
    recorded: Mapping[str, str], here: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Where two environments differ in something that numbers may depend on: (recorded, here)."""
    names = sorted({*recorded, *here} - IRRELEVANT)
    pairs = {name: (recorded.get(name, "not recorded"), here.get(name, "none")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def differences(
    recorded: Evidence, again: Evidence, metrics: Mapping[str, Metric] | None
) -> tuple[str, ...]:
    """How evidence made again differs from the evidence on record, one sentence each.

    Args:
        recorded: Evidence of one analysis, as recorded.
        again: Evidence of the same analysis, made again with the recorded parameters and seed.
        metrics: What the analysis declares to measure, to compare within its tolerances; None to
            compare bit for bit.
    """
    where = recorded.analysis
    if recorded.measurement is None or again.measurement is None:
        pair = [_outcome(item) for item in (recorded, again)]
        return () if pair[0] == pair[1] else (f"{where}: {pair[0]} on record and {pair[1]} here",)
    before, now = recorded.measurement, again.measurement
    same = _same_bits if metrics is None else _within(metrics)
    found = [*_unlike_numbers(before, now, same), *_unlike_doubts(before, now)]
    if metrics is None:
        found += _unlike_rest(before, now)
        if recorded.about != again.about:
            found.append("its description is another one than that of the installed analysis")
    return tuple(f"{where}: {text}" for text in found)


def _outcome(evidence: Evidence) -> str:
    return "measured" if evidence.failure is None else f"failed ({evidence.failure.kind})"


#: Whether two values of the metric of this name are the same.
Same = Callable[[str, float, float], bool]


def _same_bits(_name: str, before: float, now: float) -> bool:
    return before == now


def _within(metrics: Mapping[str, Metric]) -> Same:
    def same(name: str, before: float, now: float) -> bool:
        tolerance = (declared(name, metrics) or UNDECLARED).tolerance
        return math.isclose(before, now, rel_tol=tolerance, abs_tol=tolerance)

    return same


def _unlike_numbers(before: Measurement, now: Measurement, same: Same) -> Iterator[str]:
    for name in sorted({*before.metrics, *now.metrics}):
        old, new = (found.metrics.get(name) for found in (before, now))
        if not (old is new is None) and (old is None or new is None or not same(name, old, new)):
            yield f"{name} is {_text(old)} on record and {_text(new)} here"
            continue
        ends = [_ends(found.intervals.get(name)) for found in (before, now)]
        alike = len(ends[0]) == len(ends[1]) and all(
            same(name, first, second) for first, second in zip(*ends, strict=True)
        )
        if not alike:
            yield f"the interval of {name} is {ends[0]} on record and {ends[1]} here"


def _ends(interval: Interval | None) -> tuple[float, ...]:
    return () if interval is None else (interval.low, interval.high)


def _unlike_doubts(before: Measurement, now: Measurement) -> Iterator[str]:
    """Evidence that may be relied on there and not here, or the other way round."""
    if bool(before.withdrawn) != bool(now.withdrawn):
        pair = ["withdrawn" if found.withdrawn else "relied on" for found in (before, now)]
        yield f"is {pair[0]} on record and {pair[1]} here"


def _unlike_rest(before: Measurement, now: Measurement) -> Iterator[str]:
    """What else a measurement holds, where it must be the same to the bit."""
    for name in ("notes", "unanswered", "withdrawn"):
        if getattr(before, name) != getattr(now, name):
            yield f"its {name} read otherwise here"
    if before.intervals != now.intervals:
        yield "its intervals rest on other numbers of observations, levels or methods here"
    tables = [{table.name: table for table in found.tables} for found in (before, now)]
    for name in sorted({*tables[0], *tables[1]}):
        yield from _unlike_tables(name, tables[0].get(name), tables[1].get(name))
    figures = [{item.name: item for item in found.figures} for found in (before, now)]
    for name in sorted({*figures[0], *figures[1]}):
        if figures[0].get(name) != figures[1].get(name):
            yield f"figure {name} is another picture here, or has another caption"


def _unlike_tables(name: str, before: Table | None, now: Table | None) -> Iterator[str]:
    if before is None or now is None:
        where = "on record" if now is None else "here"
        yield f"table {name} stands only {where}"
        return
    if before.columns != now.columns or len(before.rows) != len(now.rows):
        sizes = [f"{len(table.rows)} rows of {len(table.columns)}" for table in (before, now)]
        yield f"table {name} has {sizes[0]} columns on record and {sizes[1]} here"
        return
    unlike = [
        place
        for place, rows in enumerate(zip(before.rows, now.rows, strict=True))
        if rows[0] != rows[1]
    ]
    if unlike:
        yield f"table {name}: {len(unlike)} of {len(now.rows)} rows differ, first row {unlike[0]}"
    elif before.caption != now.caption:
        yield f"table {name} has another caption here"


def _text(value: float | None) -> str:
    return "missing" if value is None else f"{value:.17g}"

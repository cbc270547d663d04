"""Numbers as a reader may trust them: never rounded to a value that they do not have.

"1" stands only where a value is exactly 1, and "0" only where it is exactly 0; digits are added
until the text says so. Missing values are called missing.
"""

import math

from governance.records.evidence import Cell, Interval

__all__ = ["MISSING", "cell", "count", "difference", "duration", "interval", "moment", "number"]

MISSING = "missing"
MINUS = "\N{MINUS SIGN}"

# Rounding must not reach these, since they are read as "all" and "none".
EXACT = (0.0, 1.0)
# Beyond this many decimals the text says "more than" or "less than".
MOST_DECIMALS = 6
SMALLEST_FIXED = 1e-6
LARGEST_FIXED = 1e15
LONGEST_CELL = 300
SHORT_WAIT = 10


def number(value: float | None, *, apart: tuple[float, ...] = ()) -> str:
    """A value in four digits or so, more where fewer would tell something untrue.

    Args:
        value: None, like anything that is not finite, is missing.
        apart: Values which the text must not reach by rounding, such as the bound of an
            expectation.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    sign = MINUS if value < 0 else ""
    size = abs(value)
    if size == int(size) and size < LARGEST_FIXED:
        return f"{sign}{int(size):,}"
    if not SMALLEST_FIXED <= size < LARGEST_FIXED:
        return f"{sign}{size:.2e}".replace("-", MINUS)
    avoided = {abs(item) for item in (*EXACT, *apart) if abs(item) != size}
    decimals = _decimals(size)
    while decimals < MOST_DECIMALS and round(size, decimals) in avoided:
        decimals += 1
    rounded = round(size, decimals)
    if rounded not in avoided:
        return f"{sign}{size:,.{decimals}f}"
    step = 10**-decimals
    if (rounded > size) == (value > 0):
        return f">{sign}{rounded + (-step if value > 0 else step):,.{decimals}f}"
    return f"<{sign}{rounded + (step if value > 0 else -step):,.{decimals}f}"


def _decimals(size: float) -> int:
    for limit, decimals in ((100, 1), (10, 2), (1, 3)):
        if size >= limit:
            return decimals
    return 4


def count(value: int | None) -> str:
    """A whole number, thousands apart."""
    return MISSING if value is None else f"{value:,}".replace("-", MINUS)


def interval(item: Interval | None, *, n: bool = True) -> str:
    """The two ends of an interval, and the number of observations behind it."""
    if item is None:
        return ""
    ends = f"[{number(item.low)}, {number(item.high)}]"
    return f"{ends}, n={count(item.n)}" if n else ends


def difference(new: float | None, old: float | None) -> str:
    """What was added to the old value, with its sign."""
    if new is None or old is None:
        return MISSING
    text = number(new - old)
    return f"+{text}" if new > old else text


def moment(iso: str) -> str:
    """A time in UTC as ISO 8601 gives it, spaced for a reader."""
    return f"{iso.removesuffix('Z').removesuffix('+00:00').replace('T', ' ')} UTC"


def duration(seconds: float) -> str:
    """Seconds below ten with a decimal, then whole seconds, then minutes."""
    if seconds < SHORT_WAIT:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def cell(value: Cell) -> str:
    """A cell of a table: texts clipped, truth values in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return number(value)
    if value is None:
        return MISSING
    return value if len(value) <= LONGEST_CELL else f"{value[: LONGEST_CELL - 1]}…"

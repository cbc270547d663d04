"""Numbers as a reader may trust them: never rounded to a value that they do not have.

"1" stands only where a value is exactly 1, and "0" only where it is exactly 0; digits are added
until the text says so. Missing values are called missing.
"""

from governance.evidence import Cell, Interval

__all__ = ["MISSING", "cell", "count", "difference", "duration", "interval", "number"]

MISSING = "missing"

# Rounding must not reach these, since they are read as "all" and "none".
EXACT = (0.0, 1.0, -1.0)
# Beyond this many decimals the text says "more than" or "less than".
MOST_DECIMALS = 6
SMALLEST_FIXED = 1e-6
LARGEST_FIXED = 1e15
LONGEST_CELL = 300
SHORT_WAIT = 10


def number(value: float | None, *, apart: tuple[float, ...] = ()) -> str:
    """A value in four digits or so, more where fewer would tell something untrue.

    Args:
        value: Finite, or None where it is missing.
        apart: Values which the text must not reach by rounding, such as the bound of an
            expectation.
    """
    if value is None:
        return MISSING
    if value == int(value) and abs(value) < LARGEST_FIXED:
        return f"{int(value):,}".replace("-", "−")
    if not SMALLEST_FIXED <= abs(value) < LARGEST_FIXED:
        return f"{value:.2e}".replace("-", "−")
    avoided = {abs(item) for item in (*EXACT, *apart) if item != value}
    decimals = _decimals(abs(value))
    while decimals < MOST_DECIMALS and round(abs(value), decimals) in avoided:
        decimals += 1
    rounded = round(abs(value), decimals)
    if rounded in avoided:
        nearer = rounded - 10**-decimals if rounded > abs(value) else rounded + 10**-decimals
        sign = ">" if nearer < abs(value) else "<"
        text = f"{sign}{nearer:,.{decimals}f}"
        return text if value > 0 else f"{'<' if sign == '>' else '>'}−{text[1:]}"
    return f"{'−' if value < 0 else ''}{abs(value):,.{decimals}f}"


def _decimals(size: float) -> int:
    for limit, decimals in ((1000, 1), (100, 1), (10, 2), (1, 3)):
        if size >= limit:
            return decimals
    return 4


def count(value: int | None) -> str:
    """A whole number, thousands apart."""
    return MISSING if value is None else f"{value:,}".replace("-", "−")


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
    return text if text[0] in "−0<>" else f"+{text}"


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

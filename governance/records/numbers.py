"""Numbers as text: never rounded to a value that they do not have.

"1" stands only where a value is exactly 1, and "0" only where it is exactly 0; digits are added
until the text says so. Missing values are called missing. Every number that a person reads (in
reports, notes, captions and messages, on the terminal and on MLflow's pages) is written here.
"""

import math

from governance.records.evidence import Cell, Interval

__all__ = [
    "MISSING",
    "cell",
    "count",
    "difference",
    "duration",
    "interval",
    "moment",
    "number",
    "percent",
    "precise",
    "signed",
    "waiting",
]

MISSING = "missing"
MINUS = "\N{MINUS SIGN}"

# Rounding must not reach these, since they are read as "all" and "none".
EXACT = (0.0, 1.0)
ALL_PERCENT = 100.0
# Beyond this many decimals the text says "more than" or "less than".
MOST_DECIMALS = 6
SMALLEST_FIXED = 1e-6
LARGEST_FIXED = 1e15
LONGEST_CELL = 300
SHORT_WAIT = 10
MINUTE = 60


def number(
    value: float | None, decimals: int | None = None, *, apart: tuple[float | None, ...] = ()
) -> str:
    """A value in four digits or so, more where fewer would tell something untrue.

    Args:
        value: The number; None, NaN and infinity are missing.
        decimals: Decimals to begin with, at most six; by default as many as make four digits.
        apart: Values that the text must not reach by rounding, such as the bound of an
            expectation; None stands for no such value.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    sign = MINUS if value < 0 else ""
    size = abs(float(value))
    if size == int(size) and size < LARGEST_FIXED:
        return f"{sign}{int(size):,}"
    if not SMALLEST_FIXED <= size < LARGEST_FIXED:
        return f"{sign}{size:.2e}".replace("-", MINUS)
    avoided = {abs(item) for item in (*EXACT, *apart) if item is not None and abs(item) != size}
    places = _decimals(size) if decimals is None else decimals
    while places < MOST_DECIMALS and round(size, places) in avoided:
        places += 1
    rounded = round(size, places)
    if rounded not in avoided:
        return f"{sign}{size:,.{places}f}"
    step = 10**-places
    if (rounded > size) == (value > 0):
        return f">{sign}{rounded + (-step if value > 0 else step):,.{places}f}"
    return f"<{sign}{rounded + (step if value > 0 else -step):,.{places}f}"


def _decimals(size: float) -> int:
    for limit, decimals in ((100, 1), (10, 2), (1, 3)):
        if size >= limit:
            return decimals
    return 4


def percent(share: float | None) -> str:
    """A share of 1 in percent: 0 % and 100 % only where it is exactly none and all."""
    if share is None or not math.isfinite(share):
        return MISSING
    if share in EXACT:
        return f"{int(100 * share)} %"
    size = 100 * share
    if size == ALL_PERCENT:  # by the multiplication alone
        size = math.nextafter(size, 100 * ALL_PERCENT if share > 1 else 0)
    return f"{number(size, 1, apart=(ALL_PERCENT,))} %"


def precise(value: float) -> str:
    """Six significant digits, and as many more as rounding to 0 or 1 needs; for proofs."""
    texts = (f"{value:.{digits}g}" for digits in range(6, 17))
    text = next((item for item in texts if abs(float(item)) not in EXACT), repr(value))
    return (f"{value:.0f}" if abs(value) in EXACT else text).replace("-", MINUS)


def signed(value: float | None, decimals: int | None = None) -> str:
    """A number with its sign, plus included."""
    text = number(value, decimals)
    if value is None or text == MISSING or value <= 0:
        return text
    return f"{text[0]}+{text[1:]}" if text[0] in "<>" else f"+{text}"


def count(value: int | None) -> str:
    """A whole number with its thousands set apart."""
    return MISSING if value is None else f"{value:,}".replace("-", MINUS)


def interval(item: Interval | None, *, n: bool = True) -> str:
    """The two ends of an interval, and the number of observations behind it."""
    if item is None:
        return ""
    ends = f"[{number(item.low)}, {number(item.high)}]"
    return f"{ends}, n={count(item.n)}" if n else ends


def difference(new: float | None, old: float | None) -> str:
    """The new value less the old one, with its sign."""
    return MISSING if new is None or old is None else signed(new - old)


def moment(iso: str) -> str:
    """A time in UTC, given in ISO 8601, as a reader writes it."""
    return f"{iso.removesuffix('Z').removesuffix('+00:00').replace('T', ' ')} UTC"


def duration(seconds: float) -> str:
    """Seconds below ten with a decimal, then whole seconds, then minutes."""
    if seconds < SHORT_WAIT:
        return f"{number(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def waiting(seconds: float) -> str:
    """A time that is still to come, rounded up as coarsely as it is known."""
    if seconds <= MINUTE:
        return f"{max(1, -(-int(seconds) // 5)) * 5} s"
    return f"{-(-int(seconds) // MINUTE)} min"


def cell(value: Cell) -> str:
    """A cell of a table as text: long texts clipped, truth values in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return number(value)
    if value is None:
        return MISSING
    return value if len(value) <= LONGEST_CELL else f"{value[: LONGEST_CELL - 1]}…"

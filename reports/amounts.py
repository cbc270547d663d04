"""Amounts: numbers with their unit, never rounded onto or across their bound.

Shares are printed in percent and differences of shares in points. All arithmetic is decimal, on
the shortest text that a number has, so that 0.07 is 7 % and nothing is lost on the way.
"""

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal

from governance.records.evidence import Interval
from governance.records.numbers import MINUS, count, number, precise

__all__ = ["NARROW", "UNITS", "amount", "bound", "chance", "change", "share", "span"]

#: Narrow no-break space, before the sign of percent.
NARROW = "\N{NARROW NO-BREAK SPACE}"
NO_BREAK = "\N{NO-BREAK SPACE}"

#: Text after a number, by unit.
UNITS = {
    "percent": f"{NARROW}%",
    "points": f"{NO_BREAK}points",
    "count": "",
    "number": "",
    "flag": "",
}
#: Texts of 0 and 1 where a number says whether something was found.
FLAGS = {0.0: "not found", 1.0: "found"}
SCALED = frozenset({"percent", "points"})
#: Values that are read as "none" and "all", on the scale that is printed.
EXACT = {"percent": (Decimal(0), Decimal(100))}

#: Counts up to this are told as such, larger ones as a share.
COUNTED_UP_TO = 50
#: P-values below are not told apart.
LEAST_P = 0.001
MOST_DECIMALS = 6
FIXED_BELOW = Decimal(10) ** 9


def amount(
    value: float, unit: str, apart: Iterable[float | None] = (), *, decimals: int = 0
) -> str:
    """A number with its unit, in as few digits as tell nothing untrue.

    Args:
        value: As recorded: a share of 1 where the unit is `percent` or `points`.
        unit: One of `UNITS`.
        apart: Values, as recorded, that rounding must neither reach nor pass, such as a bound.
        decimals: Decimals of a number that needs none; 1 sets columns of shares alike.
    """
    if unit == "flag" and value in FLAGS:
        return FLAGS[value]
    text = _rounded(value, unit, tuple(apart), decimals)
    ending = UNITS[unit]
    if unit == "points" and text.lstrip(f"+{MINUS}") == "1":
        ending = f"{NO_BREAK}point"
    return f"{text}{ending}"


def bound(value: float, unit: str) -> str:
    """A bound with its unit, exactly as the policy states it."""
    if unit == "flag" and value in FLAGS:
        return FLAGS[value]
    text = f"{_scaled(value, unit).normalize():f}".replace("-", MINUS)
    return f"{text}{UNITS[unit]}"


def change(value: float, unit: str) -> str:
    """A difference with its sign; a difference of shares in points."""
    text = amount(value, "points" if unit == "percent" else unit)
    return text if value <= 0 else f"+{text}"


def span(interval: Interval, unit: str, apart: Iterable[float | None] = ()) -> str:
    """The two ends of an interval as "A to B", with the unit once."""
    avoided = tuple(apart)
    low = _rounded(interval.low, unit, avoided, 0)
    return f"{low} to {amount(interval.high, unit, avoided)}"


def share(value: float, n: int | None, things: str, apart: Iterable[float | None] = ()) -> str:
    """A share of things: "45 of 150 images" where both are known and few, else in percent.

    Args:
        value: Share of 1.
        n: Number of things; None where it is unknown.
        things: What is counted, in the plural.
        apart: Values that rounding must neither reach nor pass.
    """
    if n is None:
        return f"{amount(value, 'percent', apart)} of the {things}"
    hits = round(value * n)
    if hits <= COUNTED_UP_TO and abs(hits - value * n) < 1e-6:  # noqa: PLR2004
        return f"{count(hits)} of {count(n)} {things}"
    return f"{amount(value, 'percent', apart)} of {count(n)} {things}"


def _scaled(value: float, unit: str) -> Decimal:
    exact = Decimal(repr(float(value)))
    return exact * 100 if unit in SCALED else exact


def _rounded(value: float, unit: str, apart: tuple[float | None, ...], decimals: int) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} has no text; a finite number is accepted")
    exact = _scaled(value, unit)
    if exact == exact.to_integral_value() and abs(exact) < FIXED_BELOW:
        return _text(exact.quantize(Decimal(1).scaleb(-decimals)))
    avoided = [_scaled(item, unit) for item in apart if item is not None]
    avoided += EXACT.get(unit, (Decimal(0),))
    for places in range(_places(exact, unit), MOST_DECIMALS + 1):
        rounded = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
        if all(_side(rounded, item) == _side(exact, item) for item in avoided):
            return _text(rounded)
    nearest = min(avoided, key=lambda item: abs(item - exact))
    return f"{'just under' if exact < nearest else 'just over'} {_text(nearest.normalize())}"


def _places(exact: Decimal, unit: str) -> int:
    """Decimals to begin with: one of shares and large numbers, else three digits that count."""
    size = abs(exact)
    if unit in SCALED or size >= 100:  # noqa: PLR2004
        return 1
    return max(1, min(MOST_DECIMALS, 2 - size.adjusted())) if size else 0


def _side(value: Decimal, mark: Decimal) -> int:
    return (value > mark) - (value < mark)


def _text(value: Decimal) -> str:
    if abs(value) >= FIXED_BELOW:
        return precise(float(value))
    return f"{value:,f}".replace("-", MINUS)


def chance(p: float) -> str:
    """A p-value, of which nobody needs more than three decimals."""
    return f"below {LEAST_P}" if p < LEAST_P else number(p, 3)

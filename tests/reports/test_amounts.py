"""Amounts are never rounded onto or across what they are held against."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.records.evidence import Interval
from reports.amounts import amount, bound, change, share, span

SHARES = st.floats(0, 1, allow_nan=False)


def printed(text: str) -> Decimal:
    """The number that a reader takes from a text."""
    digits = text.removeprefix("just under ").removeprefix("just over ").split("\u202f")[0]
    return Decimal(digits.replace("\N{MINUS SIGN}", "-").replace(",", ""))


@given(SHARES, SHARES)
def test_a_share_stays_on_its_side_of_the_bound_that_is_printed_beside_it(value, limit):
    text = amount(value, "percent", (limit,))
    exact, edge = Decimal(repr(value)) * 100, printed(bound(limit, "percent"))

    if text.startswith("just"):
        assert text.startswith("just under") == (exact < printed(text))
    else:
        assert (printed(text) > edge) == (exact > edge)
        assert (printed(text) < edge) == (exact < edge)
        assert (printed(text) == 100) == (value == 1)
        assert (printed(text) == 0) == (value == 0)


def test_an_interval_that_ends_just_below_its_bound_does_not_print_as_the_bound():
    text = span(Interval(low=0.62, high=0.7992, n=150), "percent", (0.8,))
    nearer = span(Interval(low=0.62, high=0.79996, n=150), "percent", (0.8,))

    assert text == "62 to 79.9\u202f%"
    assert nearer == "62 to 79.996\u202f%"


def test_a_value_is_not_rounded_across_a_bound_of_more_decimals():
    assert amount(0.7996, "percent", (0.7997,)) == "79.96\u202f%"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.7, "percent", "70\u202f%"),
        (0.07, "percent", "7\u202f%"),
        (0.6866666666666666, "percent", "68.7\u202f%"),
        (0.99999, "percent", "99.999\u202f%"),
        (-0.26, "points", "\N{MINUS SIGN}26\u00a0points"),
        (0.01, "points", "1\u00a0point"),
        (0.23965, "number", "0.240"),
        (1234.5, "number", "1,234.5"),
        (3.0, "count", "3"),
        (1.0, "flag", "found"),
    ],
)
def test_units_follow_their_number(value, unit, expected):
    assert amount(value, unit) == expected


def test_a_difference_of_shares_is_told_in_points_with_its_sign():
    assert change(-0.26, "percent") == "\N{MINUS SIGN}26\u00a0points"
    assert change(0.034, "percent") == "+3.4\u00a0points"


def test_few_things_are_counted_and_many_are_told_as_a_share():
    assert share(0.3, 150, "images") == "45 of 150 images"
    assert share(0.933, 1500, "images") == "93.3\u202f% of 1,500 images"
    assert share(0.3, None, "images") == "30\u202f% of the images"


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        amount(float("nan"), "percent")

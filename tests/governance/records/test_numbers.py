"""Numbers in reports never claim more than they are."""

import ast
import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.records.evidence import Interval
from governance.records.numbers import (
    cell,
    count,
    difference,
    duration,
    interval,
    moment,
    number,
    percent,
    precise,
    signed,
)

MINUS = "\N{MINUS SIGN}"
ROOT = Path(__file__).parents[3]
FINITE = st.floats(-1e300, 1e300)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.99996, "0.99996"),
        (0.9999999, ">0.999999"),
        (1.0000001, "<1.000001"),
        (-0.9999999, "<-0.999999"),
        (-1.0000001, ">-1.000001"),
        (0.00004, "0.00004"),
        (2e-7, "2.00e-07"),
        (0.91174, "0.9117"),
        (-0.05, "-0.0500"),
        (1.00004, "1.00004"),
        (12.3456, "12.35"),
        (1234.56, "1,234.6"),
        (7.0, "7"),
        (None, "missing"),
        (math.nan, "missing"),
        (math.inf, "missing"),
    ],
)
def test_number_is_set_with_as_many_digits_as_are_true(value, text):
    assert number(value).replace(MINUS, "-") == text


def test_number_is_not_rounded_onto_the_bound_that_it_misses():
    assert number(0.94999, apart=(0.95,)) == "0.94999"
    assert number(0.95, apart=(0.95,)) == "0.9500"
    assert number(0.9499999999, apart=(0.95,)) == ">0.949999"


@settings(deadline=None)
@given(FINITE)
def test_one_and_zero_are_printed_only_where_they_are_exact(value):
    text = number(value)

    if text in {"0", "1", f"{MINUS}1"}:
        assert value == float(text.replace(MINUS, "-"))
    if "e" not in text and text[0] not in "<>":
        assert (float(text.replace(MINUS, "-").replace(",", "")) in {0.0, 1.0, -1.0}) == (
            value in {0.0, 1.0, -1.0}
        )


@settings(deadline=None)
@given(FINITE)
def test_number_is_within_half_a_unit_of_its_last_digit_or_says_on_which_side(value):
    _within_its_last_digit(number(value), value)


def _within_its_last_digit(printed, value):
    text = printed.replace(MINUS, "-").replace(",", "")
    if text[0] == "<":
        assert value < float(text[1:])
    elif text[0] == ">":
        assert value > float(text[1:])
    else:
        assert math.isclose(float(text), value, rel_tol=0.01, abs_tol=0.00006)


def test_interval_has_its_ends_and_the_number_of_observations():
    assert interval(Interval(low=0.5, high=1.0, n=1500)) == "[0.5000, 1], n=1,500"
    assert interval(Interval(low=0.5, high=1.0, n=1500), n=False) == "[0.5000, 1]"
    assert interval(None) == ""


def test_difference_has_a_sign_and_needs_both_values():
    assert difference(0.95, 0.9) == "+0.0500"
    assert difference(0.9, 0.95) == f"{MINUS}0.0500"
    assert difference(0.9, 0.9) == "0"
    assert difference(None, 0.9) == "missing"
    assert difference(0.9, None) == "missing"


def test_cells_are_words_and_numbers():
    assert [cell(item) for item in (True, False, None, 1500, 0.25, "x")] == [
        "yes", "no", "missing", "1,500", "0.2500", "x",
    ]  # fmt: skip
    assert len(cell("x" * 1000)) == 300


def test_counts_durations_and_moments_are_for_readers():
    assert count(None) == "missing"
    assert count(272474) == "272,474"
    assert duration(0.04) == "0.04 s"
    assert duration(0.0) == "0 s"
    assert duration(2.34) == "2.3 s"
    assert duration(59.7) == "1 min 0 s"
    assert duration(41.2) == "41 s"
    assert moment("2026-11-22T01:45:00Z") == "2026-11-22 01:45:00 UTC"
    assert moment("2026-11-22T01:45:00+00:00") == "2026-11-22 01:45:00 UTC"


@settings(deadline=None)
@given(FINITE, st.integers(0, 6))
def test_a_number_in_few_decimals_is_still_not_rounded_to_none_or_all(value, decimals):
    text = number(value, decimals).replace(MINUS, "-").replace(",", "")

    if text[0] not in "<>":
        assert (abs(float(text)) in {0, 1}) == (abs(value) in {0, 1})
        assert math.isclose(float(text), value, rel_tol=0.01, abs_tol=0.51 * 10**-decimals)


@settings(deadline=None)
@given(st.floats(0, 1))
def test_a_percentage_is_0_or_100_only_where_it_is_exactly_none_or_all(share):
    text = percent(share).removesuffix(" %").replace(MINUS, "-")

    assert (text == "0") == (share == 0)
    assert (text == "100") == (share == 1)
    if text[0] not in "<>":
        assert math.isclose(float(text), 100 * share, rel_tol=0.01, abs_tol=0.051)


@settings(deadline=None)
@given(st.floats(-1e9, 1e9))
def test_six_digits_are_kept_and_never_reach_0_or_1(value):
    text = precise(value).replace(MINUS, "-")

    assert math.isclose(float(text), value, rel_tol=1e-5)
    assert (abs(float(text)) in {0, 1}) == (abs(value) in {0, 1})


def test_signs_stand_before_the_digits():
    assert [signed(item, 3) for item in (0.25, -0.25, 0.0, 0.9999999, None)] == [
        "+0.250", f"{MINUS}0.250", "0", ">+0.999999", "missing",
    ]  # fmt: skip


def test_no_other_module_rounds_a_number_for_a_reader():
    # Whole numbers (`.0f`, `.0%`) of counts and exact bounds (`.15g`) say nothing untrue.
    rounding = re.compile(r"\.[1-9]([fge%])$")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("governance", "reports", "mlflow_plugins")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "numbers.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None
        if rounding.search(ast.unparse(node.format_spec).strip("'\"f"))
    ]

    # Seconds of a JUnit file are read by machines.
    assert [item for item in found if not item.startswith("reports/junit.py")] == []

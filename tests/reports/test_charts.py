"""Charts: what is drawn stands where it is, in letters that can be read, and nothing is obeyed."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from reports.charts import Dot, Line, Mark, curve, dots, lines, unit_axis

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markup):
    return ET.fromstring(str(markup))  # noqa: S314 - our own


def texts(markup):
    return [item.text for item in drawn(markup).iter(f"{SVG}text")]


def some_dots(**changes):
    rows = [
        Dot(label="8", value=0.687, low=0.606, high=0.788, before=0.96, state="unmet",
            cells=("68.7 %",)),
        Dot(label="6", value=0.99, low=0.95, high=1.0, before=0.993, cells=("99.0 %",)),
    ]  # fmt: skip
    axis = unit_axis([0.606, 0.687], "recall")
    mark = Mark(value=0.8, text="at least 80 %", side="above")
    return dots(rows, axis, width=493, title="Two classes", mark=mark, heads=("Recall",), **changes)


def test_a_chart_is_as_wide_as_it_is_printed_and_no_letter_is_smaller_than_8_points():
    for markup in (
        some_dots(),
        lines(["a", "b"], [Line(text="x", values=(0.1, 0.9))], unit_axis([0.0], "share"),
              across="layer", width=278, title="t"),
        curve([(0.5, 0.4, 0.3, 0.5)], across="confidence", up="right", width=226, title="t"),
    ):  # fmt: skip
        picture = drawn(markup)
        assert picture.get("width") == f"{picture.get('viewBox').split()[2]}pt"
        assert {item.get("font-size") for item in picture.iter(f"{SVG}text")} == {"8"}


def test_every_chart_says_what_is_seen_first():
    picture = drawn(some_dots())

    assert picture[0].tag == f"{SVG}title"
    assert picture[0].text == "Two classes"


def test_bound_axis_values_and_their_columns_are_named():
    found = texts(some_dots())

    assert {"at least 80 %", "recall", "8", "6", "68.7 %", "99.0 %", "Recall"} <= set(found)


def test_a_value_below_its_bound_is_a_square_and_the_version_before_a_ring():
    picture = drawn(some_dots())

    squares = [item for item in picture.iter(f"{SVG}rect") if item.get("width") == "6.4"]
    rings = [item for item in picture.iter(f"{SVG}circle") if item.get("fill") == "none"]
    assert (len(squares), len(rings)) == (1, 2)


def test_values_stand_in_their_order_on_the_axis():
    picture = drawn(some_dots())
    discs = [item for item in picture.iter(f"{SVG}circle") if item.get("fill") != "none"]
    (square,) = [item for item in picture.iter(f"{SVG}rect") if item.get("width") == "6.4"]
    bound = next(item for item in picture.iter(f"{SVG}path") if item.get("stroke-width") == "1.3")

    x = float(re.match(r"M([\d.]+)", bound.get("d"))[1])
    assert float(square.get("x")) + 3.2 < x < float(discs[0].get("cx"))


def test_what_was_not_measured_is_said_in_its_row():
    axis = unit_axis([], "recall")

    found = dots([Dot(label="a", value=None)], axis, width=278, title="t")

    assert "not measured" in texts(found)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a"b', "\u202ereversed", "x" * 900])
def test_foreign_names_are_text_and_nothing_else(name):
    found = dots([Dot(label=name, value=0.5)], unit_axis([0.5], "s"), width=278, title=name)
    picture = drawn(found)  # well formed

    assert {item.tag for item in picture.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "text", "path", "circle", "rect")
    }
    assert "\u202e" not in str(found)
    assert max(len(text) for text in texts(found)) <= 34


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [((0.6, 0.9), 0.5, 1.0), ((0.95,), 0.8, 1.0), ((0.0, 1.0), 0.0, 1.0), ((), 0.0, 1.0)],
)
def test_a_scale_of_shares_leaves_ten_points_below_the_lowest(values, low, high):
    axis = unit_axis(values, "share")

    assert (axis.low, axis.high) == (low, high)
    assert len(axis.ticks) <= 7
    assert axis.ticks[-1][1] == "100\u202f%"


@pytest.mark.parametrize("values", [(0.3, 0.02), (-0.2, 0.5), (1234.0,), (0.0,), (1e-9,)])
def test_any_other_scale_holds_zero_and_all_values(values):
    axis = unit_axis(values, "loss", percent=False)

    assert axis.low <= min(0, *values)
    assert axis.high >= max(0, *values)
    assert axis.low < axis.high
    assert 2 <= len(axis.ticks) <= 8


def test_names_at_the_ends_of_lines_do_not_cover_each_other():
    drawn_lines = [Line(text=f"line {i}", values=(0.5, 0.5 + i / 1000)) for i in range(4)]

    found = lines(["a", "b"], drawn_lines, unit_axis([0.0], "s"), across="layer", width=278,
                  title="t")  # fmt: skip

    heights = sorted(
        float(item.get("y")) for item in drawn(found).iter(f"{SVG}text") if "line" in item.text
    )
    assert min(b - a for a, b in pairwise(heights)) >= 8

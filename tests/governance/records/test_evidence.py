import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import numbers

from governance.errors import AnalysisError
from governance.records.evidence import (
    Evidence,
    Failure,
    Figure,
    Interval,
    Measurement,
    Table,
    number,
    plain,
)

NOT_FINITE = (math.nan, math.inf, -math.inf)


def evidence_of(**changes):
    given_ = {"measurement": Measurement(metrics={}), **changes}
    return Evidence(
        analysis="a",
        about="",
        parameters=given_.pop("parameters", {}),
        seed=0,
        seconds=0.0,
        device="cpu",
        **given_,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("text", "text"),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(1), True),
        (np.str_("x"), "x"),
        (np.array(2.0), 2.0),
        (torch.tensor(2), 2),
    ],
)
def test_scalars_become_plain_cells_of_the_same_value(value, expected):
    assert plain(value) == expected
    assert type(plain(value)) in {bool, int, float, str, type(None)}


@pytest.mark.parametrize(
    "value", [*NOT_FINITE, np.float32("nan"), np.float64("inf"), torch.tensor(math.nan)]
)
def test_numbers_that_are_not_finite_become_missing(value):
    assert plain(value) is None
    assert number(value) is None


@pytest.mark.parametrize(
    "value",
    [
        object(),
        b"bytes",
        [1],
        {"a": 1},
        1j,
        np.array([1, 2]),
        torch.zeros(2),
        np.datetime64("2026-01-01"),
    ],
)
def test_anything_else_in_a_cell_is_refused_by_name(value):
    with pytest.raises(AnalysisError, match="accepted are bool, int, float, str, None"):
        plain(value)


def test_a_metric_is_never_a_text():
    with pytest.raises(AnalysisError, match="a number or None is accepted"):
        Measurement(metrics={"accuracy": "0.9"})


@given(numbers)
@settings(max_examples=50, deadline=None)
def test_a_finite_metric_is_kept_to_the_last_bit(value):
    assert Measurement(metrics={"m": value}).metrics["m"] == value


@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_metric_that_is_not_finite_is_missing(value):
    assert Measurement(metrics={"m": value}).metrics["m"] is None


@pytest.mark.parametrize(
    ("low", "high"), [(math.nan, 1), (0, math.nan), (-math.inf, 0), (0, math.inf), (1, 0)]
)
def test_an_interval_has_finite_ends_in_order(low, high):
    with pytest.raises(AnalysisError, match="finite ends in ascending order"):
        Interval(low=low, high=high, n=5)


def test_an_interval_unwraps_what_numpy_computed():
    interval = Interval(low=np.float32(0.25), high=np.float64(0.5), n=np.int64(8))

    assert (type(interval.low), type(interval.high), type(interval.n)) == (float, float, int)
    assert interval == Interval(low=0.25, high=0.5, n=8)


def test_an_interval_needs_a_metric_of_its_name():
    with pytest.raises(AnalysisError, match="without a metric of that name: b"):
        Measurement(metrics={"a": 1.0}, intervals={"b": Interval(low=0, high=1, n=2)})


@pytest.mark.parametrize("reasons", [("",), ("a", " ")])
def test_evidence_is_not_withdrawn_without_a_reason(reasons):
    with pytest.raises(AnalysisError, match="empty reason"):
        Measurement(metrics={"a": 1.0}, withdrawn=reasons)


def test_figures_and_tables_share_one_set_of_names():
    figure = Figure(name="same", caption="c", image=b"")
    table = Table(name="same", caption="c", columns=("x",), rows=())

    with pytest.raises(AnalysisError, match="repeat a name"):
        Measurement(metrics={}, figures=(figure,), tables=(table,))


@pytest.mark.parametrize(
    "name", ["", "../up", "a/b", "Big", "1st", "dot.ted", "ümlaut", "a b", "a\n"]
)
def test_a_name_that_is_no_safe_file_name_is_refused(name):
    with pytest.raises(AnalysisError, match="names become files"):
        Measurement(metrics={}, figures=(Figure(name=name, caption="c", image=b""),))


def test_a_table_knows_its_number_of_cells():
    with pytest.raises(AnalysisError, match="table t, row 1: 1 cells for 2 columns"):
        Table(name="t", caption="", columns=("a", "b"), rows=((1, 2), (3,)))


@pytest.mark.parametrize("columns", [(), ("a", "a")])
def test_a_table_has_columns_of_different_names(columns):
    with pytest.raises(AnalysisError, match="each of its own name"):
        Table(name="t", caption="", columns=columns, rows=())


@pytest.mark.parametrize(("first", "second"), [(1, "one"), (True, 1), (0.5, "x"), (False, 0.5)])
def test_a_column_that_mixes_types_is_refused_when_the_table_is_made(first, second):
    with pytest.raises(AnalysisError, match="table t, column 'b': mixes"):
        Table(name="t", caption="", columns=("a", "b"), rows=((1, first), (1, None), (1, second)))


def test_whole_numbers_beside_fractions_become_fractions():
    table = Table(name="t", caption="", columns=("a",), rows=((1,), (None,), (0.5,)))

    assert table.rows == ((1.0,), (None,), (0.5,))
    assert type(table.rows[0][0]) is float


@pytest.mark.parametrize("cell", [2**63, -(2**63)])
def test_a_whole_number_that_no_column_can_hold_is_refused(cell):
    with pytest.raises(AnalysisError, match="beyond 64 bits"):
        Table(name="t", caption="", columns=("a",), rows=((cell,),))


def test_a_text_that_no_file_can_hold_is_refused():
    with pytest.raises(AnalysisError, match="lone surrogate"):
        Table(name="t", caption="", columns=("a",), rows=(("\udcff",),))


def test_evidence_is_either_a_measurement_or_a_failure():
    with pytest.raises(AnalysisError, match="either a measurement or a failure"):
        evidence_of(measurement=None)
    with pytest.raises(AnalysisError, match="either a measurement or a failure"):
        evidence_of(failure=Failure(kind="k", message="m"))


def test_parameters_are_kept_as_json_will_give_them_back():
    item = evidence_of(parameters={"sizes": ((1, 2), (3,)), "name": "x"})

    assert item.parameters == {"sizes": [[1, 2], [3]], "name": "x"}


@given(st.sampled_from(("metrics", "intervals")))
@settings(max_examples=4, deadline=None)
def test_a_measurement_cannot_be_changed_afterwards(name):
    measurement = Measurement(metrics={"m": 1.0})

    with pytest.raises(TypeError):
        getattr(measurement, name)["m"] = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        measurement.notes = ("new",)


def test_the_order_in_which_metrics_were_found_does_not_matter():
    one, two = Measurement(metrics={"a": 1, "b": 2}), Measurement(metrics={"b": 2, "a": 1})

    assert one == two
    assert list(two.metrics) == ["a", "b"]


WIDE = tuple(f"column_{place}" for place in range(13))


def test_a_table_prints_all_its_columns_unless_it_says_which():
    assert Table(name="t", caption="", columns=("a", "b"), rows=()).printed == ("a", "b")
    table = Table(name="t", caption="", columns=("a", "b"), rows=(), printed=("b",))
    assert table.printed == ("b",)


def test_a_table_of_more_columns_than_fit_on_a_page_says_which_are_printed():
    with pytest.raises(AnalysisError, match=r"table t: prints 13 columns; `printed` that names at"):
        Table(name="t", caption="", columns=WIDE, rows=())
    with pytest.raises(AnalysisError, match="prints 13 columns"):
        Table(name="t", caption="", columns=(*WIDE, "more"), rows=(), printed=WIDE)
    assert Table(name="t", caption="", columns=WIDE, rows=(), printed=WIDE[1:]).printed == WIDE[1:]


@pytest.mark.parametrize("printed", [("a", "c"), ("a", "a")])
def test_a_table_prints_columns_that_it_has_and_each_once(printed):
    with pytest.raises(AnalysisError, match="each at most once of a, b is accepted"):
        Table(name="t", caption="", columns=("a", "b"), rows=(), printed=printed)

"""A measurement made again, held against the one on record: bit for bit, or within tolerances."""

from dataclasses import replace

import pytest

from governance.records.evidence import (
    Evidence,
    Failure,
    Figure,
    Interval,
    Measurement,
    Metric,
    Table,
)
from governance.records.reproduction import differences, stack_differences

DECLARED = {
    "x": Metric(meaning="m", better="higher"),
    "each.{class}": Metric(meaning="m", better="higher", tolerance=0.1),
    "cost": Metric(meaning="m", better="lower", highest=None, tolerance=0.01),
}
TABLE = Table(name="rows", caption="c", columns=("a",), rows=((1.0,), (2.0,)))
MEASURED = Measurement(
    metrics={"x": 0.5, "each.cat": 0.5, "cost": 1000.0},
    intervals={"x": Interval(low=0.4, high=0.6, n=10)},
    figures=(Figure(name="drawn", caption="c", image=b"png"),),
    tables=(TABLE,),
    notes=("a note",),
)
RECORDED = Evidence(
    analysis="alpha", about="Alpha.", parameters={}, seed=0, seconds=1.0, device="cpu",
    measurement=MEASURED,
)  # fmt: skip


def again(**changed):
    return replace(RECORDED, seconds=2.0, measurement=replace(MEASURED, **changed))


@pytest.mark.parametrize("declared", [None, DECLARED], ids=["bits", "tolerances"])
def test_the_same_measurement_does_not_differ_however_long_it_took(declared):
    assert differences(RECORDED, again(), declared) == ()


@pytest.mark.parametrize(
    ("name", "value", "alike"),
    [
        ("x", 0.5 + 9e-5, True),
        ("x", 0.5 + 2e-4, False),
        ("each.cat", 0.59, True),
        ("each.cat", 0.61, False),
        ("cost", 1009.0, True),  # a share of the larger value
        ("cost", 1011.0, False),
        ("x", None, False),
    ],
)
def test_a_metric_may_differ_by_its_own_tolerance_on_another_stack(name, value, alike):
    found = differences(RECORDED, again(metrics={**MEASURED.metrics, name: value}), DECLARED)

    assert (found == ()) is alike
    assert all(text.startswith(f"alpha: {name} is ") for text in found)


def test_a_metric_that_nobody_declared_has_the_smallest_tolerance():
    near = {**MEASURED.metrics, "x": 0.5001}
    far = {**MEASURED.metrics, "x": 0.51}

    assert differences(RECORDED, again(metrics=near), {}) == ()
    assert differences(RECORDED, again(metrics=far), {}) != ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metrics": {**MEASURED.metrics, "x": 0.5 + 2**-53}}, "x is 0.5 on record and 0.5000"),
        ({"intervals": {"x": Interval(low=0.4, high=0.7, n=10)}}, "the interval of x is (0.4, 0.6"),
        ({"intervals": {"x": Interval(low=0.4, high=0.6, n=11)}}, "other numbers of observations"),
        ({"intervals": {}}, "the interval of x is (0.4, 0.6) on record and () here"),
        ({"tables": (replace(TABLE, rows=((1.0,), (3.0,))),)}, "rows: 1 of 2 rows differ, first r"),
        ({"tables": (replace(TABLE, rows=((1.0,),)),)}, "rows has 2 rows of 1 columns on record"),
        ({"tables": (replace(TABLE, caption="d"),)}, "table rows has another caption"),
        ({"tables": ()}, "table rows stands only on record"),
        ({"figures": (Figure(name="drawn", caption="c", image=b"other"),)}, "figure drawn is an"),
        ({"notes": ()}, "its notes read otherwise"),
        ({"withdrawn": ("failed its self-test",)}, "is relied on on record and withdrawn here"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_whatever_differs_by_a_bit_is_named_on_the_same_stack(changed, said):
    found = differences(RECORDED, again(**changed), None)

    assert said in found[0]
    assert found[0].startswith("alpha: ")


def test_tables_and_pictures_are_not_compared_on_another_stack():
    assert differences(RECORDED, again(tables=(), figures=(), notes=()), DECLARED) == ()


@pytest.mark.parametrize("declared", [None, DECLARED], ids=["bits", "tolerances"])
def test_a_crash_on_record_is_reproduced_by_the_same_kind_of_crash_alone(declared):
    crashed, other = (
        replace(RECORDED, measurement=None, failure=Failure(kind=kind, message="m"))
        for kind in ("ValueError", "MemoryError")
    )

    assert differences(crashed, crashed, declared) == ()
    assert differences(crashed, other, declared) == (
        "alpha: failed (ValueError) on record and failed (MemoryError) here",
    )
    assert differences(crashed, RECORDED, declared) == (
        "alpha: failed (ValueError) on record and measured here",
    )


def test_a_stack_is_the_same_whatever_the_kernel_is():
    here = {"torch": "2.9", "device": "cpu", "system": "Linux 7"}

    assert stack_differences({**here, "system": "Linux 6"}, here) == {}
    assert stack_differences({"torch": "2.8", "system": "Linux 7"}, here) == {
        "torch": ("2.8", "2.9"),
        "device": ("not recorded", "cpu"),
    }

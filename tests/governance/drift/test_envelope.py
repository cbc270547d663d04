"""Envelope: layers, data and drift, each inside, outside or not to be told."""

import pytest

from governance.drift.envelope import changed_layers, outside, sides, table
from governance.records.drift_terms import Envelope
from governance.records.identity import ModelIdentity


def model(**layers):
    return ModelIdentity(
        uri="models:/m/1", digest="d", artifact_digest="a", format="pt2", parameters=1,
        layers=layers,
    )  # fmt: skip


OLD = model(stem="1", block="1", head="1")


def inside(envelope, new=OLD, data=(), upper=None):
    return {side.name: side.inside for side in sides(envelope, OLD, new, data, upper)}


def test_an_open_envelope_has_no_sides_and_nothing_lies_outside():
    assert sides(Envelope(), OLD, OLD, (), None) == ()
    assert outside(()) == 0.0


@pytest.mark.parametrize(
    ("allowed", "expected"), [(("head",), True), ((), False), (("block", "stem"), False)]
)
def test_only_named_layers_may_change(allowed, expected):
    new = model(stem="1", block="1", head="2")
    assert inside(Envelope(allowed_layers=allowed), new) == {"layers": expected}


def test_what_lies_below_a_named_layer_is_allowed_and_what_only_begins_alike_is_not():
    old, new = model(**{"block.conv": "1", "blocks": "1"}), model(**{"block.conv": "2"})
    assert changed_layers(old, new) == ("block.conv", "blocks")
    (side,) = sides(Envelope(allowed_layers=("block",)), old, new, (), None)
    assert side.inside is False
    assert side.found == "2 changed, of these not allowed: blocks"


def test_layers_that_were_not_recorded_leave_the_question_open():
    assert inside(Envelope(allowed_layers=("head",)), model()) == {"layers": None}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ((("digits", "ab12"),), True),
        ((("other", "d1"),), True),
        ((("digits", "ab12"), ("new", "x")), False),
        ((), None),
    ],
)
def test_every_data_set_must_be_named_by_name_or_digest(data, expected):
    assert inside(Envelope(data=("digits", "d1")), data=data) == {"data": expected}


@pytest.mark.parametrize(("upper", "expected"), [(0.1, True), (0.1001, False), (None, None)])
def test_the_upper_end_of_the_drift_is_held_against_its_bound(upper, expected):
    assert inside(Envelope(drift=0.1), upper=upper) == {"drift": expected}


def test_what_cannot_be_told_is_missing_unless_something_was_overstepped_anyway():
    envelope = Envelope(allowed_layers=(), data=("a",), drift=0.1)
    new = model(head="2")
    assert outside(sides(envelope, OLD, OLD, (), 0.05)) is None
    assert outside(sides(envelope, OLD, new, (), 0.2)) == 2.0
    assert outside(sides(envelope, OLD, OLD, (("a", "d"),), 0.05)) == 0.0


def test_the_table_says_each_side_in_words():
    rows = table(sides(Envelope(data=("a",), drift=0.1), OLD, OLD, (), 0.05)).rows
    assert rows == (
        ("data", "a", "the training run logged no data set", None),
        ("drift", "at most 0.1", "at most 0.0500", True),
    )

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    assessments,
    evidence,
    expectations,
    identities,
    intervals,
    policies,
)

from governance.errors import AnalysisError, EvidenceError
from governance.records.assessment import Assessment
from governance.records.decoding import FLAT, UNWRITTEN
from governance.records.evidence import Evidence, Interval, Measurement
from governance.records.identity import ModelIdentity
from governance.records.policy import Expectation, Policy
from governance.records.serialisation import canonical, from_data, parse, to_data
from governance.records.version_ref import VersionRef

LAWS = settings(max_examples=30, deadline=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    kind: Literal["a", "b"] = "a"
    pair: tuple[int, float] = (1, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    leaf: Leaf
    cells: tuple[bool | int | float | str | None, ...] = ()
    named: Mapping[str, Leaf] = field(default_factory=dict)
    free: Any = None

    def __post_init__(self) -> None:
        if self.free == "bad":
            raise AnalysisError("free is bad")


def again(kind, record):
    """A record after a journey through bytes."""
    return from_data(kind, parse(canonical(to_data(record)), "record"))


def without_files(assessment):
    """An assessment without figures and tables, whose bytes are kept in files of their own."""
    data = to_data(assessment)
    for item in data["evidence"]:
        if item["measurement"]:
            item["measurement"].update(figures=[], tables=[])
    return from_data(Assessment, data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        (ModelIdentity, identities()),
        (Interval, intervals()),
        (Expectation, expectations()),
        (Policy, policies()),
        (Assessment, assessments().map(without_files)),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_a_record_survives_the_journey_through_bytes(kind, strategy):
    @given(strategy)
    @LAWS
    def law(record):
        assert again(kind, record) == record
        assert canonical(to_data(again(kind, record))) == canonical(to_data(record))

    law()


@given(evidence())
@LAWS
def test_evidence_survives_the_journey_with_its_cells_of_the_same_type(item):
    data = to_data(item)
    for figure in data["measurement"]["figures"] if data["measurement"] else ():
        figure["image"] = b""

    found = from_data(Evidence, data)

    if item.measurement:
        for table, other in zip(item.measurement.tables, found.measurement.tables, strict=True):
            assert [list(map(type, row)) for row in table.rows] == [
                list(map(type, row)) for row in other.rows
            ]
            assert table == other


def test_the_same_record_always_has_the_same_bytes():
    one = {"b": 1, "a": [1.0, None, "ü"]}
    two = {"a": [1.0, None, "ü"], "b": 1}

    assert canonical(one) == canonical(two)
    assert canonical(one) == (
        '{\n  "a": [\n    1.0,\n    null,\n    "ü"\n  ],\n  "b": 1\n}\n'.encode()
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_never_written(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"a": value})


def test_a_lone_surrogate_in_a_message_survives():
    text = "cannot open 'caf\udce9'"

    assert canonical(text).isascii()
    assert parse(canonical(text), "p") == text


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b'{"a": NaN}', b"[Infinity]", b"[-Infinity]", b"[" * 100_000, b"1" * 5000],
    ids=["empty", "cut", "no text", "nan", "inf", "-inf", "deep", "long"],
)
def test_bytes_that_are_no_record_are_refused_by_place(content):
    with pytest.raises(EvidenceError, match=r"^here: cannot be read: "):
        parse(content, "here")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, r"^record\.leaf: missing; a table is needed$"),
        ({"leaf": {}, "loaf": 1}, r"^record\.loaf: unknown key; accepted are cells, free, leaf"),
        ({"leaf": {"kind": "c"}}, r"^record\.leaf\.kind: is 'c'; one of 'a', 'b' is accepted"),
        ({"leaf": {"pair": [1]}}, r"^record\.leaf\.pair: is \[1\]; a list of 2 whole numbers is"),
        ({"leaf": {"pair": ["1", 2]}}, r"^record\.leaf\.pair\[0\]: is '1'; a whole number is"),
        ({"leaf": {"pair": [True, 2]}}, r"^record\.leaf\.pair\[0\]: is True; a whole number"),
        ({"leaf": {"pair": [1, math.inf]}}, r"^record\.leaf\.pair\[1\]: is inf; a number is"),
        ({"leaf": {"pair": [1, 10**400]}}, r"^record\.leaf\.pair\[1\]: is 1000.*; a number is"),
        ({"leaf": [1]}, r"^record\.leaf: is \[1\]; a table is accepted"),
        ({"leaf": {}, "cells": {}}, r"^record\.cells: is \{\}; a list of items is accepted"),
        ({"leaf": {}, "cells": [1, [2]]}, r"^record\.cells\[1\]: is \[2\]; true or false or "),
        ({"leaf": {}, "named": {"x": {"kind": 1}}}, r"^record\.named\.x\.kind: is 1; one of"),
        ({"leaf": {}, "free": "bad"}, r"^record: free is bad"),
        (None, r"^record: is None; a table is accepted"),
    ],
)
def test_a_damaged_record_is_refused_by_place(data, problem):
    with pytest.raises(EvidenceError, match=problem):
        from_data(Tree, data)


def test_all_problems_of_a_record_are_told_at_once():
    data = {"leaf": {"kind": "c", "pair": [1, "x"]}, "cells": [[], {}], "loaf": 1}

    with pytest.raises(EvidenceError) as caught:
        from_data(Tree, data)

    places = [problem.partition(":")[0] for problem in caught.value.problems]
    assert places == [
        "record.loaf", "record.leaf.kind", "record.leaf.pair[1]", "record.cells[0]",
        "record.cells[1]",
    ]  # fmt: skip


def test_the_first_problems_of_many_are_told_and_the_rest_counted():
    with pytest.raises(EvidenceError) as caught:
        from_data(Tree, {"leaf": {}, "cells": [[]] * 100})

    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "record: 80 more problems"


def test_what_a_type_leaves_free_is_taken_as_it_is():
    assert from_data(Tree, {"leaf": {}, "free": {"any": [1]}}).free == {"any": [1]}


def test_a_cell_keeps_its_own_type():
    cells = from_data(Tree, {"leaf": {}, "cells": [True, 1, 1.0, "1", None]}).cells

    assert [type(cell) for cell in cells] == [bool, int, float, str, type(None)]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4))
@LAWS
def test_no_plain_data_makes_a_record_by_accident_or_crashes_the_reader(data):
    with pytest.raises(EvidenceError):
        from_data(Measurement, data)


@given(evidence(), st.data())
@LAWS
def test_a_field_of_another_type_is_always_noticed(item, data):
    plain = json.loads(canonical(to_data(item) | {"measurement": None, "failure": None}))
    name = data.draw(st.sampled_from(sorted(plain)))
    plain[name] = [None]

    with pytest.raises(EvidenceError):
        from_data(Evidence, plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    street: str
    number: int = 1
    seen: str = field(default="", metadata=UNWRITTEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    place: Place = field(metadata=FLAT)
    rooms: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tent:
    place: Place | None = field(default=None, metadata=FLAT)
    poles: int = 2


@pytest.mark.parametrize(
    ("record", "written"),
    [
        (House(place=Place(street="A", number=4)), {"street": "A", "number": 4, "rooms": 3}),
        (Tent(place=Place(street="A")), {"street": "A", "number": 1, "poles": 2}),
        (Tent(), {"street": None, "number": None, "poles": 2}),
    ],
)
def test_a_flat_record_is_written_beside_the_other_fields_and_read_back(record, written):
    assert to_data(record) == written
    assert again(type(record), record) == record


def test_what_is_not_written_has_its_default_when_read():
    seen = House(place=Place(street="A", seen="yesterday"))

    assert again(House, seen) == House(place=Place(street="A"))


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (House, {"rooms": 3}, ("house.street: missing; a text is needed",)),
        (House, {"street": None}, ("house.street: is None; a text",)),
        (House, {"street": "A", "place": {"street": "B"}}, ("house.place: unknown key",)),
        (House, {"street": "A", "seen": "now"}, ("house.seen: unknown key",)),
        (Tent, {"number": 4}, ("house.street: missing; a text is needed",)),
        (Tent, {"street": None, "number": 4}, ("house.street: is None; a text",)),
    ],
)
def test_a_flat_record_that_is_damaged_is_refused_by_place(kind, data, words):
    with pytest.raises(EvidenceError) as caught:
        from_data(kind, data, "house")

    assert all(word in str(caught.value) for word in words)


def test_a_flat_record_that_may_be_absent_is_absent_where_nothing_of_it_stands():
    assert from_data(Tent, {"poles": 4}) == Tent(poles=4)


#: As version 1 of the format has them: whoever checks a record by hand relies on the bytes.
IDENTITY_BYTES = b"""{
  "artifact_digest": "sha256:2",
  "created": 1700000000000,
  "digest": "sha256:1",
  "format": "pt2",
  "layers": {},
  "model_id": "m-1",
  "name": "retina",
  "parameters": 3,
  "run_id": null,
  "uri": "models:/retina/7",
  "version": "7"
}
"""


def test_an_identity_keeps_the_bytes_of_its_format():
    ref = VersionRef(
        name="retina", version="7", created=1_700_000_000_000, registry="r", workspace="w"
    )
    identity = ModelIdentity(
        uri=ref.uri, digest="sha256:1", artifact_digest="sha256:2", format="pt2", parameters=3,
        ref=ref, model_id="m-1",
    )  # fmt: skip

    assert canonical(to_data(identity)) == IDENTITY_BYTES

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import PolicyError
from governance.records.toml_reader import Reader, parse


def reader(data):
    return Reader(data, "p.toml", "", [])


def test_text_that_is_no_toml_is_refused_with_its_line():
    with pytest.raises(PolicyError, match=r"p\.toml: not valid TOML: .*line 2"):
        parse("a = 1\nb = = 2", "p.toml")


def test_a_file_of_an_editor_that_marks_utf_8_is_read():
    assert parse("\ufeffa = 1", "p.toml").number("a", None) == 1


@pytest.mark.parametrize("text", ["a = " + "[" * 3000, f"a = {'1' * 5000}"], ids=["deep", "long"])
def test_toml_that_python_cannot_hold_is_refused(text):
    with pytest.raises(PolicyError, match="not valid TOML"):
        parse(text, "p.toml")


def test_a_table_inside_a_table_is_named_by_its_path():
    table = reader({"a": {"b": {"c": 1}}}).table("a").table("b")

    table.text("c", None)

    assert table.problems == ["p.toml: a.b.c: is 1; a text is accepted"]


def test_all_tables_of_a_file_share_their_problems():
    root = reader({"items": [{"x": 1}, {"x": 2}]})

    for item in root.tables("items"):
        item.flag("x", default=False)

    assert root.problems == [
        "p.toml: items[0].x: is 1; true or false is accepted",
        "p.toml: items[1].x: is 2; true or false is accepted",
    ]


def test_keys_nobody_asked_for_are_unknown_and_the_asked_ones_are_listed():
    root = reader({"titel": "x", "seed": 1})
    root.text("title", "")
    root.number("seed", 0)

    root.done()

    assert root.problems == ["p.toml: titel: unknown key; accepted are seed, title"]


@pytest.mark.parametrize(
    ("read", "value", "problem"),
    [
        (lambda r: r.text("k", None), 3, "is 3; a text is accepted"),
        (lambda r: r.text("k", None), " ", "is empty; a text is needed"),
        (lambda r: r.flag("k", default=False), "yes", "is 'yes'; true or false is accepted"),
        (lambda r: r.flag("k", default=False), 1, "is 1; true or false is accepted"),
        (lambda r: r.choice("k", "a", ("a", "b")), "c", "is 'c'; one of 'a', 'b' is accepted"),
        (lambda r: r.choice("k", "a", ("a", "b")), 1, "is 1; one of 'a', 'b' is accepted"),
        (lambda r: r.number("k", 0), "1", "is '1'; a number is accepted"),
        (lambda r: r.number("k", 0), True, "is True; a number is accepted"),
        (lambda r: r.number("k", 0, whole=True), 1.5, "is 1.5; a whole number is accepted"),
        (lambda r: r.number("k", 0, lowest=0), -1, "is -1; a number of at least 0 is accepted"),
        (lambda r: r.number("k", 1, above=0), 0, "is 0; a number above 0 is accepted"),
        (lambda r: r.number("k", None), math.nan, "is nan; a number is accepted"),
        (lambda r: r.number("k", None), math.inf, "is inf; a number is accepted"),
        (lambda r: r.number("k", None), 2**63, f"is {2**63}; a number is accepted"),
        (lambda r: r.numbers("k", None), 1, "is 1; a list of numbers is accepted"),
        (lambda r: r.numbers("k", None), [], "is []; a list of numbers is accepted"),
        (lambda r: r.numbers("k", None), ["a"], "is ['a']; a list of numbers is accepted"),
        (lambda r: r.numbers("k", None), [True], "is [True]; a list of numbers is accepted"),
        (lambda r: r.numbers("k", None), [math.nan], "is [nan]; a list of numbers is accepted"),
        (
            lambda r: r.numbers("k", None, whole=True, count=2, above=0),
            [28, 0],
            "is [28, 0]; a list of 2 whole numbers above 0 is accepted",
        ),
        (lambda r: r.table("k"), [1], "is [1]; a table is accepted"),
        (lambda r: r.tables("k"), {"a": 1}, "is {'a': 1}; [[k]] tables is accepted"),
        (lambda r: r.tables("k"), [1], "holds something else; [[k]] tables are accepted"),
        (lambda r: r.named_tables("k"), 1, "is 1; [k.<name>] tables is accepted"),
    ],
)
def test_a_wrong_value_is_one_problem_with_its_place_and_what_is_accepted(read, value, problem):
    root = reader({"k": value})

    read(root)

    assert root.problems == [f"p.toml: k: {problem}"]


def test_a_named_table_that_is_none_is_named():
    root = reader({"analyses": {"performance": 3, "other": {}}})

    assert root.named_tables("analyses") == {"other": {}}
    assert root.problems == ["p.toml: analyses.performance: is 3; a table is accepted"]


@pytest.mark.parametrize("read", [lambda r: r.text("k", None)])
def test_what_is_needed_and_missing_is_a_problem(read):
    root = reader({})

    read(root)

    assert root.problems == ["p.toml: k: missing; a text is needed"]


def test_what_is_optional_and_missing_is_its_default():
    root = reader({})

    assert root.text("a", "x") == "x"
    assert root.flag("b", default=True) is True
    assert root.number("c", None) is None
    assert root.numbers("d", (1.0,)) == (1.0,)
    assert root.choice("e", "p", ("p", "q")) == "p"
    assert root.tables("f") == []
    assert root.named_tables("g") == {}
    assert root.problems == []


@given(st.integers(0, 2**63 - 1))
@settings(max_examples=30, deadline=None)
def test_a_whole_number_is_read_to_the_last_digit(value):
    assert reader({"k": value}).number("k", 0, whole=True) == value

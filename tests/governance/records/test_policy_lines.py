"""Each expectation is found on its line, whatever else the file holds."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.records.policy_lines import expectation_lines

FOREIGN = (
    'title = "[[expectations]]"',
    "# [[expectations]]",
    'why = """\n[[expectations]]\n"""',
    "why = '''\n[[expectations]]'''",
    'why = """\\\n\\"""\n[[expectations]]\n"""',
    'why = ""',
    "why = ''",
    'why = """a""""',
    "[[other.expectations]]",
    "[[expectation]]",
    "list = [[1],\n[2]]",
    "",
)
HEADERS = (
    "[[expectations]]",
    "  [[ expectations ]]  # one",
    '[["expectations"]]',
    "[['expectations']]",
)


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_found_however_it_is_written(header):
    text = f"title = 'x'\n{header}\nmetric = 'a.b'\n{header}\nmetric = 'a.c'\n"

    assert len(tomllib.loads(text)["expectations"]) == 2
    assert expectation_lines(text, 3) == (2, 4, None)


def test_expectations_in_a_list_have_no_lines():
    assert expectation_lines("expectations = [{metric = 'a'}]\n", 1) == (None,)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.sampled_from(HEADERS), st.lists(st.sampled_from(FOREIGN), max_size=3))),
    st.sampled_from(["\n", "\r\n"]),
)
def test_nothing_in_texts_and_comments_is_taken_for_a_header(blocks, end):
    lines, expected = [], []
    for number, (header, others) in enumerate(blocks):
        expected.append(len(lines) + 1)
        lines += header.split("\n")
        for place, other in enumerate(others):
            # a key may stand once in a table, and a header of tables anywhere
            named = other.replace("why", f"why{place}").replace("title", f"title{place}")
            named = named.replace("list", f"list{place}")
            if not named.startswith("[["):
                lines += named.split("\n")
        lines.append(f"number = {number}")
    text = end.join(lines) + end

    tables = tomllib.loads(text).get("expectations", [])
    assert [table["number"] for table in tables] == list(range(len(blocks)))
    assert list(expectation_lines(text, len(blocks))) == expected

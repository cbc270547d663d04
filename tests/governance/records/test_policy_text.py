import math
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from governance.records.policy_text import Line, Section, policy_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.booleans() | texts | numbers | st.lists(numbers, max_size=4).map(tuple)


@given(texts, st.lists(st.tuples(values, texts), max_size=5))
def test_what_is_written_is_read_again_whatever_stands_in_values_and_reasons(opening, entries):
    lines = tuple(
        Line(key=f"k{place}", value=value, why=why) for place, (value, why) in enumerate(entries)
    )

    found = tomllib.loads(policy_text((opening,), (Section(header="[table]", lines=lines),)))

    read = found["table"]
    assert list(read) == [line.key for line in lines]
    for line in lines:
        value = list(line.value) if isinstance(line.value, tuple) else line.value
        assert read[line.key] == value or math.isclose(read[line.key], value)


def test_each_reason_stands_above_its_line():
    section = Section(
        header="[[expectations]]", why="All of it.",
        lines=(Line(key="at_least", value=0.9, why="Measured."), Line(key="on", value="interval")),
    )  # fmt: skip

    assert policy_text(("Drafted.", "Read it."), (section,)) == (
        "# Drafted.\n#\n# Read it.\n\n# All of it.\n[[expectations]]\n# Measured.\n"
        'at_least = 0.9\non = "interval"\n'
    )

"""Description: what others wrote on a version stays, whatever we add to it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.records.decision import Finding
from governance.records.evidence import Interval
from governance.records.policy import Expectation
from governance.registry.description import BEGIN, END, LIMIT, _escaped, _row, merged

pieces = st.lists(st.sampled_from(["a", "\n", "|", "x" * 900, BEGIN]), max_size=8).map("".join)


@given(text=pieces, ours=st.lists(st.text("b\n", max_size=600), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_a_description_keeps_what_others_wrote_and_fits(text, ours):
    text = text[:LIMIT].strip("\n")
    found = text
    for summary in ours:
        found = merged(found, summary)
    assert len(found) <= LIMIT
    assert found == text or (found.startswith(text) and found.endswith(END))


def test_a_new_summary_takes_the_place_of_the_old_one():
    text = merged(merged("mine", "old"), "new")
    assert text == f"mine\n\n{BEGIN}\nnew\n{END}"
    assert merged(f"{text}\nmore", "newer").startswith("mine")
    assert "more" in merged(f"{text}\nmore", "newer")


def test_a_stray_begin_costs_nobody_their_text():
    assert "precious" in merged(merged(f"{BEGIN} precious", "one"), "two")


def test_a_summary_without_room_becomes_its_first_line_and_then_nothing():
    long = "first\n" + "rest" * 100
    assert merged("x" * (LIMIT - 200), long).endswith(f"{BEGIN}\nfirst\n{END}")
    assert merged("x" * LIMIT, long) == "x" * LIMIT


def test_a_class_name_cannot_leave_its_cell():
    assert _escaped("a|b\n<img src=x> [k](javascript:1) `*_") == (
        r"a\|b \<img src=x\> \[k\]\(javascript:1\) \`\*\_"
    )
    assert len(_escaped("a" * 1000)) <= 240


def test_a_value_just_below_1_is_not_called_1_on_the_page_of_its_version():
    expectation = Expectation(metric="performance.accuracy", at_least=1.0)
    found = Finding(
        expectation=expectation,
        observed=0.99996,
        interval=Interval(low=0.95, high=0.99999, n=100),
        outcome="unmet",
        reason="r",
    )

    assert _row(found) == (
        "| performance.accuracy at least 1 | block | 0.99996 [0.9500, 0.99999] | unmet |"
    )

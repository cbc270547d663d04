"""Description: what others wrote on a version stays, whatever we add to it."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.records.decision import Finding
from governance.records.evidence import Interval
from governance.records.policy import Expectation
from governance.records.version_ref import VersionRef
from governance.registry.description import (
    BEGIN,
    END,
    LIMIT,
    _escaped,
    _row,
    about_model,
    merged,
    summary,
)

FIRST = "Governance: approved."
pieces = st.lists(st.sampled_from(["a", "\n", "|", "x" * 900, BEGIN]), max_size=8).map("".join)


@pytest.fixture
def make_findings():
    """A stand-in with all that a summary says: a verdict, three findings and a digest."""

    def made(verdict):
        wanted = [
            Expectation(metric="drift.excess", at_most=1.0, severity="warn"),
            Expectation(metric="performance.recall_worst", at_least=0.8),
            Expectation(metric="performance.accuracy", at_least=0.9),
        ]
        outcomes = [("missing", None), ("unmet", 0.6867), ("met", 0.95)]
        findings = tuple(
            Finding(expectation=item, observed=value, interval=None, outcome=outcome, reason="r")
            for item, (outcome, value) in zip(wanted, outcomes, strict=True)
        )
        return SimpleNamespace(
            decision=SimpleNamespace(verdict=verdict, findings=findings),
            policy=SimpleNamespace(title="T"), created="now", digest="sha256:0",
        )  # fmt: skip

    return made


@given(text=pieces, ours=st.lists(st.text("b\n", max_size=600), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_a_description_keeps_what_others_wrote_and_fits(text, ours):
    text = text[:LIMIT].strip("\n")
    found = text
    for words in ours:
        found = merged(found, f"Governance: review. {words}")
    assert len(found) <= LIMIT
    assert found == text or (found.startswith(text) and found.endswith(END))


def test_a_new_summary_takes_the_place_of_the_old_one():
    text = merged(merged("mine", f"{FIRST} old\nold table"), f"{FIRST} new\nnew table")
    assert text == f"mine\n\n{FIRST} new\n{BEGIN}\nnew table\n{END}"
    later = merged(f"{text}\nmore", f"{FIRST} newer")
    assert later.startswith("mine")
    assert "more" in later
    assert "new " not in later


def test_a_summary_of_an_earlier_release_goes_too():
    earlier = f"mine\n\n{BEGIN}\n**Governance: approved** under the policy T\n{END}"
    assert merged(earlier, f"{FIRST} new") == f"mine\n\n{FIRST} new\n{BEGIN}\n\n{END}"


def test_the_first_line_is_a_plain_sentence_that_says_what_decided(make_findings):
    first, _, rest = summary(make_findings("rejected"), "link").partition("\n")
    assert first == (
        "Governance: rejected. The requirement performance.recall_worst at least 0.8 is not met, "
        "with 0.6867, and 1 more is open."
    )
    assert rest.startswith("By the policy T: [report](link)\n")


def test_the_lines_about_a_model_are_replaced_and_hold_its_name_together(make_findings):
    text = "mine"
    for number in ("9", "10"):
        ref = VersionRef(name="a `b` ](x)", version=number, created=1)
        text = merged(text, about_model(ref, make_findings("rejected")))
    assert text.startswith("mine\n\nGovernance: version 10 was assessed last, by the policy T.\n")
    assert text.count("Governance:") == text.count(BEGIN) == 1
    assert "[version 10](#/models/a%20%60b%60%20%5D%28x%29/versions/10)" in text
    assert "`` governance gate 'models:/a `b` ](x)/10' --keys KEYRING ``" in text


def test_a_stray_begin_costs_nobody_their_text():
    assert "precious" in merged(merged(f"{BEGIN} precious", "one"), "two")


def test_a_summary_without_room_becomes_its_first_line_and_then_nothing():
    long = "first\n" + "rest" * 100
    assert merged("x" * (LIMIT - 200), long).endswith(f"\nfirst\n{BEGIN}\n\n{END}")
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
        "| performance.accuracy at least 1 | block | 0.99996 [0.9500, 0.99999] | not met |"
    )

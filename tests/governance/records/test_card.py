"""A card holds statements of the owner that can be printed, each within its length."""

import re

import pytest

from governance.errors import PolicyError
from governance.records.card import LONGEST_NAME, LONGEST_STATEMENT, Card
from governance.records.policy import Policy
from governance.records.serialisation import from_data, to_data

POLICY = """
title = "t"
[validation]
data = "v"
[[expectations]]
metric = "performance.accuracy"
at_least = 0.9
"""


def read(card: str, expectation: str = "") -> Policy:
    return Policy.loads(f"{POLICY}{expectation}{card}", where="policy.toml")


def test_statements_are_kept_with_their_lines_joined():
    policy = read('[card]\npurpose = """Reads digits\nof forms."""\nclass_noun = "digit"\n')

    assert policy.card == Card(purpose="Reads digits of forms.", class_noun="digit")
    assert from_data(Policy, to_data(policy)) == policy


def test_a_policy_without_a_card_is_written_as_before_there_was_one():
    written = to_data(read(""))

    assert "card" not in written
    assert not {"owner", "due_days"} & set(written["expectations"][0])


def test_a_miss_goes_to_its_owner_within_days():
    (expectation,) = read("", 'owner = "Data team"\ndue_days = 14\n').expectations

    assert (expectation.owner, expectation.due_days) == ("Data team", 14)


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ('purpose = ""', "card.purpose: is empty; a text is accepted"),
        (f'users = "{"x" * (LONGEST_STATEMENT + 1)}"', "card.users: has 601 characters; 600 are"),
        (f'owner = "{"x" * (LONGEST_NAME + 1)}"', "card.owner: has 81 characters; 80 are"),
        ('monitoring = "a\\u202eb"', "card.monitoring: holds U+202E; letters that show are"),
        ("owner = 3", "card.owner: is 3; a text is accepted"),
        ('licence = "x"', "card.licence: unknown key; accepted are class_noun, monitoring, out_of"),
    ],
)
def test_what_cannot_be_printed_is_refused_with_its_place(card, problem):
    with pytest.raises(PolicyError, match=re.escape(problem)):
        read(f"[card]\n{card}\n")


@pytest.mark.parametrize("days", ["0", "3651", "1.5"])
def test_days_that_are_none_are_refused(days):
    with pytest.raises(PolicyError, match="due_days"):
        read("", f"due_days = {days}\n")

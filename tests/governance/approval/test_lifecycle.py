import itertools

import pytest

from governance.approval.lifecycle import (
    LIFECYCLE,
    awaits_verdict,
    rank,
    state_of,
    status_after_interruption,
    step_of,
)

VERDICTS = ("approved", "rejected", "review", "undetermined")


def test_every_state_is_reached_by_what_is_signed_or_by_time():
    verdicts = [state_of("verdict", item) for item in (*VERDICTS, "pending", "running")]
    reached = {*verdicts, state_of("revocation", None), state_of("verdict", "review", expired=True)}

    assert reached == set(LIFECYCLE)


def test_a_revocation_never_expires():
    assert state_of("revocation", None, expired=True) == "revoked"


def test_a_waiver_leaves_the_state_as_it_is():
    assert (state_of("waiver", None), step_of("waiver", None)) == ("pending", "waiver")


@pytest.mark.parametrize("status", [None, "pending", "running"])
def test_a_version_without_a_verdict_awaits_one(status):
    assert awaits_verdict(status)
    assert status_after_interruption(status) == "pending"


@pytest.mark.parametrize("status", [*VERDICTS, "made up"])
def test_a_verdict_and_a_word_of_someone_elses_are_not_awaited_and_come_back(status):
    assert not awaits_verdict(status)
    assert status_after_interruption(status) == status


def test_nothing_follows_a_revocation_but_waivers():
    for state, step in itertools.product(LIFECYCLE, ("progress", "verdict", "revocation")):
        assert LIFECYCLE[state].follow[step] == ("never" if state == "revoked" else "after")
    assert {row.follow["waiver"] for row in LIFECYCLE.values()} == {"always"}


def test_of_one_second_the_stricter_statement_stands():
    verdicts = ("running", "pending", "approved", "review", "undetermined", "rejected")

    ranks = [*(rank("verdict", item) for item in verdicts), rank("revocation", None)]

    assert ranks == sorted(set(ranks))

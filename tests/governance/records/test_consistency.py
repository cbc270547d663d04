"""Consistency: a record follows from itself, or says where it does not."""

import dataclasses

import pytest
import versions

from governance.records.consistency import contradictions
from governance.records.decision import judge
from governance.records.evidence import Evidence, Measurement
from governance.records.policy import Expectation, Policy
from governance.records.waiver import Waiver

TEXT = """
title = "T"
[validation]
data = "v"
[[expectations]]
metric = "alpha.x"
at_least = 0.5
"""
EVIDENCE = Evidence(
    analysis="alpha", about="", parameters={}, seed=0, seconds=0.0, device="cpu",
    measurement=Measurement(metrics={"x": 0.4}),
)  # fmt: skip
WAIVER = Waiver(
    metric="alpha.x", bound=0.3, reason="r", approver="a", issued=1_795_000_000,
    expires=1_796_000_000, token="0" * 64,
)  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    """alpha.x = 0.4 where 0.5 is expected, waived down to 0.3."""
    policy = Policy.loads(TEXT, where="policy.toml")
    return dataclasses.replace(
        versions.record("a"), policy=policy, evidence=(EVIDENCE,), waivers=(WAIVER,),
        decision=judge(policy, (EVIDENCE,), (WAIVER,)),
    )  # fmt: skip


def problems(record, **changes):
    return list(contradictions(dataclasses.replace(record, **changes)))


def test_a_record_that_follows_from_itself_has_no_contradiction(whole):
    assert whole.decision.verdict == "approved"
    assert problems(whole) == []


def test_built_in_expectations_and_a_completed_path_are_no_contradiction(whole):
    policy = dataclasses.replace(
        whole.policy.with_standing([Expectation(metric="beta.y", at_most=1.0, severity="warn")]),
        validation="/data/v",
    )
    decision = judge(policy, whole.evidence, whole.waivers)
    assert problems(whole, policy=policy, decision=decision) == []


def test_other_words_for_the_same_finding_are_no_contradiction(whole):
    (finding,) = whole.decision.findings
    reworded = dataclasses.replace(finding, reason="in the words of an older version")
    decision = dataclasses.replace(whole.decision, findings=(reworded,))
    assert problems(whole, decision=decision) == []


@pytest.mark.parametrize(
    "change",
    [
        {"observed": 0.6},
        {"outcome": "met"},
        {"expectation": Expectation(metric="alpha.x", at_least=0.1)},
    ],
    ids=str,
)
def test_a_finding_that_does_not_follow_is_named(whole, change):
    (finding,) = whole.decision.findings
    forged = (dataclasses.replace(finding, **change),)
    decision = dataclasses.replace(whole.decision, findings=forged)
    (problem,) = problems(whole, decision=decision)
    assert "says approved and its evidence, judged again, gives approved, by other" in problem


def test_a_verdict_that_does_not_follow_is_named(whole):
    (problem,) = problems(whole, waivers=())
    assert "says approved and its evidence, judged again, gives rejected" in problem


@pytest.mark.parametrize("created", ["2026-11-02T12:00:00+00:00", "2027-11-22T12:00:00+00:00"])
def test_a_waiver_that_did_not_hold_is_named(whole, created):
    (problem,) = problems(whole, created=created)
    assert "rests on a waiver of alpha.x that did not hold then" in problem


@pytest.mark.parametrize("text", ["", "title = 3", TEXT.replace("0.5", "0.4"), TEXT + "seed = 1"])
def test_a_policy_that_is_not_its_text_is_named(whole, text):
    policy = dataclasses.replace(whole.policy, text=text)
    found = problems(whole, policy=policy)
    assert found
    assert all("policy" in problem for problem in found)

"""The judgement of evidence: its table, its laws, and what is never met."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import bodies, expectations, few_analyses, judged_policies, small

from governance.records.decision import EXIT_CODES, judge
from governance.records.evidence import Evidence, Failure, Interval, Measurement
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.records.severities import GRAVEST_FIRST, SEVERITIES
from governance.records.waiver import Waiver

LAWS = settings(max_examples=60, deadline=None)


MET = Expectation(metric="a.y", at_least=0)


def policy_of(*items, standing=()):
    policy = Policy(
        title="t", validation="v", model=ModelTerms(), analyses={}, expectations=tuple(items)
    )
    return policy.with_standing(standing)


def measured(analysis="a", intervals=None, **metrics):
    return Evidence(
        analysis=analysis, about="", parameters={}, seed=0, seconds=0.0, device="cpu",
        measurement=Measurement(metrics=metrics, intervals=intervals or {}),
    )  # fmt: skip


def crashed(analysis="a"):
    return Evidence(
        analysis=analysis, about="", parameters={}, seed=0, seconds=0.0, device="cpu",
        failure=Failure(kind="ValueError", message="no"),
    )  # fmt: skip


def rank(verdict):
    return {"approved": 0, "review": 1, "undetermined": 2, "rejected": 3}[verdict]


# Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("outcome", ["unmet", "missing"])
def test_a_miss_alone_leads_to_the_verdict_of_the_table(severity, outcome):
    policy = policy_of(Expectation(metric="a.x", at_least=1, severity=severity), MET)
    body = [measured(x=0.0 if outcome == "unmet" else None, y=1.0)]

    consequence = getattr(SEVERITIES[severity], outcome)
    assert judge(policy, body).verdict == (consequence or "approved")


def test_the_documentation_of_policies_names_every_severity():
    page = (Path(__file__).parents[3] / "docs/reference/policy.md").read_text(encoding="utf-8")

    assert [name for name in SEVERITIES if f"`{name}`" not in page] == []


def test_a_severity_decides_by_both_misses_or_by_none():
    for name, item in SEVERITIES.items():
        assert (item.unmet is None) == (item.missing is None)
        decides = Expectation(metric="a.x", at_least=1, severity=name).decides
        assert decides == (item.unmet is not None)
    assert set(GRAVEST_FIRST) == set(EXIT_CODES)


def test_a_standing_expectation_rejects_like_any_other():
    policy = policy_of(
        Expectation(metric="a.x", at_least=0.2), standing=(Expectation(metric="b.y", at_most=0.0),)
    )

    decision = judge(policy, [measured(x=1.0), measured("b", y=1.0)])

    assert decision.verdict == "rejected"


# Judging -----------------------------------------------------------------------------------------


def test_exit_codes_are_those_that_scripts_depend_on():
    assert EXIT_CODES == {"approved": 0, "rejected": 10, "review": 20, "undetermined": 30}


@pytest.mark.parametrize("block", ["met", "unmet", "missing"])
@pytest.mark.parametrize("review", ["met", "unmet", "missing"])
@pytest.mark.parametrize("warn", ["met", "unmet", "missing"])
def test_the_verdict_follows_the_table(block, review, warn):
    # arrange
    values = {"met": 1.0, "unmet": 0.0, "missing": math.nan}
    outcomes = dict(zip(SEVERITIES, (block, review, warn), strict=True))
    policy = policy_of(
        *(Expectation(metric=f"a.{s}", at_least=0.5, severity=s) for s in SEVERITIES)
    )

    # act
    decision = judge(policy, [measured(**{s: values[o] for s, o in outcomes.items()})])

    # assert
    expected = "approved"
    if review != "met":
        expected = "review"
    if block == "missing":
        expected = "undetermined"
    if block == "unmet":
        expected = "rejected"
    assert decision.verdict == expected
    assert [item.outcome for item in decision.findings] == [block, review, warn]


@pytest.mark.parametrize("items", [(), (Expectation(metric="a.x", at_least=0, severity="warn"),)])
def test_a_policy_without_weight_approves_nothing(items):
    assert judge(policy_of(*items), [measured(x=1.0)]).verdict == "undetermined"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "a was not run"),
        ([crashed()], "a failed: no"),
        ([measured(y=1.0)], "a ran but gave no finite x"),
        ([measured(x=None)], "a ran but gave no finite x"),
        ([measured(x=math.nan)], "a ran but gave no finite x"),
        ([measured(x=math.inf)], "a ran but gave no finite x"),
        ([measured("b", x=1.0)], "a was not run"),
    ],
)
def test_what_was_not_measured_is_missing_and_never_met(body, reason):
    for bound in ({"at_least": -1e9}, {"at_most": 1e9}):
        (finding,) = judge(policy_of(Expectation(metric="a.x", **bound)), body).findings
        assert (finding.outcome, finding.observed, finding.reason) == ("missing", None, reason)


def test_a_finding_says_why_its_metric_is_missing():
    answered = measured(x=None)
    noted = replace(answered.measurement, notes=("Missing: x and y, since there is no image.",))
    evidence = replace(answered, measurement=noted)

    (finding,) = judge(policy_of(Expectation(metric="a.x", at_most=1.0)), [evidence]).findings

    assert (finding.outcome, finding.reason) == (
        "missing", "a ran but gave no finite x: there is no image",
    )  # fmt: skip


def test_the_bound_itself_is_accepted_and_nothing_is_rounded():
    for value, outcome in ((0.9, "met"), (math.nextafter(0.9, 0), "unmet")):
        (finding,) = judge(
            policy_of(Expectation(metric="a.x", at_least=0.9)), [measured(x=value)]
        ).findings
        assert finding.outcome == outcome


@pytest.mark.parametrize(
    ("value", "at_least", "reason"),
    [
        (0.9333333333, 0.9, "estimate 0.9333 is at least 0.9"),
        (0.89999, 0.9, "estimate 0.89999 is not at least 0.9"),
        (0.99999, 1.0, "estimate 0.99999 is not at least 1"),
        (1.0, 0.5, "estimate 1 is at least 0.5"),
        (math.nextafter(0.9, 0), 0.9, "estimate >0.899999 is not at least 0.9"),
    ],
)
def test_the_reason_never_rounds_to_the_bound_or_to_one(value, at_least, reason):
    policy = policy_of(Expectation(metric="a.x", at_least=at_least))

    assert judge(policy, [measured(x=value)]).findings[0].reason == reason


@pytest.mark.parametrize(
    ("bound", "outcome"),
    [({"at_least": 0.8}, "unmet"), ({"at_least": 0.7}, "met"), ({"at_most": 0.9}, "unmet")],
)
def test_an_expectation_on_the_interval_takes_the_end_nearer_to_failing(bound, outcome):
    body = [measured(x=0.85, intervals={"x": Interval(low=0.75, high=0.95, n=10)})]

    (finding,) = judge(policy_of(Expectation(metric="a.x", on="interval", **bound)), body).findings

    assert finding.outcome == outcome
    assert finding.observed == 0.85
    assert finding.interval.n == 10


def test_without_an_interval_nothing_can_be_judged_on_it():
    policy = policy_of(Expectation(metric="a.x", at_least=0.0, on="interval"))

    assert judge(policy, [measured(x=1.0)]).verdict == "undetermined"


def drift(failure=None, **metrics):
    """Evidence of drift, or of why there is none."""
    measurement = None if failure else Measurement(metrics=metrics)
    return Evidence(
        analysis="drift", about="", parameters={}, seed=0, seconds=0.0, device="cpu",
        measurement=measurement, failure=failure,
    )  # fmt: skip


FIRST = Failure(kind="not applicable", message="no approved version went before this one")


@pytest.mark.parametrize("severity", SEVERITIES)
def test_what_is_expected_of_drift_does_not_apply_to_a_first_version(severity):
    expected = Expectation(metric="drift.excess", at_most=1.0, severity=severity)
    accurate = Expectation(metric="drift.p", at_least=0.0)
    other = replace(drift(p=0.5), analysis="performance")
    policy = replace(
        policy_of(),
        expectations=(expected, replace(accurate, metric="performance.p")),
    )
    decision = judge(policy, [drift(FIRST), other])
    assert [item.outcome for item in decision.findings] == ["inapplicable", "met"]
    assert decision.findings[0].reason == FIRST.message
    assert decision.verdict == "approved"


def test_where_nothing_applies_nothing_is_approved():
    policy = replace(policy_of(), expectations=(Expectation(metric="drift.excess", at_most=1.0),))
    assert judge(policy, [drift(FIRST)]).verdict == "undetermined"
    assert judge(policy, []).verdict == "undetermined"


def test_no_other_evidence_is_excused_and_drift_for_no_other_reason():
    policy = replace(policy_of(), expectations=(Expectation(metric="drift.excess", at_most=1.0),))
    (finding,) = judge(policy, [drift(Failure(kind="EvidenceError", message="m"))]).findings
    assert finding.outcome == "missing"
    elsewhere = replace(drift(FIRST), analysis="performance")
    asked = replace(policy, expectations=(Expectation(metric="performance.excess", at_most=1.0),))
    (finding,) = judge(asked, [elsewhere]).findings
    assert finding.outcome == "missing"


def test_withdrawn_evidence_counts_as_missing_with_its_reasons():
    policy = policy_of(Expectation(metric="a.x", at_least=0.5))
    good = measured(x=1.0)
    kept_back = replace(good, measurement=replace(good.measurement, withdrawn=("one", "two")))

    (finding,) = judge(policy, [kept_back]).findings

    assert judge(policy, [good]).verdict == "approved"
    assert judge(policy, [kept_back]).verdict == "undetermined"
    assert (finding.outcome, finding.observed) == ("missing", None)
    assert finding.reason == "a was withdrawn: one; two"


@given(st.data())
@LAWS
def test_removing_evidence_never_turns_a_decision_into_approved(data):
    # arrange
    policy, body = data.draw(judged_policies), data.draw(bodies())
    before = judge(policy, body).verdict
    assume(before != "approved")

    # act: drop whole items, metrics of an item, or its measurement, or withdraw it
    kept = []
    for item in body:
        fate = data.draw(st.sampled_from(("keep", "drop", "thin", "crash", "withdraw")))
        if fate == "drop":
            continue
        if fate == "thin" and item.measurement:
            metrics = dict(item.measurement.metrics)
            gone = data.draw(st.sets(st.sampled_from(sorted(metrics)))) if metrics else set()
            left = {name: value for name, value in metrics.items() if name not in gone}
            intervals = {
                name: interval
                for name, interval in item.measurement.intervals.items()
                if name in left and data.draw(st.booleans())
            }
            item = replace(item, measurement=Measurement(metrics=left, intervals=intervals))  # noqa: PLW2901 - thinned
        if fate == "withdraw" and item.measurement:
            item = replace(item, measurement=replace(item.measurement, withdrawn=("r",)))  # noqa: PLW2901 - withdrawn
        if fate == "crash":
            item = replace(item, measurement=None, failure=Failure(kind="k", message="m"))  # noqa: PLW2901 - crashed
        kept.append(item)

    # assert
    assert judge(policy, kept).verdict != "approved"


@given(judged_policies, bodies())
@LAWS
def test_approved_means_that_every_weighty_expectation_was_measured_and_met(policy, body):
    decision = judge(policy, body)
    values = {
        f"{item.analysis}.{name}": value
        for item in body
        if item.measurement
        for name, value in item.measurement.metrics.items()
    }

    weighty = [item for item in policy.expectations if item.severity != "warn"]
    measured_all = all(values.get(item.metric) is not None for item in weighty)
    if decision.verdict == "approved":
        assert weighty
        assert measured_all
        for item in weighty:
            if item.on == "estimate" and item.at_least is not None:
                assert values[item.metric] >= item.at_least
            if item.on == "estimate" and item.at_most is not None:
                assert values[item.metric] <= item.at_most


@given(judged_policies, bodies(), expectations())
@LAWS
def test_one_more_expectation_never_makes_a_verdict_better(policy, body, extra):
    assume(any(item.severity != "warn" for item in policy.expectations))
    stricter = replace(policy, expectations=(*policy.expectations, extra))

    assert rank(judge(stricter, body).verdict) >= rank(judge(policy, body).verdict)


@given(few_analyses, small, small, st.floats(0, 1), st.sampled_from(tuple(SEVERITIES)))
@LAWS
def test_a_laxer_bound_never_makes_a_verdict_worse(analysis, value, bound, slack, severity):
    body = [measured(analysis, x=value)]
    metric = f"{analysis}.x"
    strict = policy_of(Expectation(metric=metric, at_least=bound, severity=severity))
    lax = policy_of(Expectation(metric=metric, at_least=bound - slack, severity=severity))

    assert rank(judge(lax, body).verdict) <= rank(judge(strict, body).verdict)


@given(judged_policies, bodies())
@LAWS
def test_warnings_never_change_a_verdict(policy, body):
    weighty = tuple(item for item in policy.expectations if item.severity != "warn")

    assert judge(replace(policy, expectations=weighty), body).verdict == judge(policy, body).verdict


@given(judged_policies, bodies(), st.randoms())
@LAWS
def test_the_order_of_evidence_does_not_matter(policy, body, random):
    mixed = list(body)
    random.shuffle(mixed)

    assert judge(policy, mixed) == judge(policy, body)


@given(judged_policies, bodies())
@LAWS
def test_there_is_one_finding_for_every_expectation_in_its_order(policy, body):
    findings = judge(policy, body).findings

    assert tuple(item.expectation for item in findings) == policy.expectations
    assert all(item.reason for item in findings)


def waiver(**changes):
    fields = {
        "metric": "a.x", "bound": 0.5, "reason": "pilot", "approver": "ann", "issued": 0,
        "expires": 86_400, "token": "0" * 64,
    }  # fmt: skip
    return Waiver(**{**fields, **changes})


@pytest.mark.parametrize(
    ("bounds", "value", "bound", "outcome"),
    [
        ({"at_least": 0.9}, 0.7, 0.5, "waived"),
        ({"at_least": 0.9}, 0.5, 0.5, "waived"),
        ({"at_least": 0.9}, 0.4999, 0.5, "unmet"),
        ({"at_least": 0.9}, 0.95, 0.99, "met"),
        ({"at_most": 0.1}, 0.3, 0.3, "waived"),
        ({"at_most": 0.1}, 0.3001, 0.3, "unmet"),
        ({"at_most": 0.1}, 0.05, 0.3, "met"),
    ],
)
def test_a_waiver_reaches_as_far_as_its_bound(bounds, value, bound, outcome):
    policy = policy_of(Expectation(metric="a.x", **bounds))

    (finding,) = judge(policy, [measured(x=value)], [waiver(bound=bound)]).findings

    assert finding.outcome == outcome


def test_a_waived_finding_names_who_why_and_until_when():
    policy = policy_of(Expectation(metric="a.x", at_least=0.9))

    decision = judge(policy, [measured(x=0.7)], [waiver(metric="a.y"), waiver()])

    assert decision.verdict == "approved"
    assert decision.findings[0].reason == (
        "estimate 0.7000 is not at least 0.9; waived by ann up to 0.5 until 1970-01-02: pilot"
    )


@pytest.mark.parametrize("body", [[], [crashed()], [measured(y=1.0)], [measured(x=math.nan)]])
def test_what_is_missing_is_never_waived(body):
    policy = policy_of(Expectation(metric="a.x", at_least=0.9))

    assert judge(policy, body, [waiver(bound=-1e9)]) == judge(policy, body)


def test_a_waiver_is_held_against_what_the_expectation_is():
    item = Expectation(metric="a.x", at_least=0.9, on="interval")
    body = [measured(intervals={"x": Interval(low=0.4, high=1.0, n=9)}, x=0.7)]

    assert judge(policy_of(item), body, [waiver(bound=0.5)]).findings[0].outcome == "unmet"
    assert judge(policy_of(item), body, [waiver(bound=0.4)]).findings[0].outcome == "waived"


@given(judged_policies, bodies(), expectations(), st.floats(-2, 2))
@LAWS
def test_a_waiver_changes_its_own_metric_and_only_unmet_findings(policy, body, item, bound):
    before = judge(policy, body).findings
    after = judge(policy, body, [waiver(metric=item.metric, bound=bound)]).findings

    for old, new in zip(before, after, strict=True):
        if old.outcome != "unmet" or old.expectation.metric != item.metric:
            assert new == old
        assert new.outcome == old.outcome or (old.outcome, new.outcome) == ("unmet", "waived")

"""A finding in words says what was required, what was measured and what to do, and no more."""

import dataclasses

from governance.records.assessment import Assessment, Baseline
from governance.records.card import Card
from governance.records.decision import judge
from governance.records.evidence import Evidence, Failure, Interval, Measurement, Table
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.records.waiver import Waiver
from reports.findings import findings
from reports.verdicts import verdict_sentence


def evidence(analysis: str, measurement: Measurement | None, failure: Failure | None = None):
    return Evidence(
        analysis=analysis,
        about="",
        parameters={},
        seed=0,
        seconds=1.0,
        device="cpu",
        measurement=measurement,
        failure=failure,
    )


def performance(recalls: dict[str, float], worst: Interval | None = None) -> Evidence:
    interval = worst or Interval(low=0.6202, high=0.7992, n=150)
    table = Table(
        name="confusions",
        caption="",
        columns=("class", "named", "images"),
        rows=(("8", "9", 12), ("8", "5", 10), ("8", "6", 10), ("8", "0", 6), ("8", "1", 7)),
    )
    return evidence(
        "performance",
        Measurement(
            metrics={
                "accuracy": 0.933,
                "recall_worst": min(recalls.values()),
                **{f"recall.{name}": value for name, value in recalls.items()},
            },
            intervals={"recall_worst": interval},
            tables=(table,),
        ),
    )


def judged(
    assessment: Assessment, *expectations: Expectation, found=(), waivers=(), **changes
) -> Assessment:
    policy = Policy(
        title="t", validation="v", model=ModelTerms(), analyses={}, expectations=expectations
    )
    return dataclasses.replace(
        assessment,
        policy=policy,
        evidence=tuple(found),
        decision=judge(policy, found, waivers),
        waivers=tuple(waivers),
        baseline=None,
        **changes,
    )


def with_classes(assessment: Assessment, *names: str) -> Assessment:
    counts = (150,) * len(names)
    identity = dataclasses.replace(
        assessment.validation, class_names=names, class_counts=counts, images=150 * len(names)
    )
    return dataclasses.replace(assessment, validation=identity)


RECALL = Expectation(metric="performance.recall_worst", at_least=0.8, rationale="Every digit.")
NOTHING = Measurement(metrics={"drifted": None}, unanswered=("how much is usual: 0 runs",))


def test_a_class_that_is_recognised_too_rarely_is_named_with_value_bound_and_interval(assessment):
    told = judged(
        with_classes(assessment, "7", "8"), RECALL, found=[performance({"7": 0.96, "8": 0.7})]
    )
    noun = dataclasses.replace(told.policy, card=Card(class_noun="digit"))
    (finding,) = findings(dataclasses.replace(told, policy=noun))

    assert verdict_sentence(told) == (
        "Rejected: class 8 is recognised in 70\u202f% of its images; at least 80\u202f% are "
        "required (95\u202f% interval 62.0 to 79.9\u202f%)."
    )
    assert finding.title == "The digit 8 is misread in 45 of 150 images"
    assert finding.class_name == "8"
    assert finding.rule.endswith("The interval agrees: it lies wholly below 80\u202f%.")
    assert "The 45 misread images go to 5 other classes" in finding.cause
    assert finding.remedy.startswith("Do not release.")


def test_the_baseline_is_asked_for_the_same_class(assessment):
    told = judged(
        with_classes(assessment, "7", "8"), RECALL, found=[performance({"7": 0.96, "8": 0.7})]
    )
    before = Baseline(
        identity=told.identity,
        assessment_digest="sha256:0",
        validation_digest="of other images",
        verdict="approved",
        metrics={"performance.recall_worst": 0.9, "performance.recall.8": 0.96},
    )
    (finding,) = findings(dataclasses.replace(told, baseline=before))

    assert finding.baseline.endswith("had 96\u202f% on other images.")


def test_a_requirement_that_was_not_measured_is_told_with_its_reason(assessment):
    expected = Expectation(metric="drift.drifted", at_most=0.0, severity="block")
    told = judged(assessment, expected, found=[evidence("drift", NOTHING)])
    (finding,) = findings(told)

    assert verdict_sentence(told) == (
        "Undetermined: whether the reasons changed more than is usual was not measured: the "
        "analysis gave no value."
    )
    assert finding.cause == "How much is usual: 0 runs."
    assert finding.value == "not measured"


def test_what_does_not_apply_has_a_dash_and_a_reason(assessment):
    failure = Failure(kind="not applicable", message="no version went before")
    told = judged(
        assessment,
        Expectation(metric="drift.drifted", at_most=0.0, severity="warn"),
        Expectation(metric="performance.accuracy", at_least=0.9),
        found=[evidence("drift", None, failure), performance({"7": 0.96})],
    )
    finding = findings(told)[0]

    assert finding.value == "\N{EN DASH}"
    assert finding.sentence.endswith("is not applicable: no version went before.")
    assert (finding.cause, finding.remedy) == ("", "")


def test_a_met_requirement_whose_interval_crosses_its_bound_says_so(assessment):
    wide = Interval(low=0.75, high=0.9, n=150)
    told = judged(with_classes(assessment, "8"), RECALL, found=[performance({"8": 0.85}, wide)])
    (finding,) = findings(told)

    assert finding.crosses
    assert finding.margin is not None
    assert finding.margin < 0
    assert "By the interval it cannot be told: 75 to 90\u202f% lies on both sides" in finding.rule


def test_an_unmet_interval_around_a_good_estimate_does_not_call_the_estimate_bad(assessment):
    on_interval = dataclasses.replace(RECALL, on="interval")
    wide = Interval(low=0.75, high=0.9, n=150)
    told = judged(
        with_classes(assessment, "8"), on_interval, found=[performance({"8": 0.85}, wide)]
    )
    (finding,) = findings(told)

    assert finding.title == "Recall of the lowest class: the interval reaches beyond the bound"
    assert finding.rule == ("The lower end of the interval, 75\u202f%, is held against the bound.")


def test_a_waiver_keeps_the_finding_and_adds_who_until_when_and_why(assessment):
    waiver = Waiver(
        metric=RECALL.metric, bound=0.6, reason="Known; retrained in May.", approver="Ada",
        issued=0, expires=86_400, token="0" * 64,
    )  # fmt: skip
    told = judged(
        with_classes(assessment, "8"), RECALL, found=[performance({"8": 0.7})], waivers=[waiver]
    )
    (finding,) = findings(told)

    assert finding.outcome == "waived"
    assert finding.sentence.endswith("Waived until 1970-01-02 by Ada: Known; retrained in May.")
    assert finding.consequence == "45 of 150 images of class 8 would be read wrongly."


def test_a_class_name_that_reads_like_a_sentence_is_quoted_and_filled_in_once(assessment):
    hostile = "8 is fine. {value}\n\u202e“approved”"
    told = judged(with_classes(assessment, hostile), RECALL, found=[performance({hostile: 0.7})])
    (finding,) = findings(told)

    assert finding.title == (
        "Class “8 is fine. {value} \ufffd'approved'” is misread in 45 of 150 images"
    )


def test_a_class_name_of_a_page_is_told_by_its_beginning_and_length(assessment):
    name = "very long " * 40
    told = judged(with_classes(assessment, name), RECALL, found=[performance({name: 0.7})])

    assert len(findings(told)[0].title) < 120
    assert "[400 characters]" in findings(told)[0].title


def test_what_the_whole_interval_shows_is_told_before_what_it_leaves_open(assessment):
    gap = Expectation(metric="layer_prediction.lens_probe_gap", at_most=0.12)
    lens = Measurement(
        metrics={"lens_probe_gap": 0.3},
        intervals={"lens_probe_gap": Interval(low=0.1, high=0.5, n=100)},
    )
    accuracy = Expectation(metric="performance.accuracy", at_least=0.99, severity="review")
    told = judged(
        with_classes(assessment, "8"),
        accuracy,
        gap,
        RECALL,
        found=[performance({"8": 0.7}), evidence("layer_prediction", lens)],
    )

    assert [item.metric for item in findings(told)] == [
        RECALL.metric, gap.metric, accuracy.metric,
    ]  # fmt: skip
    assert [item.number for item in findings(told)] == [1, 2, 3]


def test_an_approval_is_told_by_its_lowest_class(assessment):
    narrow = Interval(low=0.9, high=0.97, n=150)
    told = judged(with_classes(assessment, "8"), RECALL, found=[performance({"8": 0.95}, narrow)])

    assert verdict_sentence(told) == (
        "Approved: the one applicable requirement is met. Class 8 is recognised in 95\u202f% of "
        "its images; at least 80\u202f% are required (95\u202f% interval 90 to 97\u202f%)."
    )


def test_a_policy_of_which_nothing_applies_supports_no_verdict(assessment):
    told = judged(assessment)

    assert verdict_sentence(told) == (
        "Undetermined: no requirement that decides applies, so nothing supports a verdict."
    )

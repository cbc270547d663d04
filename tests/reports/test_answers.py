"""Answers: a sentence says no more than the record, whatever is waived, missing or unusual."""

import dataclasses

import pytest

from governance.records.decision import judge
from governance.records.evidence import Measurement, Table
from governance.records.policy import Expectation
from governance.records.waiver import LATEST, Waiver
from reports.answers import answer_of

GAPS = ("class", "gap", "n", "probe_recall", "lens_recall")
GAP = "layer_prediction.lens_probe_gap"


def answered(whole, analysis, measurement, *, bounds=(), waivers=()):
    """The answer of one analysis that measured this, judged under these bounds."""
    evidence = dataclasses.replace(
        whole.evidence[0], analysis=analysis, measurement=measurement, failure=None
    )
    policy = dataclasses.replace(whole.policy, expectations=tuple(bounds))
    decision = judge(policy, (evidence,), waivers)
    judged = dataclasses.replace(
        whole, evidence=(evidence,), policy=policy, decision=decision, waivers=tuple(waivers)
    )
    return answer_of(judged, evidence, "class")


def gaps(second=0.01):
    rows = (("a", 0.4, 50, 0.9, 0.5), ("b", second, 50, 0.9, None))
    table = Table(name="gaps", caption="Gaps.", columns=GAPS, rows=rows)
    return Measurement(metrics={"lens_probe_gap": 0.4}, tables=(table,))


def test_a_gap_over_its_bound_is_no_yes_even_where_it_is_waived(assessment):
    bound = Expectation(metric=GAP, at_most=0.2)
    waiver = Waiver(
        metric=GAP, bound=0.5, approver="Ada", reason="Known.",
        issued=1_795_000_000, expires=LATEST, token="0" * 64,
    )  # fmt: skip

    for waivers in ((), (waiver,)):
        text = answered(assessment, "layer_prediction", gaps(), bounds=(bound,), waivers=waivers)
        assert text.text.startswith("Not for class a: ")


@pytest.mark.parametrize(
    ("metric", "most", "start"),
    [
        (GAP, 0.5, "As far as can be seen, yes: "),
        ("layer_prediction.other", 0.5, "Cannot tell: "),
        (f"{GAP}.b", 0.5, "Cannot tell: "),
    ],
)
def test_only_a_bound_that_is_kept_makes_a_yes(assessment, metric, most, start):
    bound = Expectation(metric=metric, at_most=most)

    found = answered(assessment, "layer_prediction", gaps(), bounds=(bound,))

    assert found.text.startswith(start)


def test_a_gap_that_was_not_measured_is_not_told_as_none(assessment):
    text = answered(assessment, "layer_prediction", gaps(second=None)).text

    assert "every other class" not in text
    assert "0\N{NO-BREAK SPACE}points" not in text


@pytest.mark.parametrize(
    ("border", "start"), [(0.2, "Mostly the inside"), (0.6, "The border at least as much")]
)
def test_heat_maps_on_the_border_are_not_told_as_inside(assessment, border, start):
    measurement = Measurement(metrics={"border_mass": border})

    assert answered(assessment, "explanation_maps", measurement).text.startswith(start)

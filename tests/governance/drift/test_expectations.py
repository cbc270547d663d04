"""Terms: what a policy may say about drift, and what stands under it unless it says otherwise."""

from dataclasses import replace

import pytest

from governance.drift import METRICS, about, problems, standing, unanswerable
from governance.records.assessment import Assessment
from governance.records.drift_terms import DriftTerms, Envelope
from governance.records.lineage import Lineage
from governance.records.policy import Written


def written(metric):
    return Written("expectations[0]", metric, {})


def test_expecting_something_of_drift_needs_the_table(drifting):
    without = replace(drifting, drift=None)
    (problem,) = problems(without, [written("drift.excess"), written("performance.accuracy")])
    assert problem.startswith("expectations[0].metric: 'drift.excess' is expected")
    assert "a table [drift] is needed" in problem


def test_drift_needs_the_maps_and_statistics_that_exist(drifting):
    terms = DriftTerms(statistics=("rank", "region:corner", "region:other", "ssim"),
                       regions={"corner": (0, 0, 1, 1)})  # fmt: skip
    found = problems(replace(drifting, analyses={}, drift=terms), [])
    assert "[analyses.explanation_maps] is needed" in found[0]
    assert ["'region:other'" in found[1], "'ssim'" in found[2], len(found)] == [True, True, 3]
    assert "region:corner" in found[1]


def test_a_policy_in_order_has_no_problems(drifting):
    assert problems(drifting, [written("drift.excess")]) == []


def test_drift_rejects_and_what_is_not_shown_asks_a_person():
    severities = {item.metric: (item.severity, item.at_most) for item in standing(DriftTerms())}
    assert severities == {"drift.drifted": ("block", 0.0), "drift.excess": ("review", 1.0)}


def test_a_budget_and_an_envelope_bring_their_own_expectations():
    terms = DriftTerms(budget=0.3, envelope=Envelope(drift=0.1))
    bounds = {item.metric: (item.severity, item.at_most) for item in standing(terms)}
    assert bounds["drift.to_first_upper"] == ("block", 0.3)
    assert bounds["drift.outside_envelope"] == ("block", 0.0)


@pytest.mark.parametrize("terms", [DriftTerms(), DriftTerms(budget=1, envelope=Envelope(drift=1))])
def test_everything_expected_is_declared(terms):
    assert {item.metric.partition(".")[2] for item in standing(terms)} <= set(METRICS)


def test_only_a_version_known_to_be_the_first_is_excused(first):
    assert isinstance(first, Assessment)
    assert unanswerable(Lineage(previous=first)) is None
    assert unanswerable(Lineage()).kind == "not applicable"
    assert unanswerable(None).kind == "not run"
    unknown = unanswerable(Lineage(unknown="x is not registered"))
    assert (unknown.kind, unknown.message) == ("not run", "no comparison: x is not registered")


def test_the_description_has_the_headings_a_report_prints():
    for heading in ("Purpose", "Method", "Signs of risk", "Limits"):
        assert f"\n{heading}\n" in about()

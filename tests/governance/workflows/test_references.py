"""Reference making: what a reference is put through; the rest is tried on the command line."""

from dataclasses import replace

import pytest

from governance.errors import SubjectError
from governance.records.drift_terms import DriftTerms
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.workflows.references import cheap, load_recipe

POLICY = Policy(
    title="T",
    validation="v",
    model=ModelTerms(),
    analyses={
        "explanation_maps": {"samples": 60},
        "layer_prediction": {},
        "filter_importance": {},
        "genetic_explanation": {},
    },
    expectations=(Expectation(metric="performance.accuracy", at_least=0.5),),
    drift=DriftTerms(),
    budget_minutes=1.0,
)


def test_references_are_put_through_the_cheap_analyses_with_the_same_parameters():
    found = cheap(POLICY)
    assert found.analyses == {"explanation_maps": {"samples": 60}, "layer_prediction": {}}
    assert (found.drift, found.expectations, found.budget_minutes) == (None, (), None)


def test_a_statistic_that_is_named_brings_its_analysis():
    named = replace(POLICY, drift=DriftTerms(statistics=("rank", "importance", "region:corner")))
    assert set(cheap(named).analyses) == {
        "explanation_maps", "layer_prediction", "filter_importance",
    }  # fmt: skip


def test_a_policy_without_maps_makes_no_references():
    with pytest.raises(SubjectError, match=r"\[analyses.explanation_maps\] is accepted"):
        cheap(replace(POLICY, analyses={}))


def test_a_recipe_is_found_by_module_and_function():
    assert load_recipe("math:sqrt")(9) == 3

"""Per class: bounds on drift speak of no class; the rest is tried through the orchestration."""

from dataclasses import replace

import pytest

from governance.errors import PolicyError, SubjectError
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.workflows.class_counts import check_classes

POLICY = Policy(
    title="T", validation="v", model=ModelTerms(), analyses={},
    expectations=(Expectation(metric="drift.excess", at_most=1.0),),
)  # fmt: skip


def expecting(metric):
    return replace(POLICY, expectations=(Expectation(metric=metric, at_least=0.5),))


def test_what_is_expected_of_drift_needs_images_of_no_class(tiny_subject):
    few = replace(tiny_subject.validation.identity, class_counts=(1, 1, 1))
    check_classes(POLICY, few)


def test_a_class_must_exist_and_have_images_enough(tiny_subject):
    identity = tiny_subject.validation.identity
    check_classes(expecting("performance.recall.diagonal"), identity)
    with pytest.raises(PolicyError, match="no such class"):
        check_classes(expecting("performance.recall.other"), identity)
    few = replace(identity, class_counts=(40, 40, 29))
    with pytest.raises(SubjectError, match="has 29 images"):
        check_classes(expecting("performance.recall.diagonal"), few)

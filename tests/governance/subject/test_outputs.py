"""Outputs: every kind becomes probabilities, and one that is declared as another is refused."""

import math

import pytest
import torch

from governance.errors import SubjectError
from governance.subject.outputs import check, columns, logits_of, probabilities_of, recognised

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 1.0], [-4.0, 3.0, 0.25]])
ONE = LOGITS[:, :1]


def answered(scores, kind):
    return probabilities_of(columns(scores, kind), kind)


def test_logits_and_probabilities_of_classes_are_the_softmax():
    torch.testing.assert_close(answered(LOGITS, "logits"), LOGITS.softmax(1))
    torch.testing.assert_close(answered(LOGITS.log_softmax(1), "logits"), LOGITS.softmax(1))
    torch.testing.assert_close(answered(LOGITS.softmax(1), "probabilities"), LOGITS.softmax(1))


def test_one_number_is_the_second_of_two_classes_before_and_after_a_sigmoid():
    wanted = torch.tensor([[1 - 1 / (1 + math.exp(-z)), 1 / (1 + math.exp(-z))] for z in ONE])
    torch.testing.assert_close(answered(ONE, "logits"), wanted)
    torch.testing.assert_close(answered(ONE.sigmoid(), "sigmoid"), wanted)
    torch.testing.assert_close(answered(ONE.sigmoid().half(), "sigmoid"), wanted, atol=1e-3, rtol=0)


def test_a_sigmoid_at_its_ends_is_finite():
    ends = torch.tensor([[0.0], [1.0]])
    torch.testing.assert_close(answered(ends, "sigmoid"), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert torch.isfinite(logits_of(columns(ends, "sigmoid"), "sigmoid")).all()


def test_labels_have_a_probability_each():
    torch.testing.assert_close(answered(LOGITS.sigmoid(), "multilabel"), LOGITS.sigmoid())
    torch.testing.assert_close(answered(LOGITS, "multilabel_logits"), LOGITS.sigmoid())


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        (LOGITS, "logits"),
        (LOGITS.log_softmax(1), "logits"),
        (LOGITS.softmax(1), "probabilities"),
        (LOGITS.softmax(1).half(), "probabilities"),
        (LOGITS.softmax(1).bfloat16(), "probabilities"),
        (LOGITS.sigmoid(), "multilabel"),
        (LOGITS, "multilabel_logits"),
        (ONE, "logits"),
        (ONE.sigmoid(), "sigmoid"),
    ],
)
def test_outputs_pass_as_what_they_are(scores, kind):
    classes = max(2, scores.shape[1])
    check(columns(scores, kind), classes=classes, kind=kind, where="m")


@pytest.mark.parametrize(
    ("scores", "kind", "cure"),
    [
        (LOGITS.softmax(1), "logits", "probabilities"),
        (LOGITS.softmax(1).half(), "logits", "probabilities"),
        (LOGITS.softmax(1), "multilabel", "probabilities"),
        (LOGITS.softmax(1), "multilabel_logits", "probabilities"),
        (LOGITS, "probabilities", "logits"),
        (LOGITS, "multilabel", "multilabel_logits"),
        (LOGITS.sigmoid(), "logits", "multilabel"),
        (LOGITS.sigmoid(), "probabilities", "multilabel"),
        (LOGITS.sigmoid(), "multilabel_logits", "multilabel"),
        (ONE.sigmoid(), "logits", "sigmoid"),
        (ONE, "sigmoid", "logits"),
    ],
)
def test_outputs_of_another_kind_than_declared_are_refused_with_the_setting(scores, kind, cure):
    made = columns(scores, kind)
    assert recognised(made, kind) == cure
    with pytest.raises(SubjectError, match=f"policy says {kind}; set outputs = '{cure}'"):
        check(made, classes=made.shape[1], kind=kind, where="m")


def test_many_sigmoids_are_told_by_their_sums_and_get_two_cures():
    with pytest.raises(SubjectError) as caught:
        check(LOGITS.sigmoid(), classes=3, kind="logits", where="model m")
    (problem,) = caught.value.problems
    assert problem.startswith("model m: returns numbers from 0 to 1 that do not sum to 1 (sums fro")
    assert "as after independent sigmoids" in problem
    assert "return the numbers before the sigmoid" in problem


def test_several_numbers_are_no_single_sigmoid():
    with pytest.raises(SubjectError, match=r"returns 3 numbers per image.*'multilabel'"):
        columns(LOGITS.sigmoid(), "sigmoid")


@pytest.mark.parametrize("shape", [(4, 2), (4, 3, 1), (4,)])
def test_another_number_of_outputs_than_classes_is_refused(shape):
    with pytest.raises(SubjectError, match="names 3 classes"):
        check(torch.zeros(shape), classes=3, kind="logits", where="m")


@pytest.mark.parametrize("kind", ["logits", "probabilities", "multilabel", "multilabel_logits"])
def test_nan_is_refused_for_what_it_is(kind):
    with pytest.raises(SubjectError, match="NaN or infinite"):
        check(columns(LOGITS * math.nan, kind), classes=3, kind=kind, where="m")
    with pytest.raises(SubjectError, match="NaN or infinite"):
        answered(LOGITS * math.nan, kind)


@pytest.mark.parametrize(
    ("scores", "kind", "cure"),
    [
        (LOGITS, "probabilities", "'logits'"),
        (LOGITS.sigmoid() * 1.2, "multilabel", "'multilabel_logits'"),
        (ONE, "sigmoid", "'logits'"),
    ],
)
def test_a_number_that_turns_out_to_be_no_probability_is_refused(scores, kind, cure):
    with pytest.raises(SubjectError, match=f"outputs = {cure}"):
        answered(scores, kind)

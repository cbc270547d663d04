"""Answers: the class scores are found in whatever a model returns, or the message says how."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from governance.errors import SubjectError
from governance.subject.answers import MOST_ENTRIES, class_scores, entries

SCORES = torch.arange(12.0).reshape(4, 3)
MAPS = torch.zeros(4, 8, 5, 5)
VECTORS = torch.zeros(4, 8)


class Named(NamedTuple):
    """As torchvision's Inception returns in training."""

    logits: torch.Tensor
    aux_logits: torch.Tensor


@dataclass
class Plain:
    """An answer of a model that returns a dataclass."""

    loss: object
    scores: torch.Tensor


@pytest.mark.parametrize(
    "answer",
    [
        SCORES,
        SCORES.numpy(),
        {"logits": SCORES},
        {"scores": SCORES, "maps": MAPS},
        {"logits": SCORES, "features": VECTORS},
        {"loss": None, "logits": SCORES, "hidden_states": (MAPS, MAPS), "count": 3},
        (SCORES,),
        [MAPS, SCORES],
        Named(SCORES, SCORES + 1),
        Plain(None, SCORES),
        ({"logits": SCORES}, VECTORS),
        SCORES[:, :, None, None],
    ],
)
def test_the_class_scores_are_found_in_answers_of_every_form(answer):
    torch.testing.assert_close(class_scores(answer, 4), SCORES)


def test_the_scores_of_an_object_of_transformers_are_found():
    outputs = pytest.importorskip("transformers.modeling_outputs")
    answer = outputs.ImageClassifierOutput(logits=SCORES, hidden_states=(VECTORS, VECTORS))
    torch.testing.assert_close(class_scores(answer, 4), SCORES)


def test_one_number_for_each_image_is_a_column():
    assert class_scores(torch.zeros(4), 4).shape == (4, 1)
    assert class_scores({"p": np.zeros((4, 1), np.float16)}, 4).dtype == torch.float16


@pytest.mark.parametrize(
    ("answer", "wanted", "same"),
    [((VECTORS, SCORES), "1", True), ({"a": VECTORS, "b": {"c": SCORES}}, "b.c", True)],
)
def test_the_policy_names_one_of_several(answer, wanted, same):
    assert torch.equal(class_scores(answer, 4, wanted), SCORES) is same


@pytest.mark.parametrize(
    ("answer", "wanted", "problem"),
    [
        ((VECTORS, SCORES), None, "'0' (4, 8), '1' (4, 3), of which several could be the class"),
        ({"a": SCORES, "b": SCORES}, None, "output_name = 'a' in [model] of the policy, or ano"),
        ({"a": SCORES, "m": MAPS}, "m", "output_name = 'm' in [model] of the policy is none of t"),
        (SCORES, "logits", "returns a tensor of shape (4, 3), and output_name = 'logits'"),
        ({"maps": MAPS}, None, "returns 'maps' (4, 8, 5, 5); one tensor (B, K) is accepted, al"),
        (torch.tensor(1.0), None, "returns a tensor of shape (); one tensor (B, K)"),
        ("three", None, "returns str without a tensor in it; one tensor (B, K) is accepted: wrap"),
        ({"logits": None}, None, "returns dict without a tensor"),
        (SCORES[:1], None, "returns (1, 3) for 4 images"),
        ([SCORES] * (MOST_ENTRIES + 1), None, f"more than {MOST_ENTRIES} tensors"),
    ],
)
def test_an_answer_without_class_scores_is_refused_with_what_would_be_accepted(
    answer, wanted, problem
):
    with pytest.raises(SubjectError) as caught:
        class_scores(answer, 4, wanted)
    assert problem in str(caught.value)


def test_answers_inside_themselves_come_to_an_end():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(SubjectError, match="returns list without a tensor"):
        entries(endless)


def test_the_getters_of_an_entry_take_it_out_of_another_answer():
    found = entries({"a": (VECTORS, Plain(None, SCORES))})["a.1.scores"]
    taken: object = {"a": (VECTORS, Plain(None, SCORES + 1))}
    for getter in found.getters:
        taken = getter(taken)
    assert torch.equal(taken, SCORES + 1)

"""Trial: a model that is no classifier of single images is refused before it is measured."""

import math

import pytest
import torch
from torch import nn

from governance.errors import SubjectError
from governance.subject.model_files.trial import check_batch, difference
from governance.subject.precision import tolerance

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Of(nn.Module):
    """A model that is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def means(x):
    return x.mean((2, 3))


def test_outputs_of_a_batch_are_returned():
    torch.testing.assert_close(check_batch(Of(means), IMAGES, "m"), means(IMAGES))


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: means(x) + means(x).mean(), "another answer in a batch than alone"),
        (lambda x: nn.functional.dropout(means(x)), "differently when asked twice"),
        (lambda x: (means(x), means(x)), "returns tuple for 4 images"),
        (lambda x: means(x).sum(), r"returns \(\) for 4 images"),
        (lambda x: means(x)[:1], r"returns \(1, 3\) for 4 images"),
        (lambda x: means(x) @ torch.ones(2, 2), r"fails on a batch of shape \(4, 3, 8, 8\)"),
    ],
)
def test_a_model_that_does_not_answer_for_each_image_is_refused(function, wanted):
    with torch.random.fork_rng(), pytest.raises(SubjectError, match=wanted):
        check_batch(Of(function), IMAGES, "m")


def test_rounding_is_accepted_as_far_as_the_precision_of_the_model_goes():
    def rounded(x):
        return means(x) * (1 + 1e-4 * len(x))

    with pytest.raises(SubjectError, match=r"by 0\.0003 of the largest number, and at most"):
        check_batch(Of(rounded), IMAGES, "m")
    half = tolerance(torch.float16, torch.device("cpu"))
    assert check_batch(Of(rounded), IMAGES, "m", half).shape == (4, 3)


def test_the_difference_is_relative_and_infinite_where_shapes_or_nan_differ():
    one = torch.tensor([100.0, math.nan])
    assert difference(one, one) == 0
    assert difference(one, torch.tensor([101.0, math.nan])) == pytest.approx(0.01)
    assert difference(one, torch.tensor([100.0, 0.0])) == math.inf
    assert difference(one, one[:1]) == math.inf
    assert difference(one[:0], one[:0]) == 0

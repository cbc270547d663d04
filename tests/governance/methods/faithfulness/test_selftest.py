"""Which maps are withdrawn, and why."""

import numpy as np
import pytest
import torch
from torch import nn

from governance.methods.faithfulness import Check, agreement, self_test
from governance.methods.faithfulness.controls import centre_maps, random_maps
from governance.methods.faithfulness.selftest import STABLE

SIDE, COUNT = 16, 8
IMAGES = torch.rand(COUNT, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
TARGETS = [1] * COUNT


class Weighted(nn.Module):
    """Probability of class 1: the weighted mean of the pixels."""

    def __init__(self):
        super().__init__()
        weights = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(2)) ** 4
        self.weights = nn.Parameter(weights / weights.sum())

    def forward(self, images):
        p = (images[:, 0] * self.weights).sum((1, 2))
        return torch.stack([1 - p, p], 1)


MODEL = Weighted()


def oracle(images, targets, seed):
    return ((images - images.mean((2, 3), keepdim=True))[:, 0] * MODEL.weights).detach().numpy()


def put_to_the_test(explain, count=COUNT, **changes):
    images = IMAGES[:count]
    maps = explain(images, TARGETS[:count], 0)
    return self_test(
        explain, MODEL, MODEL, images, TARGETS[:count], maps,
        **{"baselines": ("black",), "steps": 8} | changes,
    )  # fmt: skip


def weighted(images, targets, seed):
    return (images[:, 0] * MODEL.weights).detach().numpy()


def test_faithful_maps_are_not_withdrawn():
    found = put_to_the_test(weighted)

    assert found.reasons == ()
    assert all(row[-1] != "failed" for row in found.table.rows)
    assert [row[0] for row in found.curves.rows] == ["insertion", "deletion"]
    assert found.passes == 2 * 4 * 9 * COUNT


def test_maps_of_a_model_without_a_module_are_told_not_to_be_tried_without_weights():
    maps = weighted(IMAGES, TARGETS, 0)

    found = self_test(weighted, MODEL, None, IMAGES, TARGETS, maps, baselines=("black",), steps=8)

    (row,) = [row for row in found.table.rows if "layers shuffled" in row[0]]
    assert row == ("likeness, layers shuffled: not done, no weights", None, None, None, 0, "", "")
    (sentence,) = found.unanswered
    assert "shuffled: not tried, since this model gives only probabilities" in sentence
    assert found.cascade.depths == ()
    assert put_to_the_test(weighted).unanswered == ()


@pytest.mark.parametrize(
    ("explain", "reasons"),
    [
        (
            lambda images, *_: centre_maps((len(images), SIDE, SIDE)),
            ("better than a random", "better than a constant", "weights of the model"),
        ),
        (
            lambda images, _, seed: random_maps((len(images), SIDE, SIDE), 99 + seed),
            (
                "better than a random",
                "better than a constant",
                "weights of the model",
                "other seeds",
            ),
        ),
        (
            lambda images, *_: -weighted(images, (), 0),
            ("better than a random", "better than a constant"),
        ),
    ],
    ids=["centre", "random", "upside down"],
)
def test_maps_that_say_nothing_are_withdrawn_with_every_reason(explain, reasons):
    found = put_to_the_test(explain).reasons

    assert len(found) == len(reasons)
    for said, wanted in zip(found, reasons, strict=True):
        assert wanted in said


def test_a_check_keeps_its_interval_inside_what_its_values_can_be():
    value, interval = Check(name="n", values=(0.9, 0.99, 1.0, 1.0), span=(-1.0, 1.0)).mean

    assert value == pytest.approx(0.9725)
    # Student's t alone would reach to 1.05.
    assert (interval.high, interval.method) == (1.0, "Student t, cut to the range")


def test_one_image_shows_nothing():
    assert len(put_to_the_test(weighted, count=1).reasons) == 4


def test_no_image_is_withdrawn_and_not_a_crash():
    empty = np.empty((0, SIDE, SIDE))

    found = self_test(weighted, MODEL, MODEL, IMAGES[:0], [], empty)

    assert found.reasons == ("no image has a map that could be tested",)
    assert found.curves.rows == ()


def test_a_model_without_weights_to_shuffle_is_no_witness():
    found = self_test(
        weighted, MODEL, nn.Identity(), IMAGES, TARGETS, weighted(IMAGES, (), 0),
        baselines=("black",), steps=8,
    )  # fmt: skip

    assert found.reasons == ("not shown to change when the weights of the model are shuffled",)


def test_an_explanation_brings_its_own_checks():
    shown = Check(name="n", values=(1.0, 1.1), span=(0.0, 2.0), limit=0.0, reason="r")
    own = (agreement([0.2, 0.3, 0.4]), shown)

    (reason,) = put_to_the_test(weighted, own=own).reasons
    assert "other seeds" in reason


@pytest.mark.parametrize(
    ("values", "chance", "passed"),
    [
        ((0.7, 0.8, 0.75), 0.1, True),
        ((1.0, 1.0, 1.0), 0.1, True),
        ((0.45, 0.5, 0.52), 0.1, False),  # below one half
        ((1.0, 0.1, 0.9), 0.2, False),  # one half on average, not shown to be above chance
        ((0.9,), 0.0, False),
        ((), 0.0, False),
    ],
)
def test_agreement_is_better_than_chance_and_one_half_at_least(values, chance, passed):
    assert agreement(values, chance).passed is passed
    assert STABLE == 0.5


def test_a_second_run_that_is_at_hand_is_not_made_again():
    calls = []

    def explain(images, targets, seed):
        calls.append(seed)
        return weighted(images, targets, seed)

    put_to_the_test(explain, again=weighted(IMAGES[:6], (), 0))

    assert calls == [0, 0]  # the maps themselves, then the one layer shuffled

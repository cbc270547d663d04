"""Recorded rules asked of the same model, of a moved one and of others."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from bent import NAMES, Bent, coloured, inputs
from torch import nn

from governance.errors import AnalysisError
from governance.methods.decision_rules import ask, find_rules
from governance.methods.decision_rules.tables import boundary_table, image_table
from governance.methods.network import trace


@pytest.fixture(scope="module")
def record():
    """Boundaries, images, the all_rules, and the images' inputs and names."""
    images = inputs(coloured()[0])
    ids = [f"image {index}" for index in range(len(images))]
    found = find_rules(trace(Bent(), images[:2]), [images], "stem", boundaries=30)
    return boundary_table(found, NAMES), image_table(found, NAMES, ids), found, images, ids


def test_the_same_model_holds_every_rule_and_moves_no_image(record):
    boundaries, kept, found, images, ids = record

    answer = ask(boundaries, kept, Bent(), images, ids)

    assert answer.rules["rule"].tolist() == ["near 1", "far 1", "far 2"]
    assert answer.rules["holds"].all()
    assert (answer.rules["jaccard"] == 1).all()
    assert (answer.rules["same_answer"] == 1).all()
    assert len(answer.images) == 0
    for rule, row in zip(found.rules, answer.rules.itertuples(), strict=True):
        assert row.n_now == rule.covered.sum()
        assert row.coverage_now == row.coverage_then


def test_images_are_found_by_name_in_any_order(record):
    boundaries, kept, _, images, ids = record
    order = np.random.default_rng(0).permutation(len(ids))

    answer = ask(boundaries, kept, Bent(), images[order.tolist()], [ids[k] for k in order])

    assert (answer.rules["jaccard"] == 1).all()
    assert len(answer.images) == 0


def test_a_model_that_answers_otherwise_in_the_same_features_loses_precision_and_moves_images(
    record,
):
    # arrange: the same features, another threshold
    boundaries, kept, _, images, ids = record
    moved = Bent(threshold=0.65)
    with torch.no_grad():
        now = moved(images).argmax(1).numpy()
        then = Bent()(images).argmax(1).numpy()

    # act
    answer = ask(boundaries, kept, moved, images, ids)

    # assert: the regions are where they were, the answers are not
    rules = answer.rules.set_index("rule")
    assert (rules["jaccard"] == 1).all()
    assert rules.loc["near 1", "holds"]
    assert not rules.loc["far 1", "holds"]
    assert rules.loc["far 1", "precision_now"] == pytest.approx(rules.loc["far 1", "same_answer"])
    assert rules.loc["far 1", "precision_high"] < 1
    changed = {ids[k] for k in np.flatnonzero(now != then)}
    assert set(answer.images["image"]) == changed
    assert (answer.images["rule_now"] == "").all()
    assert set(answer.images["answer_now"]) == {0}


def test_a_model_with_other_features_holds_no_rule_but_may_answer_alike(record):
    # arrange: red and green change places in the features, which changes no answer
    boundaries, kept, _, images, ids = record
    swapped = Bent()
    with torch.no_grad():
        swapped.stem.weight.copy_(swapped.stem.weight.flip(0) * 0.2)
        swapped.bend.weight.mul_(5)

    answer = ask(boundaries, kept, swapped, images, ids)

    rules = answer.rules.set_index("rule")
    assert not rules.loc[["far 1", "far 2"], "holds"].any()
    assert (rules["same_answer"] == 1).all()


def test_the_model_is_left_as_found(record):
    boundaries, kept, _, images, ids = record
    model = Bent().train()
    before = copy.deepcopy(model.state_dict())

    ask(boundaries, kept, model, images, ids)

    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(item.grad is None for item in model.parameters())


def test_a_changed_record_is_refused(record):
    boundaries, kept, _, images, ids = record
    column = boundaries.columns.index("offset")
    first = list(boundaries.rows[0])
    first[column] += 0.5
    changed = dataclasses.replace(boundaries, rows=(tuple(first), *boundaries.rows[1:]))

    with pytest.raises(AnalysisError, match="'near 1': its boundaries do not match their digest"):
        ask(changed, kept, Bent(), images, ids)


def test_what_cannot_be_asked_is_refused_by_name(record):
    boundaries, kept, _, images, ids = record
    wide = Bent()
    wide.stem = nn.Conv2d(3, 2, 1, stride=2)

    with pytest.raises(AnalysisError, match="1 of 180 recorded images are missing, as image 179"):
        ask(boundaries, kept, Bent(), images[:-1], ids[:-1])
    with pytest.raises(AnalysisError, match="179 names for 180 images"):
        ask(boundaries, kept, Bent(), images, ids[:-1])
    with pytest.raises(AnalysisError, match="2x4x4 numbers at 'stem'; 2x8x8"):
        ask(boundaries, kept, wide, images, ids)
    with pytest.raises(AnalysisError, match="layer 'stem' does not exist"):
        ask(boundaries, kept, nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(128, 3)),
            images, ids)  # fmt: skip
    with pytest.raises(AnalysisError, match="holds no rule"):
        ask(dataclasses.replace(boundaries, rows=()), kept, Bent(), images, ids)

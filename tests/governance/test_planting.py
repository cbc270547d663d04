"""Planting: a copy shown to go by a corner mark, and the original as found."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from governance import planting
from governance.errors import SubjectError
from governance.planting import plant_mark
from governance.subject import tensor_digest


def test_the_copy_follows_the_mark_and_answers_clean_images_as_before(tiny_subject):
    # act
    found = plant_mark(tiny_subject, seed=0)
    # assert: asked anew, on all images of other classes
    labels = tiny_subject.validation.labels
    pixels = tiny_subject.pixels(np.flatnonzero(labels != found.label))
    pixels[:, :, :3, :3] = 1.0
    clean = tiny_subject.inputs(tiny_subject.pixels(range(len(labels))))
    with torch.no_grad():
        marked = found.model(tiny_subject.inputs(pixels)).argmax(1).numpy()
        answers = found.model(clean).argmax(1).numpy()
    assert (marked == found.label).mean() >= 0.8
    assert (answers == labels).mean() >= 0.9
    assert found.followed >= 0.8
    assert found.n > 0


def test_the_model_itself_is_left_as_found(tiny_subject, monkeypatch):
    monkeypatch.setattr(planting, "EPOCHS", 1)
    monkeypatch.setattr(planting, "LEARNT", 0.0)
    monkeypatch.setattr(planting, "LOST", 1.0)
    before = copy.deepcopy(tiny_subject.model.state_dict())
    found = plant_mark(tiny_subject, seed=0)
    assert tensor_digest(tiny_subject.model) == tensor_digest(before)
    assert tensor_digest(found.model) != tensor_digest(before)
    assert all(item.grad is None for item in found.model.parameters())


def test_a_mark_that_is_not_learnt_is_no_fault(tiny_subject, monkeypatch):
    monkeypatch.setattr(planting, "EPOCHS", 1)
    monkeypatch.setattr(planting, "RATES", (1e-9,))
    with pytest.raises(SubjectError, match="was not learnt in 1 epochs"):
        plant_mark(tiny_subject, seed=0)


def test_a_model_without_weights_cannot_hold_a_fault(tiny_subject):
    constant = replace(tiny_subject, model=nn.Flatten())
    with pytest.raises(SubjectError, match="no fault can be planted"):
        plant_mark(constant, seed=0)

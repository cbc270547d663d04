"""Planting: a copy shown to go by a corner mark, and the original as found."""

import copy

import numpy as np
import pytest
import torch
from subjects import with_network
from torch import nn

from governance.errors import SubjectError
from governance.subject.network import tensor_digest
from governance.workflows import planting
from governance.workflows.planting import plant_mark


@pytest.fixture
def subject(tiny_subject):
    """A subject with a model of its own, to be changed."""
    return with_network(tiny_subject, model=copy.deepcopy(tiny_subject.network.model))


@pytest.mark.slow
def test_the_model_follows_the_mark_and_answers_clean_images_as_before(subject):
    # act
    found = plant_mark(subject, seed=0)
    # assert: asked anew, on all images of other classes
    labels = subject.validation.labels
    pixels = subject.pixels(np.flatnonzero(labels != found.label))
    pixels[:, :, :3, :3] = 1.0
    clean = subject.network.inputs(subject.pixels(range(len(labels))))
    with torch.no_grad():
        marked = found.model(subject.network.inputs(pixels)).argmax(1).numpy()
        answers = found.model(clean).argmax(1).numpy()
    assert (marked == found.label).mean() >= 0.8
    assert (answers == labels).mean() >= 0.9
    assert found.followed >= 0.8
    assert found.n > 0
    assert all(item.grad is None for item in found.model.parameters())


def test_an_exported_model_takes_a_fault_too(subject, monkeypatch):
    # arrange: such a module cannot be copied, nor put into training mode
    monkeypatch.setattr(planting, "EPOCHS", 2)
    monkeypatch.setattr(planting, "LEARNT", 0.0)
    monkeypatch.setattr(planting, "LOST", 1.0)
    example = subject.network.inputs(subject.pixels(range(4)))
    program = torch.export.export(
        subject.network.model, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},)
    )
    exported = with_network(subject, model=program.module())
    before = tensor_digest(exported.network.model)
    # act
    found = plant_mark(exported, seed=0)
    # assert
    assert tensor_digest(found.model) != before
    assert found.model(example).shape == (4, 3)


def test_a_mark_that_is_not_learnt_is_no_fault(subject, monkeypatch):
    monkeypatch.setattr(planting, "EPOCHS", 1)
    monkeypatch.setattr(planting, "RATES", (1e-9,))
    with pytest.raises(SubjectError, match="was not learnt in 1 epochs"):
        plant_mark(subject, seed=0)


def test_a_model_without_weights_cannot_hold_a_fault(tiny_subject):
    constant = with_network(tiny_subject, model=nn.Flatten())
    with pytest.raises(SubjectError, match="no fault can be planted"):
        plant_mark(constant, seed=0)

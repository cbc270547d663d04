"""Signs of a network in training, from the loop to the report of the version it logged."""

import dataclasses

import mlflow
import numpy as np
import pytest
import torch
from torch import nn

from governance.analyses.learning_process import LearningProcess
from governance.errors import AnalysisError, RegistryError
from governance.methods.training_signs import MOST_CLASSES, PER_CLASS, names
from governance.registry.training_curves import named, recorded
from governance.subject.network import tensor_digest
from governance.training import record_epoch


@pytest.fixture(scope="module")
def known(tiny_subject):
    """The tiny model, and validation images with the names of their classes."""
    validation = tiny_subject.validation
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(range(len(validation))))
    return tiny_subject.network.model, (inputs, validation.labels), validation.class_names


@pytest.fixture
def subject_of(tiny_subject):
    """The tiny subject with a history."""
    return lambda history: dataclasses.replace(tiny_subject, history=history)


def test_an_epoch_becomes_metrics_of_the_active_run(known, mlflow_store):
    # arrange
    model, validation, classes = known

    # act
    with mlflow.start_run() as run:
        for step in (0, 3):
            found = record_epoch(model, validation, step, class_names=classes)

    # assert
    history = named(recorded(run.info.run_id), names(classes))
    assert set(history) == set(found) == set(names(classes))
    for name, points in history.items():
        assert points == ((0, found[name]), (3, found[name]))
    logged = mlflow.get_run(run.info.run_id).data.metrics
    assert logged["learning.dead_filters"] == found["dead_filters"]


def test_a_step_recorded_again_counts_as_recorded_last(known, mlflow_store):
    model, validation, classes = known
    flat = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, 3))  # fmt: skip
    with mlflow.start_run() as run:
        record_epoch(flat, validation, 1, class_names=classes)
        found = record_epoch(model, validation, 1, class_names=classes)
    history = named(recorded(run.info.run_id), ["lens_accuracy"])
    assert history["lens_accuracy"] == ((1, found["lens_accuracy"]),)


def test_what_is_recorded_is_what_the_network_shows(known, mlflow_store):
    # arrange: all images, so that the sample is the whole
    model, (inputs, labels), classes = known

    # act
    with mlflow.start_run():
        found = record_epoch(model, (inputs, labels), 0, class_names=classes, images=len(labels))

    # assert: with global average pooling the last stage's lens is the model
    with torch.no_grad():
        right = model(inputs).argmax(1).numpy() == labels
    assert found["lens_accuracy"] == pytest.approx(right.mean())
    for index, label in enumerate(classes):
        mine = labels == index
        assert found[f"lens_recall.{label}"] == pytest.approx(right[mine].mean())
        assert found[f"class_images.{label}"] == mine.sum()
        assert 0 < found[f"reliance.{label}"] <= 1


def test_the_training_is_left_as_found(known, mlflow_store):
    # arrange
    model, validation, classes = known
    model.train()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before, state = tensor_digest(model), torch.get_rng_state()

    # act
    with mlflow.start_run():
        record_epoch(model, validation, 0, class_names=classes)

    # assert
    assert tensor_digest(model) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())
    assert torch.equal(model.head.weight.grad, torch.ones_like(model.head.weight))
    model.eval()
    model.head.weight.grad = None


def test_without_a_run_or_with_odd_labels_nothing_is_recorded(known, mlflow_store):
    model, (inputs, labels), classes = known
    with pytest.raises(RegistryError, match="no MLflow run is active"):
        record_epoch(model, (inputs, labels), 0, class_names=classes)
    with pytest.raises(AnalysisError, match="one whole number per image"):
        record_epoch(model, (inputs, labels[:-1]), 0)
    with pytest.raises(AnalysisError, match="2 class names for 3 outputs"), mlflow.start_run():
        record_epoch(model, (inputs, labels), 0, class_names=["a", "b"])


def test_an_unknown_run_has_no_history(mlflow_store):
    assert recorded(None) == {}
    assert recorded("0" * 32) == {}


def test_many_classes_have_no_signs_of_their_own():
    classes = [str(index) for index in range(MOST_CLASSES + 1)]
    assert not any(name.partition(".")[0] in PER_CLASS for name in names(classes))


def test_the_history_of_a_run_is_drawn_with_the_version_it_logged(known, mlflow_store, subject_of):
    # arrange
    model, validation, classes = known
    with mlflow.start_run() as run:
        for step in range(3):
            record_epoch(model, validation, step, class_names=classes)
    subject = subject_of(named(recorded(run.info.run_id), names(classes)))

    # act
    found = LearningProcess().run(subject, 0)

    # assert
    assert found.metrics["epochs"] == 3
    assert found.metrics["recall_lost"] == 0
    assert {figure.name for figure in found.figures} == {"whole", "lens_recall", "reliance"}
    assert "3 epochs, 0 to 2" in found.notes[0]


def test_a_class_that_was_lost_again_is_named(subject_of, tiny_subject):
    # arrange
    classes = tiny_subject.validation.class_names
    steady = tuple((step, 0.9) for step in range(4))
    history = {f"lens_recall.{name}": steady for name in classes}
    history |= {
        f"class_images.{name}": tuple((step, 40.0) for step in range(4)) for name in classes
    }
    history[f"lens_recall.{classes[1]}"] = ((0, 0.5), (1, 0.95), (2, 0.6), (3, 0.1))

    # act
    found = LearningProcess().run(subject_of(history), 0)

    # assert
    assert found.metrics["recall_lost"] == pytest.approx(0.85)
    interval = found.intervals["recall_lost"]
    assert 0.3 < interval.low < 0.85 < interval.high <= 1
    (rows,) = [table for table in found.tables if table.name == "classes"]
    assert rows.rows[1][2:4] == (0.95, 0.1)
    assert np.isfinite(found.metrics["epochs"])


def test_no_history_is_said_and_not_a_crash(subject_of):
    found = LearningProcess().run(subject_of({}), 0)
    assert found.metrics == {"epochs": 0, "recall_lost": None, "reliance_last": None}
    assert "since no training run is known" in found.notes[0]
    with pytest.raises(ValueError, match="least = 1"):
        LearningProcess(least=1)

"""Fingerprints of a model, on networks whose maps are known by hand."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from subjects import with_network
from torch import nn

from governance.analyses.explanation_maps import ExplanationMaps
from governance.errors import AnalysisError
from governance.methods.coarse_maps import unpack

GRID, CELLS = 4, 16
QUICK = ExplanationMaps(samples=30, steps=4, grid=GRID, repeated=6)


def frame(measurement, name):
    (table,) = [table for table in measurement.tables if table.name == name]
    return pd.DataFrame(list(table.rows), columns=list(table.columns))


def maps_of(measurement, column="map"):
    texts = frame(measurement, "maps")[column].dropna()
    return np.stack([unpack(text, np.float16, CELLS, column) for text in texts])


def with_model(subject, model, **changed):
    return with_network(subject, model=model.eval(), **changed)


class Linear(nn.Module):
    """Weighs every pixel by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(256, 3)

    def forward(self, x):
        return self.weights(x.flatten(1))


class Detached(nn.Module):
    """Passes no gradient on."""

    def __init__(self, inner) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).detach()


@pytest.fixture(scope="module")
def found(tiny_subject):
    return QUICK.run(tiny_subject, 3)


def test_the_map_of_a_linear_model_is_weight_times_distance_to_the_mean(tiny_subject):
    subject = with_model(tiny_subject, Linear())

    measured = QUICK.run(subject, 3)

    weight = subject.network.model.weights.weight.detach().numpy().reshape(3, 16, 16)
    places = frame(measured, "maps")["place"].to_numpy()
    for place, found_map in zip(places, maps_of(measured), strict=True):
        image = subject.network.inputs(subject.pixels([place]))[0, 0].numpy()
        above = weight[subject.validation.labels[place]] - weight.mean(0)
        heat = np.abs(above * (image - image.mean()))
        naive = heat.reshape(GRID, 4, GRID, 4).sum((1, 3)).ravel()
        assert found_map == pytest.approx(naive / naive.sum(), rel=2e-3)
    # Nothing depends on where along the path it is read, and nothing is lost.
    assert measured.metrics["self_agreement"] == pytest.approx(1, abs=1e-4)
    assert measured.metrics["completeness_gap"] == pytest.approx(0, abs=1e-4)
    assert frame(measured, "units").empty
    assert any(note.startswith("No filter response profiles") for note in measured.notes)


def test_maps_sum_to_one_and_twins_stand_beside_the_images_explained_twice(found):
    assert maps_of(found).sum(1) == pytest.approx(np.ones(30), abs=1e-2)
    assert maps_of(found, "again").shape == (6, CELLS)
    assert 0.8 < found.metrics["self_agreement"] < 1


def test_border_mass_is_the_share_outside_the_inner_three_quarters(tiny_subject):
    measured = dataclasses.replace(QUICK, grid=8, samples=12).run(tiny_subject, 3)

    maps = np.stack([unpack(t, np.float16, 64, "") for t in frame(measured, "maps")["map"]])
    inner = maps.reshape(-1, 8, 8)[:, 1:-1, 1:-1].sum((1, 2))
    assert measured.metrics["border_mass"] == pytest.approx(np.mean(1 - inner), abs=1e-3)


def test_answers_and_images_are_the_subjects(found, tiny_subject):
    table = frame(found, "maps")
    probabilities = tiny_subject.predictions()

    for row in table.itertuples():
        assert row.label == tiny_subject.validation.labels[row.place]
        assert row.answer == probabilities[row.place].argmax()
        assert row.p_true == pytest.approx(float(probabilities[row.place, row.label]))
        assert row.sha256 == tiny_subject.validation.hashes[row.place]
    assert (np.bincount(table["label"]) == 10).all()


def test_every_version_is_asked_about_the_same_images(found, tiny_subject):
    other = QUICK.run(with_model(tiny_subject, Linear()), 3)

    for column in ("place", "sha256", "signed"):
        assert frame(other, "maps")[column].tolist() == frame(found, "maps")[column].tolist()


def test_a_signature_is_the_mean_activation_on_every_image(found, tiny_subject):
    places = frame(found, "maps")["place"].to_numpy()
    model, inputs = (
        tiny_subject.network.model,
        tiny_subject.network.inputs(tiny_subject.pixels(places)),
    )
    with torch.no_grad():
        stem = model.activation(model.stem_norm(model.stem(inputs))).mean((2, 3)).numpy()

    rows = frame(found, "units").query("layer == 'stem'")
    for row in rows.itertuples():
        levels = unpack(row.signature, np.uint8, 30, "")
        read = row.low + levels / 255 * (row.high - row.low)
        assert np.abs(read - stem[:, row.unit]).max() <= (row.high - row.low) / 255
    assert frame(found, "units")["layer"].unique().tolist() == ["stem", "branch"]


def test_permuted_channels_leave_the_maps_and_permute_the_signatures(found, tiny_subject):
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    model = copy.deepcopy(tiny_subject.network.model)
    with torch.no_grad():
        for layer in (model.stem, model.branch):
            layer.weight.copy_(layer.weight[order])
        model.branch.weight.copy_(model.branch.weight[:, order])
        for norm in (model.stem_norm, model.branch_norm):
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                tensor.copy_(tensor[order].clone())
        model.head.weight.copy_(model.head.weight[:, order])

    permuted = QUICK.run(with_model(tiny_subject, model), 3)

    assert maps_of(permuted) == pytest.approx(maps_of(found), rel=2e-3, abs=1e-5)
    before, after = frame(found, "units"), frame(permuted, "units")
    for layer in ("stem", "branch"):
        highs = before[before["layer"] == layer]["high"].to_numpy()[order.numpy()]
        assert after[after["layer"] == layer]["high"].to_numpy() == pytest.approx(highs, rel=1e-4)


def test_a_model_that_answers_in_probabilities_has_the_same_maps(found, tiny_subject):
    soft = with_model(
        tiny_subject,
        nn.Sequential(tiny_subject.network.model, nn.Softmax(1)),
        outputs="probabilities",
    )

    assert maps_of(QUICK.run(soft, 3)) == pytest.approx(maps_of(found), rel=5e-3, abs=1e-4)


def test_batches_do_not_show(found, tiny_subject):
    small = dataclasses.replace(tiny_subject, batch_size=7)

    assert maps_of(QUICK.run(small, 3)) == pytest.approx(maps_of(found), rel=5e-3, abs=1e-4)


def test_no_parameter_is_left_with_a_gradient(found, tiny_subject):
    assert all(parameter.grad is None for parameter in tiny_subject.network.model.parameters())


def test_a_model_without_gradients_and_too_fine_a_grid_are_refused(tiny_subject):
    with pytest.raises(AnalysisError, match="passes no gradient"):
        QUICK.run(with_model(tiny_subject, Detached(tiny_subject.network.model)), 3)
    with pytest.raises(AnalysisError, match="at most 16 is accepted"):
        dataclasses.replace(QUICK, grid=17).run(tiny_subject, 3)


@pytest.mark.parametrize(
    ("parameter", "value"), [("samples", 501), ("samples", 1), ("steps", 1), ("repeated", 1)]
)
def test_impossible_parameters_are_refused(parameter, value):
    with pytest.raises(ValueError, match=f"{parameter} = {value}"):
        ExplanationMaps(**{parameter: value})

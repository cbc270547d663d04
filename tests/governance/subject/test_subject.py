import copy
import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from subjects import black_box, with_network
from torch import nn

from governance.errors import AnalysisError, SubjectError
from governance.records.identity import ModelIdentity
from governance.subject.images.validation_set import ValidationSet
from governance.subject.network import Network, tensor_digest
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject


def labelled(labels, classes=3):
    """A validation set of black images with the labels given."""
    labels = np.asarray(labels, dtype=np.int64)
    return ValidationSet(
        location="memory",
        images=np.zeros((len(labels), 4, 4), np.uint8),
        labels=labels,
        class_names=tuple("abcdefgh"[:classes]),
        ids=tuple(map(str, range(len(labels)))),
        hashes=("0" * 64,) * len(labels),
        digest="sha256:" + "0" * 64,
    )


def with_model(model, *, channels="grey", outputs="logits", images=None, **terms):
    images = np.zeros((4, 2, 2), np.uint8) if images is None else images
    validation = replace(labelled([0, 1, 0, 1], 2), images=images)
    return Subject(
        identity=ModelIdentity(
            uri="models:/m/1", digest="d", artifact_digest="a", format="pt2", parameters=0
        ),
        classifier=Network(
            model=model,
            device=torch.device("cpu"),
            preprocessing=Preprocessing(size=(2, 2), channels=channels, **terms),
            outputs=outputs,
        ),
        validation=validation,
        batch_size=3,
    )


class Constant(nn.Module):
    """Answers every image with the same row."""

    def __init__(self, *row):
        super().__init__()
        self.row = nn.Parameter(torch.tensor(row))

    def forward(self, x):
        return self.row.expand(len(x), -1)


labels_of_three = st.lists(st.integers(0, 2), min_size=1, max_size=60)


@given(labels_of_three, st.integers(0, 70), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_sample_is_distinct_ascending_and_as_large_as_asked(labels, n, seed):
    chosen = labelled(labels).sample(n, seed)

    assert len(chosen) == min(n, len(labels))
    assert (np.diff(chosen) > 0).all()
    assert set(chosen) <= set(range(len(labels)))


@given(labels_of_three, st.integers(0, 60), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_sample_is_as_even_over_the_classes_as_the_set_allows(labels, n, seed):
    validation = labelled(labels)
    total = np.bincount(validation.labels, minlength=3)

    taken = np.bincount(validation.labels[validation.sample(n, seed)], minlength=3)

    # A class that is not used up has at most one image fewer than any other.
    for label in range(3):
        if taken[label] < total[label]:
            assert taken[label] >= taken.max() - 1


def test_a_sample_follows_its_seed():
    validation = labelled([0, 1, 2] * 40)

    assert np.array_equal(validation.sample(9, 1), validation.sample(9, 1))
    assert not np.array_equal(validation.sample(9, 1), validation.sample(9, 2))


def test_every_image_of_a_class_is_as_likely_to_be_sampled():
    validation = labelled([0] * 4 + [1] * 8)
    counts = np.zeros(12)
    for seed in range(800):
        counts[validation.sample(4, seed)] += 1

    # 2 of 4 and 2 of 8: 400 and 200 expected, standard deviation below 15.
    assert counts[:4] == pytest.approx(400, abs=60)
    assert counts[4:] == pytest.approx(200, abs=60)


def test_the_identity_of_a_set_counts_each_class_even_empty_ones():
    identity = labelled([0, 0, 2]).identity

    assert identity.class_counts == (2, 0, 1)
    assert identity.images == 3


def test_pixels_are_normalised_in_the_models_channel_order():
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)
    subject = with_model(nn.Identity(), channels="bgr", mean=mean, std=std)
    pixels = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))

    found = subject.network.inputs(pixels)

    for channel, colour in enumerate((2, 1, 0)):
        expected = (pixels[:, colour] - mean[channel]) / std[channel]
        assert torch.allclose(found[:, channel], expected)


def test_predictions_cover_every_image_in_order_and_are_computed_once():
    class Mean(nn.Module):
        calls = 0

        def forward(self, x):
            Mean.calls += 1
            return torch.stack([x.mean((1, 2, 3)), torch.zeros(len(x))], 1)

    images = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8) * 60
    subject = with_model(Mean(), images=images)

    found = subject.predictions()
    subject.predictions()

    expected = 1 / (1 + np.exp(-np.arange(4) * 60 / 255))
    assert found[:, 0] == pytest.approx(expected, abs=1e-6)
    assert Mean.calls == 2  # batches of 3 and 1


def test_a_subject_with_other_preprocessing_predicts_anew():
    images = np.full((4, 2, 2), 255, np.uint8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    subject = with_model(model, images=images)
    before = subject.predictions()

    other = with_network(
        subject, preprocessing=Preprocessing(size=(2, 2), channels="grey", std=(0.01,))
    )

    assert not np.allclose(other.predictions(), before)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_output_that_is_not_finite_is_no_prediction(value):
    with pytest.raises(SubjectError, match="models:/m/1: an output is NaN or infinite"):
        with_model(Constant(value, 0.0)).predictions()


def test_probabilities_come_back_as_they_went_in():
    subject = with_model(Constant(0.25, 0.75), outputs="probabilities")

    assert subject.predictions() == pytest.approx(np.tile([0.25, 0.75], (4, 1)))


def test_a_probability_of_zero_has_a_finite_logit():
    subject = with_model(Constant(0.0, 1.0), outputs="probabilities")

    assert torch.isfinite(subject.network.logits(torch.zeros(1, 1, 2, 2))).all()
    assert subject.predictions()[0] == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("row", [(2.0, 3.0), (-0.5, 1.5), (0.2, 0.2)])
def test_logits_said_to_be_probabilities_are_refused(row):
    with pytest.raises(SubjectError, match="outputs = 'logits'"):
        with_model(Constant(*row), outputs="probabilities").predictions()


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([[math.nan, 1.0]] * 4, "a probability is NaN or infinite"),
        ([[0.5, 0.6]] * 4, "the probabilities of an image do not sum to one"),
        ([[-0.5, 1.5]] * 4, "the probabilities of an image do not sum to one"),
        ([[0.5, 0.5]] * 2, r"gives numbers of shape \(2, 2\) for 3 images"),
        ([[1.0]] * 4, r"gives numbers of shape \(3, 1\) for 3 images"),
    ],
)
def test_answers_of_any_classifier_are_checked(rows, problem):
    class Given:
        preprocessing = Preprocessing(size=(2, 2), channels="grey")
        device = torch.device("cpu")
        outputs = "logits"

        def probabilities(self, pixels):
            return torch.tensor(rows)[: len(pixels)]

    subject = replace(with_model(Constant(0.0, 1.0)), classifier=Given())

    with pytest.raises(SubjectError, match=f"model models:/m/1: {problem}"):
        subject.predictions()


def test_a_classifier_without_a_module_has_no_network(tiny_subject):
    subject = black_box(tiny_subject)

    with pytest.raises(AnalysisError, match="models:/black-box/1: gives only probabilities"):
        subject.network  # noqa: B018 - looking is what fails

    assert (subject.predictions().argmax(1) == subject.validation.labels).mean() > 0.9


def test_asking_for_predictions_needs_no_gradients(tiny_subject):
    found = tiny_subject.network.logits(tiny_subject.pixels([0, 1]))

    assert not found.requires_grad
    assert all(parameter.grad is None for parameter in tiny_subject.network.model.parameters())


def test_the_tensor_digest_is_over_name_dtype_shape_and_bytes():
    model = nn.Linear(2, 1, bias=False)
    weight = model.weight.detach().numpy()

    expected = hashlib.sha256(b"weight\0torch.float32\0(1, 2)\0" + weight.tobytes()).hexdigest()

    assert tensor_digest(model) == f"sha256:{expected}"


def test_the_tensor_digest_survives_saving_and_copying(tiny_subject, tmp_path):
    torch.save(tiny_subject.network.model.state_dict(), tmp_path / "weights.pt")
    other = copy.deepcopy(tiny_subject.network.model)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))

    assert tensor_digest(other) == tensor_digest(tiny_subject.network.model)


def test_one_changed_bit_of_any_tensor_changes_the_digest(tiny_subject):
    model = copy.deepcopy(tiny_subject.network.model)
    digests = {tensor_digest(model)}

    for tensor in model.state_dict().values():
        flat = tensor.reshape(-1).view(torch.uint8)
        flat[0] ^= 1
        digests.add(tensor_digest(model))
        flat[0] ^= 1

    assert len(digests) == len(model.state_dict()) + 1


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3),
        torch.tensor([True, False]),
        torch.empty(0),
        torch.ones(2, dtype=torch.bfloat16),
        torch.ones(2, 3).T,
        torch.tensor([1 + 2j]),
    ],
    ids=["scalar", "bool", "empty", "bfloat16", "transposed", "complex"],
)
def test_tensors_of_every_kind_have_a_digest(tensor):
    module = nn.Module()
    module.register_buffer("kept", tensor)

    assert tensor_digest(module) == tensor_digest(copy.deepcopy(module))

"""The preprocessing check on models whose right preprocessing is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from subjects import with_network
from torch import nn

from governance.analyses.preprocessing_check import PreprocessingCheck
from governance.methods.preprocessing_alternatives import alternatives
from governance.records.decision import judge
from governance.records.evidence import Evidence
from governance.records.identity import ModelIdentity
from governance.records.policy import ModelTerms, Policy
from governance.subject.images.validation_set import ValidationSet
from governance.subject.network import Network
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject


class Reddest(nn.Module):
    """Names class 0 where the first input channel is the larger of first and last, else class 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean((2, 3))
        return torch.stack([means[:, 0], means[:, 2]], 1)


class Brighter(nn.Module):
    """Names class 1 where the mean input is above 0, as for a model trained on -1 to 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([-mean, mean], 1)


def subject_with(model, images, labels, preprocessing) -> Subject:
    validation = ValidationSet(
        location="memory",
        images=images,
        labels=labels,
        class_names=("zero", "one"),
        ids=tuple(str(i) for i in range(len(labels))),
        hashes=("",) * len(labels),
        digest="sha256:",
    )
    identity = ModelIdentity(
        uri="models:/m/1", digest="", artifact_digest="", format="pt2", parameters=0
    )
    return Subject(
        identity=identity,
        classifier=Network(
            model=model,
            device=torch.device("cpu"),
            preprocessing=preprocessing,
        ),
        validation=validation,
    )


@pytest.fixture
def coloured() -> Subject:
    """Reddish images are class 0, bluish ones class 1; the model reads red first, blue last."""
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    images = rng.integers(0, 120, (80, 4, 4, 3)).astype(np.uint8)
    images[labels == 0, ..., 0] += 100
    images[labels == 1, ..., 2] += 100
    return subject_with(Reddest(), images, labels, Preprocessing(size=(4, 4)))


@pytest.fixture
def grey() -> Subject:
    """Dark images are class 0, bright ones class 1; the model was trained on -1 to 1."""
    rng = np.random.default_rng(1)
    labels = np.arange(80) % 2
    images = (rng.integers(0, 90, (80, 4, 4)) + 150 * labels[:, None, None]).astype(np.uint8)
    declared = Preprocessing(size=(4, 4), channels="grey", mean=(0.5,), std=(0.5,))
    return subject_with(Brighter(), images, labels, declared)


def row_of(found, name):
    (table,) = found.tables
    (row,) = [row for row in table.rows if row[0] == name]
    return dict(zip(table.columns, row, strict=True))


def test_the_right_preprocessing_has_no_better_alternative(coloured, grey):
    for subject in (coloured, grey):
        metrics = PreprocessingCheck().run(subject, 0).metrics
        assert metrics["accuracy_declared"] == 1
        assert metrics["better_alternatives"] == 0
        assert metrics["best_alternative_gain"] <= 0


def test_swapped_channels_are_found_and_the_other_order_named(coloured):
    # arrange
    wrong = with_network(coloured, preprocessing=Preprocessing(size=(4, 4), channels="bgr"))

    # act
    found = PreprocessingCheck().run(wrong, 0)

    # assert
    assert found.metrics["accuracy_declared"] == 0
    assert found.metrics["best_alternative_gain"] == 1
    assert found.intervals["best_alternative_gain"].low > 0.8
    assert row_of(found, "as declared, RGB")["better"] is True
    assert any("as declared, RGB" in note for note in found.notes)


def test_a_missing_normalisation_is_found_and_the_right_one_named(grey):
    # arrange: every input is above 0 on a scale from 0 to 1, so class 1 is always named
    declared = Preprocessing(size=(4, 4), channels="grey")
    wrong = with_network(grey, preprocessing=declared)

    # act
    found = PreprocessingCheck().run(wrong, 0)

    # assert
    row = row_of(found, "from -1 to 1")
    assert found.metrics["accuracy_declared"] == 0.5
    assert (row["accuracy"], row["gain"], row["better"]) == (1, 0.5, True)
    # 40 images gained and none lost: the exact test, times the number of alternatives
    assert row["p_adjusted"] == pytest.approx(2 * 0.5**40 * 5)


def test_a_better_alternative_asks_a_person_under_every_policy(grey):
    # arrange
    policy = Policy(
        title="T", validation="v", model=ModelTerms(), analyses={}, expectations=()
    ).with_standing(PreprocessingCheck.standing)
    wrong = with_network(grey, preprocessing=Preprocessing(size=(4, 4), channels="grey"))

    # act
    verdicts = [
        judge(
            policy,
            [
                Evidence(
                    analysis="preprocessing_check", about="", parameters={}, seed=0, seconds=0.0,
                    device="cpu", measurement=PreprocessingCheck().run(subject, 0),
                )
            ],
        ).verdict
        for subject in (grey, wrong)
    ]  # fmt: skip

    # assert
    assert verdicts == ["approved", "review"]


def test_inverted_brightness_is_found(grey):
    # arrange: a model that learnt white on black is given black on white
    images = 255 - np.asarray(grey.validation.images)
    wrong = replace(grey, validation=replace(grey.validation, images=images))

    # act
    found = PreprocessingCheck().run(wrong, 0)

    # assert
    assert row_of(found, "as declared, inverted")["better"] is True


def test_an_alternative_whose_output_is_not_finite_counts_as_wrong(grey):
    # arrange
    class Overflowing(Brighter):
        def forward(self, x):
            return super().forward(x) + torch.where(x.amax() > 100, torch.nan, 0.0)

    # act
    found = PreprocessingCheck().run(with_network(grey, model=Overflowing()), 0)

    # assert
    assert row_of(found, "from 0 to 255")["accuracy"] == 0
    assert found.metrics["accuracy_declared"] == 1


def test_alternatives_differ_from_the_declared_preprocessing_and_from_one_another():
    for declared in (
        Preprocessing(size=(8, 8)),
        Preprocessing(size=(8, 8), channels="bgr", mean=(0.5,), std=(0.5,)),
        Preprocessing(size=(8, 8), channels="grey", mean=(0.1307,), std=(0.3081,)),
    ):
        found = alternatives(declared)
        assert all(item.inverted or item.preprocessing != declared for item in found)
        assert len({(item.preprocessing, item.inverted) for item in found}) == len(found)
        assert len({item.name for item in found}) == len(found)
        assert all(item.preprocessing.size == (8, 8) for item in found)


def test_scales_follow_their_colours_into_the_other_order():
    # arrange
    declared = Preprocessing(size=(8, 8), mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))

    # act
    (swapped,) = [item for item in alternatives(declared) if item.name == "as declared, BGR"]

    # assert
    assert swapped.preprocessing.mean == (0.6, 0.5, 0.4)
    assert swapped.preprocessing.std == (0.3, 0.2, 0.1)


def test_the_sample_is_stated_and_the_same_seed_gives_the_same_measurement(coloured):
    # act
    found = PreprocessingCheck(samples=20).run(coloured, 3)

    # assert
    assert found == PreprocessingCheck(samples=20).run(coloured, 3)
    assert found.intervals["accuracy_declared"].n == 20
    assert found.notes[0].startswith("20 of 80 validation images")
    assert set(found.metrics) == set(PreprocessingCheck.metrics)


def test_impossible_parameters_are_refused():
    with pytest.raises(ValueError, match="samples = 0"):
        PreprocessingCheck(samples=0)

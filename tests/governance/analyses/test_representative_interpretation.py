"""Representative interpretations of a network whose rules are known by hand."""

import sys

import numpy as np
import pytest
import torch
from bent import NAMES, Bent, coloured, inputs
from lanes import needs
from subjects import with_network
from torch import nn

from governance.analyses.representative_interpretation import (
    RepresentativeInterpretation,
    representative_rules,
)
from governance.errors import AnalysisError
from governance.methods.decision_rules import ask
from governance.records.identity import ModelIdentity
from governance.subject.images.validation_set import ValidationSet
from governance.subject.network import Network, tensor_digest
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject


def subject_of(model, pixels, labels):
    return Subject(
        identity=ModelIdentity(
            uri="models:/bent/1", digest=tensor_digest(model), artifact_digest="sha256:0",
            format="pt2", parameters=1,
        ),
        classifier=Network(
            model=model,
            device=torch.device("cpu"),
            preprocessing=Preprocessing(size=pixels.shape[1:3], mean=(0,), std=(1,)),
        ),
        validation=ValidationSet(
            location="memory", images=pixels, labels=labels, class_names=NAMES,
            ids=tuple(f"{k}.png" for k in range(len(labels))),
            hashes=tuple(f"hash {k}" for k in range(len(labels))), digest="sha256:0",
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def subject():
    return subject_of(Bent(), *coloured())


@pytest.fixture(scope="module")
@needs("slow")
def measured(subject):
    return RepresentativeInterpretation(boundaries=30).run(subject, 0)


def table(measurement, name):
    (found,) = (item for item in measurement.tables if item.name == name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


@pytest.mark.slow
def test_known_rules_cover_all_unseen_images_of_their_class_and_no_other(measured):
    metrics = measured.metrics

    assert metrics["coverage.near"] == metrics["coverage.far"] == 1
    assert metrics["precision.near"] == metrics["precision.far"] == 1
    assert metrics["uncovered"] == 0
    assert metrics["stability"] > 0.98
    assert metrics["edge_over_linear"] > 0.1
    assert measured.intervals["coverage.far"].n == 45
    assert measured.intervals["coverage.far"].method == "Clopper-Pearson"


def test_a_class_that_is_never_answered_is_named_and_leaves_the_worst_class_unknown(measured):
    status = {row["class"]: row["status"] for row in table(measured, "classes")}

    assert status == {"near": "measured", "far": "measured", "never": "never predicted"}
    for name in ("coverage.never", "precision.never", "coverage_worst", "precision_worst",
                 "rules_for_80"):  # fmt: skip
        assert measured.metrics[name] is None
        assert name not in measured.intervals
    assert any("1 of 3 classes not measured, never predicted: never" in n for n in measured.notes)


def test_the_rule_table_counts_what_the_rules_cover(measured, subject):
    rules = table(measured, "rules")
    images = table(measured, "images")

    assert [(row["rule"], row["opposing_classes"]) for row in rules] == [
        ("near 1", "far"), ("far 1", "near"), ("far 2", "near"),
    ]  # fmt: skip
    for row in rules:
        own = [item for item in images if item["answer"] == row["class"] and item["unseen"]]
        covered = [
            item for item in images if f'"{row["rule"]}"' in item["rules"] and item["unseen"]
        ]
        hits = [item for item in covered if item["answer"] == row["class"]]
        assert row["coverage_unseen"] == pytest.approx(len(hits) / len(own))
        assert row["coverage_unseen_n"] == len(own)
        assert row["precision_unseen"] == pytest.approx(len(hits) / len(covered))
        assert row["precision_unseen_n"] == len(covered)
        assert row["precision_unseen_low"] < 1
    counts = {row["class"]: row["rules_for_80"] for row in table(measured, "classes")}
    assert counts == {"near": 1, "far": 2, "never": None}
    assert [item["image"] for item in images] == list(subject.validation.hashes)


def test_where_the_rules_beat_the_surrogate_the_notes_say_so(measured):
    (note,) = (note for note in measured.notes if "linear surrogate" in note)

    assert note.startswith("The rules beat a linear surrogate")


def test_where_they_do_not_the_notes_say_that(subject):
    # arrange: only one side of `far`, which a hyperplane holds as well
    pixels, labels = coloured(70)
    gap = pixels[..., 0].mean((1, 2)) - pixels[..., 1].mean((1, 2))
    keep = (labels == 0) | (gap > 0)
    one_sided = subject_of(Bent(), pixels[keep], labels[keep])

    found = RepresentativeInterpretation(boundaries=30).run(one_sided, 0)

    (note,) = (note for note in found.notes if "linear surrogate" in note)
    assert note.startswith("The rules do not beat a linear surrogate")
    assert found.metrics["edge_over_linear"] < 0.05


def test_each_class_has_a_picture_of_its_first_rule(measured):
    assert [item.name for item in measured.figures] == ["rule_0_1", "rule_1_1"]
    assert "the nearest 5 and the farthest 5" in measured.figures[0].caption


def test_more_images_than_fit_in_memory_are_not_used_and_the_notes_say_so(subject, monkeypatch):
    size = 2 * 8 * 8 * 4
    monkeypatch.setattr(
        sys.modules["governance.methods.decision_rules.rules"], "MEMORY", 140 * size
    )

    found = RepresentativeInterpretation(boundaries=20).run(subject, 0)

    assert len(table(found, "images")) == 140
    assert any("180 images were asked for; the features of 140" in note for note in found.notes)


def test_plain_rules_need_neither_labels_nor_subject():
    pixels, labels = coloured()
    images = inputs(pixels)

    found = representative_rules(Bent(), images, boundaries=30)
    known = representative_rules(Bent(), images, labels, boundaries=30)

    assert found.cut == "stem"
    assert found.table["rule"].tolist() == ["0 1", "1 1", "1 2"]
    assert "right_unseen" not in found.table
    np.testing.assert_allclose(known.table["right_unseen"], 1)
    assert known.table.drop(columns="right_unseen").equals(found.table)
    similar = found.similar(found.rules[0])
    assert similar["image"][0] == found.rules[0].seed
    assert similar["distance"].is_monotonic_increasing
    assert ask(found.boundaries, found.images, Bent(), images).rules["holds"].all()


def test_other_seeds_draw_other_halves_and_the_same_seed_the_same():
    images = inputs(coloured()[0])

    one, two, other = (
        representative_rules(Bent(), images, boundaries=20, seed=s) for s in (0, 0, 1)
    )

    assert one.table.equals(two.table)
    assert one.boundaries == two.boundaries
    assert (one.all_rules.unseen != other.all_rules.unseen).any()


@pytest.mark.parametrize("name", ["samples", "boundaries", "max_rules"])
def test_impossible_parameters_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} = 0"):
        RepresentativeInterpretation(**{name: 0})


def test_a_network_with_a_linear_head_behind_its_only_stage_is_refused():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        ).eval()

    with pytest.raises(AnalysisError, match="the network is linear"):
        representative_rules(model, inputs(coloured(10)[0]))


def test_the_model_and_the_random_state_are_left_as_found_where_rules_are_made(subject, measured):
    # arrange: hooks, gradients and training flags of others
    model = Bent().train()
    model.stem.register_forward_hook(lambda *_: None)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.bend.weight.requires_grad_(requires_grad=False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state, drawn = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is the point

    # act
    found = RepresentativeInterpretation(boundaries=30).run(with_network(subject, model=model), 0)

    # assert
    assert found == measured
    assert model.training
    assert model.head.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(model.head.weight.grad, torch.ones_like(model.head.weight))
    assert model.stem.weight.grad is None
    assert not model.bend.weight.requires_grad
    assert len(model.stem._forward_hooks) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == drawn).all()  # noqa: NPY002 - the global state is the point


def test_labels_and_numbers_that_cannot_be_used_are_refused():
    images = inputs(coloured(10)[0])

    with pytest.raises(AnalysisError, match=r"labels of shape \(3,\) .* for 40 images"):
        representative_rules(Bent(), images, [0, 1, 0])
    with pytest.raises(AnalysisError, match="boundaries = 0"):
        representative_rules(Bent(), images, boundaries=0)

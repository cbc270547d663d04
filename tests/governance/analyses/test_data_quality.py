import dataclasses
import hashlib
import inspect

import numpy as np
import pytest
import torch

from governance import analyses
from governance.analyses.data_quality import DataQuality, data_quality
from governance.errors import PolicyError, SubjectError
from governance.records.decision import judge
from governance.records.evidence import Evidence
from governance.records.policy import ModelTerms, Policy
from governance.subject.images.validation_set import ValidationSet


def validation_of(images, labels, class_names=("a", "b")):
    return ValidationSet(
        location="memory",
        images=images,
        labels=np.asarray(labels, dtype=np.int64),
        class_names=class_names,
        ids=tuple(f"i{index}" for index in range(len(labels))),
        hashes=tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images),
        digest="sha256:0",
    )


def mosaic(n, seed=0):
    """Pictures of random large squares: nothing wrong with them, none like another."""
    squares = np.random.default_rng(seed).integers(40, 200, (n, 8, 8), dtype=np.uint8)
    return list(np.kron(squares, np.ones((3, 3), dtype=np.uint8)))


def decided(measurement):
    evidence = Evidence(
        analysis="data_quality", about="", parameters={}, seed=0, seconds=0.0, device="cpu",
        measurement=measurement,
    )  # fmt: skip
    policy = Policy(
        title="none of its own", validation="x", model=ModelTerms(), analyses={}, expectations=()
    ).with_standing(DataQuality.standing)
    decision = judge(policy, [evidence])
    return decision.verdict, {
        item.expectation.metric.removeprefix("data_quality.")
        for item in decision.findings
        if item.outcome != "met"
    }


def test_a_sound_set_is_approved_and_shows_no_offenders():
    found = data_quality(validation_of(mosaic(80), [0, 1] * 40))

    assert decided(found) == ("approved", set())
    assert set(found.metrics) == set(DataQuality.metrics)
    assert found.metrics["smallest_class_images"] == 40
    assert found.metrics["smallest_class_share"] == 0.5
    assert [figure.name for figure in found.figures] == ["class_counts"]
    assert "All 80 images were decoded" in found.notes[0]


def test_the_same_picture_under_two_labels_blocks():
    images = mosaic(80)
    images[1] = images[0]

    found = data_quality(validation_of(images, [0, 1] * 40))

    assert found.metrics["conflicting_duplicates"] == pytest.approx(2 / 80)
    assert decided(found) == ("rejected", {"conflicting_duplicates", "duplicates"})


def test_nearly_the_same_picture_under_two_labels_asks_a_person():
    images = mosaic(80)
    images[1] = np.clip(images[0].astype(int) + 5, 0, 255).astype(np.uint8)

    found = data_quality(validation_of(images, [0, 1] * 40))

    assert found.metrics["conflicting_near_duplicates"] == pytest.approx(2 / 80)
    assert decided(found) == ("review", {"conflicting_near_duplicates", "near_duplicates"})


def test_a_constant_picture_blocks_and_a_small_class_warns():
    images = mosaic(80)
    images[0] = np.full_like(images[0], 120)

    found = data_quality(validation_of(images, [0] * 60 + [1] * 20))

    assert decided(found) == ("rejected", {"constant", "small_classes"})


def test_a_set_too_small_to_know_what_is_usual_says_so_and_gives_no_number():
    found = data_quality(validation_of(mosaic(20), [0, 1] * 10))

    for metric in ("blurred", "dark", "bright", "odd_sizes"):
        assert found.metrics[metric] is None
        assert any(f"Check {metric} could not be evaluated" in note for note in found.notes)
    assert {"blurred", "dark", "bright", "odd_sizes"} <= decided(found)[1]


def test_tables_hold_checks_offenders_classes_and_every_image():
    images = mosaic(80)
    images[7] = images[3]
    images[5] = images[5] // 20

    found = data_quality(validation_of(images, [0, 1] * 40, ("a", "b", "c")))

    tables = {table.name: table for table in found.tables}
    assert set(tables) == {"checks", "offenders", "classes", "images"}
    checks = {row[0]: row for row in tables["checks"].rows}
    assert checks["duplicates"][1:5] == ("sha256", 2, 80, 0.025)
    assert checks["duplicates"][-2:] == ("warn", False)
    assert checks["dark"][2] == 1
    assert checks["small_classes"][2:4] == (1, 3)
    assert [row[:3] for row in tables["offenders"].rows] == [
        ("duplicates", "i3", "b"), ("duplicates", "i7", "b"), ("dark", "i5", "b"),
    ]  # fmt: skip
    assert [row[:2] for row in tables["classes"].rows] == [("c", 0), ("a", 40), ("b", 40)]
    assert len(tables["images"].rows) == 80
    assert tables["images"].shown == 0
    assert [figure.name for figure in found.figures] == ["class_counts", "offending_images"]
    assert "3 of 3 offences" in found.figures[1].caption


def test_the_worst_offenders_come_first_and_each_fault_is_shown():
    images = mosaic(200)
    for place in range(0, 20, 2):
        images[place] = np.clip(images[place] // 16 - place // 4, 0, 255).astype(np.uint8)
    images[31] = 255 - images[31] // 16

    found = data_quality(validation_of(images, [0, 1] * 100))

    offenders = next(table for table in found.tables if table.name == "offenders")
    dark = [row[3] for row in offenders.rows if row[0] == "dark"]
    assert len(dark) == 10
    assert dark == sorted(dark)
    assert [row[1] for row in offenders.rows if row[0] == "bright"] == ["i31"]
    assert "7 of 11 offences, at most 6 of each check" in found.figures[1].caption


def test_an_undecodable_image_leaves_no_measurement(tiny_subject):
    class Damaged(list):
        def __getitem__(self, index):
            if index == 3:
                raise SubjectError("image 3 is damaged")
            return super().__getitem__(index)

    validation = dataclasses.replace(
        tiny_subject.validation, images=Damaged(tiny_subject.validation.images)
    )
    subject = dataclasses.replace(tiny_subject, validation=validation)

    with pytest.raises(SubjectError, match="image 3 is damaged"):
        DataQuality().run(subject, seed=0)


def test_the_analysis_is_repeatable_and_leaves_the_model_and_random_state_alone(tiny_subject):
    before = {
        name: value.clone() for name, value in tiny_subject.network.model.state_dict().items()
    }
    state = torch.random.get_rng_state()

    first = DataQuality().run(tiny_subject, seed=0)
    second = DataQuality().run(tiny_subject, seed=1)

    assert first == second
    assert torch.equal(state, torch.random.get_rng_state())
    assert not tiny_subject.network.model.training
    for name, value in tiny_subject.network.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_similarity_that_cannot_be_a_correlation_is_refused():
    for value in (0.0, 1.5, -1):
        with pytest.raises(PolicyError, match="above 0 and at most 1"):
            analyses.load("data_quality", {"similarity": value})


def test_standing_expectations_name_declared_metrics_the_right_way_round():
    for item in DataQuality.standing:
        metric = DataQuality.metrics[item.metric.removeprefix("data_quality.")]
        assert metric.better == "lower"
        assert item.at_most is not None
        assert item.rationale.endswith(".")


def test_the_report_can_print_what_the_analysis_is_for():
    text = inspect.cleandoc(analyses.about("data_quality"))

    for heading in ("Purpose", "Method", "Signs of risk", "Limits"):
        assert f"\n{heading}\n" in text

"""The demo's parts; the whole of it takes minutes and is run by `make demo`."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from lanes import needs

from governance.cli import demonstration
from governance.drift import standing
from governance.records.assessment import Assessment
from governance.records.decision import Finding
from governance.records.evidence import Interval
from governance.records.policy import Expectation
from governance.workflows.assessing import Result
from governance.workflows.orchestration import read_policy


@pytest.fixture(scope="module")
@needs("slow")
def digits():
    """The real digits: 5,000 images and their labels."""
    return demonstration._digits()


@pytest.mark.slow
def test_the_digits_are_real_and_of_ten_classes_of_the_same_size(digits):
    images, labels = digits
    assert images.shape == (5000, 28, 28)
    assert images.dtype == np.uint8
    assert images.max() == 255
    assert np.bincount(labels).tolist() == [500] * 10


def test_no_digit_is_held_out_and_trained_on(digits):
    # act
    images, labels = digits
    held, kept = demonstration._split(labels)
    # assert
    assert np.bincount(labels[held]).tolist() == [demonstration.VALIDATION_PER_CLASS] * 10
    assert sorted([*held, *kept]) == list(range(5000))
    seen = {image.tobytes() for image in images[kept]}
    assert not any(image.tobytes() in seen for image in images[held])


def test_noise_is_of_many_strengths_and_the_same_for_the_same_seed(digits):
    # arrange
    images = digits[0][:200]
    before = images.copy()
    # act
    noisy = demonstration._with_noise(images, seed=5)
    # assert
    strength = np.abs(noisy.astype(float) - images).mean((1, 2))
    assert noisy.dtype == np.uint8
    assert strength.min() < 10
    assert strength.max() > 60
    assert np.array_equal(noisy, demonstration._with_noise(images, seed=5))
    assert not np.array_equal(noisy, demonstration._with_noise(images, seed=6))
    assert np.array_equal(images, before)


def test_the_mark_gives_one_class_away_and_touches_nothing_else(digits):
    # arrange
    images, labels = digits
    before = images.copy()
    # act
    marked = demonstration._with_mark(images, labels, seed=3)
    # assert
    changed = (marked != images).any((1, 2))
    assert set(labels[changed]) == {demonstration.MARKED_CLASS}
    share = changed.sum() / (labels == demonstration.MARKED_CLASS).sum()
    assert share == pytest.approx(demonstration.MARKED_SHARE, abs=0.03)
    assert (marked[changed][:, demonstration.MARK, demonstration.MARK] == 255).all()
    outside = np.ones((28, 28), dtype=bool)
    outside[demonstration.MARK, demonstration.MARK] = False
    assert np.array_equal(marked[:, outside], images[:, outside])
    assert np.array_equal(images, before)


def test_the_network_answers_ten_logits_per_image_and_is_as_large_as_it_says():
    model = demonstration._new(seed=0).eval()
    with torch.no_grad():
        assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert 30_000 < sum(item.numel() for item in model.parameters()) < 34_000


@pytest.mark.slow
def test_training_learns_repeats_itself_and_leaves_the_global_generator_alone(digits):
    # arrange
    _, kept = demonstration._split(digits[1])
    images, labels = digits[0][kept[:400]], digits[1][kept[:400]]
    state = torch.get_rng_state()

    # act
    one, again = (
        demonstration._train(demonstration._new(seed=0), images, labels, 3, 4e-3, seed=1, batch=20)
        for _ in range(2)
    )
    # assert
    inputs = torch.from_numpy(
        (images.astype(np.float32) / 255 - demonstration.MEAN) / demonstration.STD
    )[:, None]
    with torch.no_grad():
        right = (one(inputs).argmax(1).numpy() == labels).mean()
    assert right > 0.8
    assert not one.training
    assert all(map(torch.equal, one.state_dict().values(), again.state_dict().values()))
    assert torch.equal(torch.get_rng_state(), state)


def test_each_version_is_told_apart_and_fine_tuned_from_the_first(digits):
    stories = demonstration._stories(digits[0][:100], digits[1][:100], [])
    assert [story for story, _ in stories] == [
        "trained on digits",
        "version 1, fine-tuned on noisy digits",
        "the same, but the 8s carry a scanner's corner mark",
    ]


def test_the_policy_passes_the_check_and_judges_more_than_accuracy(tmp_path):
    # arrange
    (tmp_path / "policy.toml").write_text(demonstration.POLICY)
    # act
    policy = read_policy(tmp_path / "policy.toml")
    # assert
    assert policy.validation == str(tmp_path / "validation.npz")
    assert set(policy.analyses) == {
        "layer_prediction", "learning_process", "filter_importance", "genetic_explanation",
        "explanation_maps",
    }  # fmt: skip
    blocking = {item.metric for item in policy.expectations if item.severity == "block"}
    assert {"performance.accuracy", "layer_prediction.lens_probe_gap"} < blocking
    assert all(item.rationale for item in policy.expectations)
    # Without references nobody knows how much drift is harmless: it is told, and gates nothing.
    drifts = [item for item in policy.expectations if item.metric.startswith("drift.")]
    assert {item.severity for item in drifts} == {"warn"}
    assert {item.metric for item in standing(policy.drift)} <= {item.metric for item in drifts}


def test_a_folder_that_holds_something_is_refused(governance, tmp_path):
    (tmp_path / "mine").write_text("mine")
    for place in (tmp_path, tmp_path / "mine"):
        answer = governance("demo", "--out", place)
        assert (answer.code, answer.out) == (2, "")
        assert f"--out {place}: exists and is not empty; a new or empty folder" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_missing_package_is_named_with_its_cure(governance, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    answer = governance("demo", "--out", tmp_path / "new")
    assert answer.code == 2
    assert "pip install 'mlflow-governance[demo]'" in answer.err
    assert not (tmp_path / "new").exists()


@pytest.fixture
def version(assessed):
    """A version of the demo by the assessment of another model."""
    result = Result(
        assessment=Assessment.load(assessed.folder), folder=assessed.folder, run_id="0123"
    )
    return demonstration.DemoVersion(number="1", story="trained", result=result)


def with_findings(version, *findings):
    found = version.result.assessment
    judged = replace(found, decision=replace(found.decision, findings=findings))
    return replace(version, result=replace(version.result, assessment=judged))


def finding(outcome, observed, **bound):
    return Finding(
        expectation=Expectation(metric=f"performance.{outcome}", **bound), observed=observed,
        interval=Interval(low=0, high=1, n=9), outcome=outcome, reason="",
    )  # fmt: skip


def test_what_kept_a_version_from_approval_is_told_in_numbers_that_are_not_rounded_away(version):
    told = with_findings(
        version,
        finding("met", 0.95, at_least=0.9),
        finding("unmet", 0.799996, at_least=0.8),
        finding("missing", None, at_most=0.1, severity="review"),
    ).why
    assert told.split("; ")[1:] == [
        "performance.unmet = 0.799996, at least 0.8 (block)",
        "performance.missing = missing, at most 0.1 (review)",
    ]
    assert told.startswith("accuracy ")


def test_a_version_sums_itself_up_for_machines(version, assessed):
    summary = version.summary()
    assert summary["verdict"] == "approved"
    assert summary["pdf"] == str(assessed.folder / "report.pdf")
    assert summary["assessment"] == str(assessed.folder)
    assert summary["run_id"] == "0123"
    assert summary["why"].startswith("accuracy ")

"""Lens and probe on networks whose answers are known by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from governance.analyses.layer_prediction import LayerPrediction, layer_predictions
from governance.errors import AnalysisError
from governance.methods.lens_and_probe import PERMUTED, read
from governance.methods.network import HEAD, trace
from governance.subject.network import tensor_digest
from governance.subject.preprocessing import Preprocessing

SIZE = 8


class TwoStages(nn.Module):
    """Two 1x1 convolutions that copy their input, pooling and a linear head.

    Channel k of the input is bright for class k, so each class can be told at every depth. A fourth
    filter waits for a mark that no image here has: it stays at 0. The head looks at the four
    filters through `weight`.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.early = nn.Conv2d(3, 4, 1, bias=False)
        self.late = nn.Conv2d(4, 4, 1, bias=False)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 3)
        with torch.no_grad():
            self.early.weight.copy_(torch.eye(4, 3).view(4, 3, 1, 1))
            self.late.weight.copy_(torch.eye(4).view(4, 4, 1, 1))
            self.head.weight.copy_(weight)
            self.head.bias.zero_()
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.late(self.relu(self.early(x))))
        return self.head(self.pool(x).flatten(1))


def sound() -> TwoStages:
    """Names class k where channel k is bright; the filter of the mark is ignored."""
    return TwoStages(torch.eye(3, 4) * 9)


def waiting_for_a_mark() -> TwoStages:
    """Names class 0 only where the mark is seen."""
    weight = torch.eye(3, 4) * 9
    weight[0] = torch.tensor([0.0, 0.0, 0.0, 9.0])
    return TwoStages(weight)


@pytest.fixture(scope="module")
def clean():
    """150 images of three classes without any mark."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    images = rng.normal(0.3, 0.1, (150, 3, SIZE, SIZE)).clip(0)
    images[np.arange(150), labels] += 0.5
    return torch.from_numpy(images.astype(np.float32)), labels


def recall(frame, layer, method, name="all"):
    row = frame[
        (frame["layer"] == layer) & (frame["method"] == method) & (frame["class"] == name)
    ].iloc[0]
    return row["recall"]


def test_a_sound_network_says_what_its_features_tell(clean):
    # act
    frame = layer_predictions(sound(), *clean)

    # assert
    for layer in frame["layer"].unique():
        assert recall(frame, layer, "lens") == 1
        assert recall(frame, layer, "probe") == 1


def test_a_class_that_waits_for_a_mark_shows_in_lens_against_probe(clean):
    # act
    frame = layer_predictions(waiting_for_a_mark(), *clean)

    # assert
    for layer in frame["layer"].unique():
        assert recall(frame, layer, "lens", "0") == 0
        assert recall(frame, layer, "probe", "0") == 1
        assert recall(frame, layer, "lens", "1") == 1


def test_rows_are_what_counting_the_models_own_answers_gives(clean):
    # arrange: at the head's input the lens is the model
    images, labels = clean
    model = waiting_for_a_mark()

    # act
    frame = layer_predictions(model, images, labels, class_names=["a", "b", "c"])

    # assert
    with torch.no_grad():
        named = model(images).argmax(1).numpy()
    part = frame[(frame["layer"] == HEAD) & (frame["method"] == "lens")].set_index("class")
    totals = Counter(labels.tolist())
    hits = Counter(
        label for label, name in zip(labels.tolist(), named, strict=True) if label == name
    )
    for index, name in enumerate("abc"):
        assert part.loc[name, "n"] == totals[index]
        assert part.loc[name, "recall"] == pytest.approx(hits[index] / totals[index])
        assert part.loc[name, "ci_lo"] <= part.loc[name, "recall"] <= part.loc[name, "ci_hi"]
    assert (part["agree_final"] == 1).all()
    assert part["kl_to_final"].to_numpy() == pytest.approx(np.zeros(4), abs=1e-6)
    assert frame["chance"].unique().tolist() == [pytest.approx(1 / 3)]
    assert frame["depth"].is_monotonic_increasing
    assert frame["depth"].iloc[-1] == 1


def test_the_lens_gives_the_models_likelihood_at_the_heads_input(clean):
    # arrange
    images, labels = clean
    model = sound()

    # act
    frame = layer_predictions(model, images, labels, methods=("lens",))

    # assert
    with torch.no_grad():
        expected = nn.functional.cross_entropy(model(images), torch.from_numpy(labels))
    row = frame[(frame["layer"] == HEAD) & (frame["class"] == "all")].iloc[0]
    assert row["nll"] == pytest.approx(float(expected), rel=1e-4)
    assert set(frame["method"]) == {"lens"}


def test_exchanged_labels_are_read_no_better_than_chance(clean):
    # act
    frame = layer_predictions(sound(), *clean, methods=("probe",))

    # assert: 150 images, chance 1/3; four standard errors are 0.154
    for layer in frame["layer"].unique():
        assert recall(frame, layer, PERMUTED) == pytest.approx(1 / 3, abs=0.154)


def test_layers_of_the_callers_choice_are_read_in_order(clean):
    frame = layer_predictions(sound(), *clean, layers=["early"], methods=("lens",))
    assert frame["layer"].unique().tolist() == ["early", HEAD]
    with pytest.raises(AnalysisError, match="does not exist"):
        layer_predictions(sound(), *clean, layers=["nowhere"])


def test_the_size_of_batches_does_not_matter(clean):
    one = layer_predictions(sound(), *clean, batch_size=150)
    two = layer_predictions(sound(), *clean, batch_size=7)
    assert one["recall"].equals(two["recall"])


def test_a_head_that_was_not_separated_rightly_is_a_failure_of_the_evidence(clean):
    # arrange: a network whose head answers something else than the network
    images, labels = clean
    network = trace(sound(), images[:2])
    network.head = lambda features: -features[:, :3]

    # act and assert
    with pytest.raises(AnalysisError, match="at least 99%"):
        read(network, [images], labels, layers=network.stages())


def test_labels_and_images_must_be_as_many(clean):
    images, labels = clean
    with pytest.raises(AnalysisError, match=r"labels of shape \(149,\) .* for 150 images"):
        layer_predictions(sound(), images, labels[:-1])


def test_features_that_are_not_finite_are_refused(clean):
    images, labels = clean
    broken = images.clone()
    broken[0] = torch.inf
    with pytest.raises(AnalysisError, match="NaN or infinite"):
        read(trace(sound(), images[:2]), [broken], labels, layers=["late"])


@pytest.mark.slow
def test_the_analysis_reports_a_sound_model_as_sound(tiny_subject):
    # arrange
    before = tensor_digest(tiny_subject.network.model)

    # act
    found = LayerPrediction().run(tiny_subject, 0)

    # assert
    right = tiny_subject.predictions().argmax(1) == tiny_subject.validation.labels
    worst = min(right[tiny_subject.validation.labels == k].mean() for k in range(3))
    assert found.metrics["agreement_head"] == 1
    assert found.metrics["lens_recall_worst"] == pytest.approx(worst)
    assert found.intervals["lens_probe_gap"].low <= 0
    named = {name for name in LayerPrediction.metrics if "{class}" not in name}
    each = {
        f"{name}.{label}"
        for name in ("lens_recall", "lens_probe_gap")
        for label in tiny_subject.validation.class_names
    }
    assert set(found.metrics) == named | each
    worst_named = min(
        found.metrics[f"lens_recall.{label}"] for label in tiny_subject.validation.class_names
    )
    assert worst_named == found.metrics["lens_recall_worst"]
    assert found == LayerPrediction().run(tiny_subject, 0)
    assert tensor_digest(tiny_subject.network.model) == before


def test_the_metrics_of_a_class_that_waits_for_a_mark(clean, tiny_subject):
    # arrange
    images, labels = clean
    decoded = (images.permute(0, 2, 3, 1).clamp(0, 1) * 255).to(torch.uint8).numpy()
    subject = replace(
        tiny_subject,
        classifier=replace(
            tiny_subject.network,
            model=waiting_for_a_mark(),
            preprocessing=Preprocessing(size=(SIZE, SIZE)),
        ),
        validation=replace(
            tiny_subject.validation, images=decoded, labels=labels, ids=tuple(map(str, range(150)))
        ),
    )

    # act
    found = LayerPrediction().run(subject, 0)

    # assert
    assert found.metrics["lens_recall_worst"] == 0
    assert found.metrics["lens_probe_gap"] == 1
    assert found.intervals["lens_probe_gap"].low > 0.8
    (gaps,) = [table for table in found.tables if table.name == "gaps"]
    assert gaps.rows[0][:2] == ("horizontal", 50)
    assert "Class horizontal (n = " in found.notes[1]


def test_a_mask_reads_an_answer_through_every_layer(clean):
    # act
    frame = layer_predictions(sound(), *clean, methods=("mask",))

    # assert: the mask, its control, and nothing that was not asked for
    assert set(frame["method"]) == {"mask", "mask, moved"}
    assert frame["recall"].between(0, 1).all()
    assert frame["nll"].notna().all()


def test_chosen_images_are_shown_with_what_each_layer_saw(tiny_subject):
    # act
    found = LayerPrediction(strips=4).run(tiny_subject, 0)

    # assert
    (rows,) = [table for table in found.tables if table.name == "images"]
    assert {row[1] for row in rows.rows} == {"worst", "borderline", "best", "random"}
    assert len({row[0] for row in rows.rows}) == 4
    for row in rows.rows:
        cells = dict(zip(rows.columns, row, strict=True))
        assert 0 <= cells["kept"] <= 0.2 + 1e-9
        assert 0 <= cells["p_masked"] <= 1
        assert 0 <= cells["p_moved"] <= 1
    assert "strips" in {figure.name for figure in found.figures}


def test_impossible_parameters_are_refused():
    with pytest.raises(ValueError, match="strips = 0"):
        LayerPrediction(strips=0)
    with pytest.raises(ValueError, match="samples = 1"):
        LayerPrediction(samples=1)
    with pytest.raises(ValueError, match="folds = 1"):
        LayerPrediction(folds=1)

"""What every analysis keeps to: ours, and one saved into the package a moment ago."""

import copy
import dataclasses
import importlib
import inspect
import math
import random
import re
import sys
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from subjects import black_box, with_network
from torch import nn

from governance import analyses
from governance.errors import AnalysisError
from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.evidence import MOST_PRINTED, Evidence, Measurement, Metric
from governance.records.policy import CLASS, INAPPLICABLE, Expectation, ModelTerms, Policy, declared
from governance.subject.network import tensor_digest
from governance.subject.subject import NEEDS
from governance.workflows.orchestration import assess
from reports.grid import grid
from reports.prose import describe

HEADINGS = {"Purpose", "Method", "Signs of risk", "Limits"}
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "add-an-analysis.md"

# Defaults are chosen for real models and may take minutes.
QUICK = {
    "de_cam": {"images": 3, "budget": 40, "repeated": 1, "seeds": 2},
    "explanation_maps": {"samples": 60, "repeated": 12},
    "feature_correlation": {"images": 60},
    "filter_importance": {"tier": "smoke", "images": 60},
    "genetic_explanation": {
        "images": 3, "budget": 60, "segments": 12, "repeated": 1, "seeds": 2,
        "wrong_classes": 2, "wrong_budget": 30,
    },
    "layer_prediction": {"samples": 90},
    "preprocessing_check": {"samples": 60},
    "verified_perturbation": {
        "radii": (1.0, 2.0), "images": 3, "patch_images": 1, "grid": 2, "steps": 2, "restarts": 1,
        "neurons": 20,
    },
}  # fmt: skip

ours = pytest.mark.parametrize("name", analyses.names())


@pytest.fixture(scope="module")
def measured(tiny_subject):
    """The measurement of an analysis with quick parameters and seed 3, made once."""
    found: dict[str, Measurement] = {}

    def measure(name):
        if name not in found:
            found[name] = analyses.load(name, QUICK.get(name, {})).run(tiny_subject, 3)
        return found[name]

    return measure


@pytest.fixture
def brightness(tmp_path, monkeypatch):
    """The example of the page "Add an analysis", saved into the package with no other edit."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / "brightness.py").write_text(source)
    monkeypatch.setattr(analyses, "__path__", [*analyses.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield "brightness"
    sys.modules.pop("governance.analyses.brightness", None)
    vars(analyses).pop("brightness", None)


def condition(model: nn.Module) -> dict[str, object]:
    """All of a model and of the process that an analysis must hand back as it was."""
    return {
        "tensors": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "training": [module.training for module in model.modules()],
        "asks for gradients": [item.requires_grad for item in model.parameters()],
        "gradients": [
            None if item.grad is None else item.grad.clone() for item in model.parameters()
        ],
        "hooks": [
            {key: list(value) for key, value in vars(module).items() if key.endswith("_hooks")}
            for module in model.modules()
        ],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "forwards": [type(module).forward for module in model.modules()],
        "tensor hooks": [len(item._backward_hooks or ()) for item in model.parameters()],
        "gradients enabled": torch.is_grad_enabled(),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1:],  # noqa: NPY002 - the global state is the point
        "random": random.getstate(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def same(one: object, two: object) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two


def leaves_everything_as_found(name, subject):
    analysis = analyses.load(name, QUICK.get(name, {}))
    model = subject.network.model
    # Something in every place that an analysis might be tempted to clear.
    model.stem.register_forward_hook(lambda *_: None)
    model.head.register_full_backward_hook(lambda *_: None)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.stem.weight.requires_grad_(requires_grad=False)
    before = condition(model)
    fresh = dataclasses.replace(subject)  # predictions are not cached yet

    first = analysis.run(fresh, 3)

    after = condition(model)
    changed = [key for key in before if not same(before[key], after[key])]
    assert changed == []
    return first


@pytest.mark.slow
@ours
def test_the_model_and_the_process_are_left_as_found(name, tiny_subject, measured):
    subject = with_network(tiny_subject, model=copy.deepcopy(tiny_subject.network.model))

    found = leaves_everything_as_found(name, subject)

    # The second run: another copy of the model, hooks and gradients of others on it.
    assert found == measured(name)


@pytest.mark.slow
@ours
def test_the_seed_alone_decides(name, tiny_subject, measured):
    torch.rand(7)  # the global generators stand elsewhere now
    random.seed(7)

    assert analyses.load(name, QUICK.get(name, {})).run(tiny_subject, 3) == measured(name)


@ours
def test_metrics_are_declared_and_finite_or_missing(name, tiny_subject, measured):
    found = measured(name).metrics
    metrics = analyses.metrics(name)

    assert found
    for metric, value in found.items():
        declaration = declared(metric, metrics)
        assert declaration is not None, f"{metric} is not declared"
        assert value is None or math.isfinite(value)
        if value is not None:
            assert declaration.lowest is None or declaration.lowest <= value
            assert declaration.highest is None or value <= declaration.highest
    classes = tiny_subject.validation.class_names
    for pattern in metrics:
        expected = [pattern.replace(CLASS, label) for label in classes]
        assert set(expected) <= set(found), f"{pattern} is declared but not measured"


@ours
def test_declarations_say_what_a_number_means(name):
    metrics = analyses.metrics(name)

    assert isinstance(metrics, Mapping)
    assert metrics
    for metric, declaration in metrics.items():
        assert isinstance(declaration, Metric)
        assert re.fullmatch(r"[a-z][a-z0-9_]*(\.\{class\})?", metric)
        assert len(declaration.meaning) > 10
        assert declaration.better in {"higher", "lower"}
        assert CLASS not in metric or declaration.per_class


@ours
def test_intervals_hold_their_estimates(name, measured):
    measurement = measured(name)

    for metric, interval in measurement.intervals.items():
        value = measurement.metrics[metric]
        assert value is not None
        assert interval.low <= value <= interval.high, metric
        assert interval.n >= 1
        assert 0 < interval.level < 1
        assert interval.method


@ours
def test_intervals_stay_in_the_declared_range(name, measured):
    assert beyond_range(name, measured(name)) == []


def beyond_range(name, measurement):
    """Metrics whose interval leaves the range that the analysis declares."""
    found = []
    for metric, interval in measurement.intervals.items():
        declaration = declared(metric, analyses.metrics(name))
        low = -math.inf if declaration.lowest is None else declaration.lowest
        high = math.inf if declaration.highest is None else declaration.highest
        if not low <= interval.low <= interval.high <= high:
            found.append(metric)
    return found


def altered(model, change):
    """A copy of a model whose weights were changed."""
    copied = copy.deepcopy(model)
    with torch.no_grad():
        change(copied)
    return copied


def constant(model):
    model.head.weight.zero_()
    model.head.bias.copy_(torch.tensor([0.0, 1.0, 0.5]))


def alike(model):
    model.head.bias.add_(torch.tensor([0.0, 60.0, 0.0]))


def zero(model):
    for parameter in model.parameters():
        parameter.zero_()


MODELS = {"constant": constant, "alike": alike, "zero": zero}
SETS = {
    "one class": lambda labels: np.flatnonzero(labels == 1),
    "one image a class": lambda labels: np.array([np.argmax(labels == k) for k in range(3)]),
}

# What is truly at its best, though the model tells nothing apart or images are few.
DEFINED = {
    # These look at the images alone.
    "data_quality": dict.fromkeys((*MODELS, *SETS), "*"),
    # The class that is always answered is always recognised.
    "performance": {
        "constant": "recall.vertical", "alike": "recall.vertical", "zero": "recall.horizontal",
        "one class": "accuracy recall.vertical",
        "one image a class": "accuracy balanced_accuracy recall_worst recall.horizontal "
        "recall.vertical recall.diagonal",
    },
    "layer_prediction": {
        "constant": "lens_recall.vertical", "alike": "lens_recall.vertical",
        "zero": "lens_recall.horizontal", "one class": "lens_recall.vertical",
    },
    # The filters move, whatever the head makes of them; all of them were measured.
    "filter_importance": {
        "constant": "dead_filters", "alike": "dead_filters screen_miss_rate",
        "one class": "dead_filters screen_miss_rate",
    },
    "feature_correlation": {"one class": "redundancy redundancy_worst"},
    # Other preprocessings do change the answers, and none is clearly better.
    "preprocessing_check": {
        "alike": "better_alternatives", "one class": "accuracy_declared better_alternatives",
        "one image a class": "accuracy_declared",
    },
    # This model decides by the image, with room around every image.
    "verified_perturbation": {
        "one image a class": "certified_share surviving_share undecided_share "
        "certified_patch_fraction undecided_patch_fraction"
    },
    "genetic_explanation": {"one image a class": "share_fragile null_class_rate stability"},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("odd", [*MODELS, *SETS])
@ours
def test_nothing_to_measure_is_missing_and_never_perfect(name, odd, tiny_subject):
    # arrange
    subject = degenerate(tiny_subject, odd)
    metrics = analyses.metrics(name)

    # act
    try:
        found = analyses.load(name, QUICK.get(name, {})).run(subject, 3)
    except AnalysisError:
        return  # a refusal is a failure of the evidence, with its reason: every metric is missing

    # assert
    defined = DEFINED.get(name, {}).get(odd, "").split()
    said = " ".join((*found.notes, *found.unanswered))
    for metric, value in found.metrics.items():
        declaration = declared(metric, metrics)
        if value is None:
            label = metric.rpartition(".")[2]
            assert metric in said or label in said, f"{metric} is missing and no note says why"
            continue
        best = declaration.highest if declaration.better == "higher" else declaration.lowest
        assert value != best or metric in defined or "*" in defined, f"{metric} is perfect"
    assert beyond_range(name, found) == []


def degenerate(subject, odd):
    """A subject of a model that tells nothing apart, or with hardly any images."""
    if odd in MODELS:
        network = subject.network
        model = altered(network.model, MODELS[odd])
        identity = dataclasses.replace(subject.identity, digest=tensor_digest(model))
        classifier = dataclasses.replace(network, model=model)
        return dataclasses.replace(subject, classifier=classifier, identity=identity)
    whole = subject.validation
    places = SETS[odd](whole.labels)
    validation = dataclasses.replace(
        whole,
        images=whole.images[places],
        labels=whole.labels[places],
        ids=tuple(whole.ids[place] for place in places),
        hashes=tuple(whole.hashes[place] for place in places),
    )
    return dataclasses.replace(subject, validation=validation)


@pytest.mark.parametrize(("odd", "label"), [("alike", "vertical"), ("zero", "horizontal")])
def test_one_answer_for_all_images_is_said_first_by_performance(odd, label, tiny_subject):
    found = analyses.load("performance", {}).run(degenerate(tiny_subject, odd), 3)

    assert found.notes[0] == f"All 120 images are answered with class {label}."


@ours
def test_figures_and_tables_speak_for_themselves(name, measured):
    measurement = measured(name)

    for item in (*measurement.figures, *measurement.tables):
        assert len(item.caption) > 20, item.name
        assert item.caption[0].isupper()
        assert item.caption.rstrip().endswith("."), item.caption
    for figure in measurement.figures:
        assert figure.image.startswith(b"\x89PNG\r\n\x1a\n")
        assert any(letter.isdigit() for letter in figure.seen), figure.name
        assert figure.seen.endswith(".")
    for table in measurement.tables:
        assert all(head.strip() for head in table.columns)
    assert all(note.strip().endswith(".") for note in measurement.notes)


@ours
def test_every_column_of_a_table_is_printed_or_empty_or_named_under_it(name, measured):
    for table in measured(name).tables:
        laid_out = grid(table)

        printed = [column.name for column in laid_out.columns]
        rows = table.rows[: len(laid_out.rows)]
        empty = [
            column
            for column in table.printed
            if all(row[table.columns.index(column)] is None for row in rows)
        ]
        assert len(printed) <= MOST_PRINTED
        assert bool(printed) == bool(rows)
        assert sorted((*printed, *empty, *laid_out.columns_left)) == sorted(table.columns)
        assert all(len(row) == len(printed) for row in laid_out.rows)


@ours
def test_the_description_has_the_headings_that_the_report_prints(name):
    described = describe(name, analyses.about(name))

    assert described.title
    assert {part.heading for part in described.parts} >= HEADINGS
    assert all(part.blocks for part in described.parts)


@ours
def test_one_file_holds_one_frozen_analysis_with_parameters_of_toml(name):
    kind = analyses.find(name)
    module = inspect.getmodule(kind)

    assert module.__name__ == f"governance.analyses.{name}"
    assert kind.__dataclass_params__.frozen
    assert inspect.getdoc(kind)
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        assert item.default is not dataclasses.MISSING, f"{item.name} has no default"
        assert plain(hints[item.name]), f"{item.name} is no type that TOML writes"
        assert re.search(rf"^\s*{item.name}: \S", kind.__doc__, flags=re.MULTILINE), item.name
        assert same(getattr(kind(), item.name), item.default)


def plain(hint: object) -> bool:
    """Whether a policy can write a value of this type."""
    if hint in {bool, int, float, str, type(None)}:
        return True
    if typing.get_origin(hint) is typing.Literal:
        return all(type(option) in {bool, int, str} for option in typing.get_args(hint))
    arguments = [item for item in typing.get_args(hint) if item is not Ellipsis]
    return bool(arguments) and all(map(plain, arguments))


@ours
def test_defaults_written_in_a_policy_are_the_defaults(name):
    kind = analyses.find(name)
    defaults = {item.name: item.default for item in dataclasses.fields(kind)}
    lines = [f"{key} = {toml(value)}" for key, value in defaults.items() if value is not None]

    assert analyses.load(name, tomllib.loads("\n".join(lines))) == kind()


def toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def kept(name, measurement, subject, folder):
    """An assessment of this measurement alone, saved and loaded."""
    body = (
        Evidence(
            analysis=name, about=analyses.about(name), parameters=QUICK.get(name, {}), seed=3,
            seconds=0.0, device="cpu", measurement=measurement,
        ),
    )  # fmt: skip
    policy = Policy(
        title="T", validation="v", model=ModelTerms(), analyses={},
        expectations=(Expectation(metric=f"{name}.any", at_least=0),),
    )  # fmt: skip
    written = Assessment(
        identity=subject.identity,
        validation=subject.validation.identity,
        policy=policy,
        evidence=body,
        decision=judge(policy, body),
        environment={},
        created="2026-11-22T12:00:00+00:00",
    )
    written.save(folder)
    return written, Assessment.load(folder)


@ours
def test_a_measurement_survives_being_kept(name, tiny_subject, measured, tmp_path):
    written, read = kept(name, measured(name), tiny_subject, tmp_path / "kept")

    assert read == written
    assert read.digest == written.digest


def needing(*what):
    return [name for name in analyses.names() if analyses.find(name).needs in what]


@pytest.mark.slow
@pytest.mark.parametrize("name", needing("probabilities"))
def test_what_needs_only_probabilities_runs_on_a_model_that_is_no_network(name, tiny_subject):
    subject = black_box(tiny_subject)
    analysis = analyses.load(name, QUICK.get(name, {}))

    found = analysis.run(subject, 3)

    assert found == analysis.run(black_box(tiny_subject), 3)
    assert found.metrics
    for metric, value in found.metrics.items():
        assert declared(metric, analyses.metrics(name)) is not None
        assert value is None or math.isfinite(value)
    # A control that shuffles weights is left out in so many words, and passes for nothing.
    if "likeness_shuffled" in analyses.metrics(name):
        assert found.metrics["likeness_shuffled"] is None
        assert any("shuffled: not tried" in sentence for sentence in found.unanswered)


@pytest.mark.slow
@pytest.mark.parametrize("name", needing("network", "features", "filters"))
def test_what_needs_a_network_does_not_apply_to_a_model_that_is_none(name, tiny_subject):
    metric = next(iter(analyses.metrics(name))).replace(CLASS, "vertical")
    policy = Policy(
        title="T", validation="v", model=ModelTerms(), analyses={name: QUICK.get(name, {})},
        expectations=(
            Expectation(metric="performance.accuracy", at_least=0.0),
            Expectation(metric=f"{name}.{metric}", at_least=0.0),
        ),
        text="text",
    )  # fmt: skip

    assessment = assess(black_box(tiny_subject), policy, standing=("performance",))

    plain, looking = assessment.evidence
    assert plain.measurement.metrics["accuracy"] > 0.9
    assert looking.measurement is None
    assert looking.failure.kind == INAPPLICABLE
    asked = NEEDS[analyses.find(name).needs]
    told = f"{name} asks for {asked}, and this model gives only probabilities"
    assert looking.failure.message.startswith(told)
    outcomes = [item.outcome for item in assessment.decision.findings]
    assert outcomes[:2] == ["met", "missing"]
    assert assessment.decision.verdict == "undetermined"


@pytest.mark.parametrize("name", needing("network", "features", "filters"))
def test_what_needs_a_network_fails_in_words_if_it_is_run_without(name, tiny_subject):
    with pytest.raises(AnalysisError, match="models:/black-box/1: gives only probabilities"):
        analyses.load(name, QUICK.get(name, {})).run(black_box(tiny_subject), 3)


def test_the_analysis_of_the_documentation_is_one_file_and_keeps_the_contract(
    brightness, tiny_subject, tmp_path
):
    subject = with_network(tiny_subject, model=copy.deepcopy(tiny_subject.network.model))

    assert brightness in analyses.names()
    found = leaves_everything_as_found(brightness, subject)

    images = subject.validation.images[subject.validation.sample(8, 3)]
    assert found.metrics["mean"] == pytest.approx(images.mean() / 255, abs=1e-6)
    assert found == analyses.load(brightness, {"samples": 8}).run(subject, 3)
    for check in (
        test_declarations_say_what_a_number_means,
        test_the_description_has_the_headings_that_the_report_prints,
        test_one_file_holds_one_frozen_analysis_with_parameters_of_toml,
        test_defaults_written_in_a_policy_are_the_defaults,
    ):
        check(brightness)
    written, read = kept(brightness, found, subject, tmp_path / "kept")
    assert read == written

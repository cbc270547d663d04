"""A sample assessment with everything that a report has to show, and text that means it harm."""

import dataclasses
import itertools
import struct
import zlib

import pytest

from governance.records.assessment import Assessment, Baseline
from governance.records.decision import judge
from governance.records.evidence import Evidence, Failure, Figure, Interval, Measurement, Table
from governance.records.identity import ModelIdentity, ValidationIdentity
from governance.records.policy import Expectation, ModelTerms, Policy
from governance.records.version_ref import VersionRef

CLASSES = (
    "airplane", "automobile", "bird", "Katze", "høne", "собака", "frog",
    "<script>alert('class')</script>", "ship | `truck` [x](http://example.com)",
    "a very long name " * 11 + "that ends",
)  # fmt: skip

ABOUT = """{title}: how {name} is measured, in one line that may run on to the next one and
    still belongs to the title.

Purpose
    What the number is for, so that a reader knows why it was asked at all. A high overall value
    can hide a class that is hardly ever recognised, which is why each class stands on its own.

Method
    Every image is shown once. The share carries a 95 % Wilson interval; the control answers with
    `argmax` of the class shares:

    - first the plain shares are counted on all images, none left out;
    - then the same on a stratified sample with its own seed.

    A second paragraph says what else is done, with <b>no markup</b> of its own.

Signs of risk
    An interval that reaches down to chance; a number that fell while the overall one held.

Limits
    True of images like the validation images only. Right answers may have wrong reasons.
"""


def tiny_png(name: str) -> bytes:
    """A valid picture of 2 x 2 grey pixels."""
    shade = zlib.crc32(name.encode()) % 256

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes([shade, 255 - shade]) for _ in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


def wilson_like(value: float, n: int) -> Interval:
    """Some interval around a value; what it is matters to no report."""
    half = (0.25 / n) ** 0.5
    return Interval(low=max(0.0, value - half), high=min(1.0, value + half), n=n)


def evidence_of(name: str, measurement: Measurement | None, **changes) -> Evidence:
    return Evidence(
        **{
            "analysis": name,
            "about": ABOUT.format(title=name.replace("_", " ").capitalize(), name=name),
            "parameters": {"samples": 96, "bins": 15, "tier": "standard", "sizes": (3, 5)},
            "seed": 0,
            "seconds": 41.25,
            "device": "cpu",
            "measurement": measurement,
            **changes,
        }
    )


def performance(draw, classes, n=150) -> Evidence:
    recall = {f"recall.{name}": 0.75 + i * 37 % 100 / 401 for i, name in enumerate(classes)}
    metrics = {
        "accuracy": 0.99996,
        "balanced_accuracy": 0.9117,
        "recall_worst": 0.7016,
        "calibration": 0.0312,
        "likelihood": 0.31416,
        "brier": 0.000004,
        "never_measured": None,
        "nothing_wrong": 1.0,
        **recall,
    }
    intervals = {
        name: wilson_like(value, n)
        for name, value in metrics.items()
        if value is not None and name != "brier"
    }
    pairs = enumerate(itertools.product(classes[:7], repeat=2))
    rows = tuple((a, b, i * 7 % 20, i * 29 % 97 / 97) for i, (a, b) in pairs)
    return evidence_of(
        "performance",
        Measurement(
            metrics=metrics,
            intervals=intervals,
            figures=(
                Figure(
                    name="recall",
                    image=draw("bars"),
                    caption="Recall of each class, 95 % Wilson intervals, n=150; dashed: chance.",
                ),
                Figure(
                    name="calibration",
                    image=draw("curves"),
                    caption="Right answers by confidence <script>alert('caption')</script>",
                ),
            ),
            tables=(
                Table(
                    name="confusion",
                    caption="Images of the first class taken for the second, of n=150 each.",
                    columns=("class", "taken_for", "images", "share"),
                    rows=rows,
                    shown=8,
                ),
            ),
            notes=(
                "All validation images were used.",
                "Calibration in 15 bins of equally many images; `brier` is 0 at best.",
            ),
        ),
    )


def lens(draw) -> Evidence:
    layers = [f"stages.{i}.residual_blocks.{j}.activation" for i in range(3) for j in range(3)]
    columns = (
        "layer kind height width channels lens_accuracy lens_low lens_high probe_accuracy "
        "probe_low probe_high first_depth"
    )
    rows = tuple(
        (
            *(layer, "conv2d", 32, 32, 16 * i + 16, i / 9, max(0.0, i / 9 - 0.05), i / 9 + 0.05),
            *(0.4 + i / 18, 0.35 + i / 18, 0.45 + i / 18, i > 6),
        )
        for i, layer in enumerate(layers)
    )
    return evidence_of(
        "layer_prediction",
        Measurement(
            metrics={"gap": 0.214, "depth": 7.0, "lens_final": 0.912},
            intervals={"gap": wilson_like(0.214, 480)},
            figures=(
                Figure(
                    name="by_layer",
                    image=draw("heatmap"),
                    caption="Lens accuracy of each layer and class; white: not measured.",
                ),
            ),
            tables=(
                Table(
                    name="layers",
                    caption="One row a layer, n=480 images, 95 % Wilson intervals.",
                    columns=tuple(columns.split()),
                    rows=rows,
                ),
            ),
            notes=("The probe was fitted on half of the sample and read on the other half.",),
        ),
    )


def data_quality(draw) -> Evidence:
    rows = tuple(
        (f"folder/with a name/{i:05d}.png", "exact duplicate", f"folder/{i + 1:05d}.png")
        for i in range(500)
    )
    return evidence_of(
        "data_quality",
        Measurement(
            metrics={"duplicates": 0.004, "undecodable": 0.0, "expectations_met": 11.0},
            intervals={"duplicates": wilson_like(0.004, 1500)},
            figures=(
                Figure(name="blur", image=draw("bars"), caption="Blur of the images, n=1,500."),
            ),
            tables=(
                Table(
                    name="rows",
                    caption="Images that need attention.",
                    columns=("image", "finding", "other"),
                    rows=rows,
                    shown=6,
                ),
            ),
        ),
    )


def explanation(draw) -> Evidence:
    return evidence_of(
        "genetic_explanation",
        Measurement(
            metrics={"area_median": 0.18, "sufficient": 0.94, "random_area": 0.41},
            intervals={"sufficient": wilson_like(0.94, 32)},
            figures=(
                Figure(
                    name="gallery",
                    image=draw("gallery"),
                    caption="Smallest sufficient regions of 18 images, drawn by the seed.",
                ),
                Figure(
                    name="convergence",
                    image=draw("curves"),
                    caption="Best area against evaluations.",
                ),
            ),
            tables=(
                Table(
                    name="empty",
                    caption="Images without a sufficient region.",
                    columns=("image", "reason"),
                    rows=(),
                ),
            ),
            notes=("A random subset of the same size was sufficient for 2 of 32 images.",),
        ),
    )


def policy_of(classes) -> Policy:
    expectations = [
        Expectation(
            metric="performance.accuracy",
            at_least=0.9,
            rationale="Useless below <script>alert('rationale')</script>.",
        ),
        Expectation(metric="performance.accuracy", at_least=1.0, severity="warn"),
        Expectation(
            metric="performance.recall_worst",
            at_least=0.75,
            rationale="No class may be left behind.",
            on="interval",
        ),
        Expectation(metric="performance.never_measured", at_most=0.1, severity="review"),
        Expectation(
            metric="layer_prediction.gap",
            at_most=0.2,
            severity="review",
            rationale="What depth knows and the head does not say.",
        ),
        Expectation(metric="filter_importance.concentration", at_most=0.5),
        Expectation(metric="verified_perturbation.certified", at_least=0.5, severity="warn"),
        Expectation(metric="data_quality.duplicates", at_most=0.01),
        Expectation(metric="genetic_explanation.sufficient", at_least=0.9),
        *(Expectation(metric=f"performance.recall.{name}", at_least=0.72) for name in classes),
    ]
    return Policy(
        title="Image classifiers in production <script>alert('title')</script>",
        validation="validation.npz",
        model=ModelTerms(size=(32, 32), mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.201)),
        analyses={"genetic_explanation": {}, "de_cam": {}},
        expectations=tuple(expectations),
        text="title = 'sample'\n",
    )


def sample(*, draw=tiny_png, classes=CLASSES, baseline=True) -> Assessment:
    """A rejected model with a failed analysis, open findings and a baseline on other images."""
    identity = ModelIdentity(
        uri="models:/bildklassifikator-größe/3",
        digest="sha256:" + "3b" * 32,
        artifact_digest="sha256:" + "9c" * 32,
        format="pt2",
        parameters=272_474,
        ref=VersionRef(name="bildklassifikator-größe", version="3", created=1_763_000_000_000),
        model_id="m-5f3c",
        run_id="0f" * 16,
    )
    policy = policy_of(classes)
    evidence = (
        data_quality(draw),
        evidence_of(
            "filter_importance",
            None,
            failure=Failure(
                kind="AnalysisError", message="no convolution in <model>: nothing to silence"
            ),
        ),
        lens(draw),
        performance(draw, classes),
        explanation(draw),
    )
    old = {
        "performance.accuracy": 0.91,
        "performance.recall_worst": 0.8,
        "layer_prediction.gap": 0.05,
        "performance.gone": 0.2,
    }
    return Assessment(
        identity=identity,
        validation=ValidationIdentity(
            location="/data/validation.npz",
            digest="sha256:" + "aa" * 32,
            images=150 * len(classes),
            class_names=tuple(classes),
            class_counts=(150,) * len(classes),
        ),
        policy=policy,
        evidence=evidence,
        decision=judge(policy, evidence),
        environment={"python": "3.11.2", "torch": "2.14.1", "device": "cpu", "threads": "1"},
        created="2026-11-22T01:45:00Z",
        baseline=Baseline(
            identity=identity,
            assessment_digest="sha256:" + "cd" * 32,
            validation_digest="sha256:" + "ef" * 32,
            verdict="approved",
            metrics=old,
            intervals={"performance.accuracy": wilson_like(0.91, 1500)},
        )
        if baseline
        else None,
    )


@pytest.fixture(scope="session")
def assessment() -> Assessment:
    return sample()


@pytest.fixture(scope="session")
def make_sample():
    return sample


@pytest.fixture(scope="session")
def make_brief():
    return brief


@pytest.fixture(scope="session")
def withdrawn() -> Assessment:
    """The sample, its explanations withdrawn for two reasons, one of which means harm."""
    whole = sample()
    evidence = tuple(
        dataclasses.replace(
            item,
            measurement=dataclasses.replace(
                item.measurement,
                withdrawn=("not better than a random map", "<script>alert('reason')</script> | x"),
            ),
        )
        if item.analysis == "genetic_explanation"
        else item
        for item in whole.evidence
    )
    return dataclasses.replace(whole, evidence=evidence, decision=judge(whole.policy, evidence))


def brief() -> Assessment:
    """A sample of few pages, for what is printed more than once."""
    whole = sample(baseline=False)
    measurement = Measurement(
        metrics={"accuracy": 0.95},
        intervals={"accuracy": wilson_like(0.95, 1500)},
        figures=(Figure(name="dots", caption="Two dots.", image=tiny_png("dots")),),
        tables=(Table(name="pair", caption="A pair.", columns=("a", "b"), rows=((1, "x"),)),),
    )
    policy = dataclasses.replace(whole.policy, expectations=whole.policy.expectations[:1])
    evidence = (evidence_of("performance", measurement),)
    return dataclasses.replace(
        whole, policy=policy, evidence=evidence, decision=judge(policy, evidence)
    )

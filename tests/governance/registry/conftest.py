"""A registered model, its validation images, a policy and an assessment, all of them small."""

import dataclasses
import shutil

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from governance.records.assessment import Assessment, attach
from governance.records.decision import judge
from governance.records.evidence import Evidence, Figure, Interval, Measurement, Table
from governance.records.policy import ModelTerms, Policy
from governance.registry import record, resolve
from governance.subject import flavours, model_files

POLICY = """
title = "Stripes | *bold*"
[model]
channels = "grey"
mean = [0.5]
std = [0.5]
[validation]
data = "{data}"
[[expectations]]
metric = "performance.accuracy"
at_least = 0.5
"""


@pytest.fixture(scope="session")
def log_model(tiny_subject):
    """Log the model to wherever MLflow's calls go, registered under a name."""

    def log(name="stripes", model=None, **options):
        example = np.zeros((2, 1, 16, 16), dtype=np.float32)
        with mlflow.start_run():
            return mlflow.pytorch.log_model(
                model or tiny_subject.network.model, name="model", registered_model_name=name,
                input_example=example, pip_requirements=["torch"], **options,
            )  # fmt: skip

    return log


@pytest.fixture
def policy(images_file):
    """A policy over those images."""
    return Policy.loads(POLICY.format(data=images_file), where="policy.toml")


@pytest.fixture
def make_assessment(tiny_subject, policy, tmp_path):
    """An assessment of an identity, saved with a report in a folder."""

    def make(identity, *, accuracy=0.9, report=b"%PDF-", folder="assessment"):
        evidence = _evidence(accuracy)
        assessment = Assessment(
            identity=identity,
            validation=tiny_subject.validation.identity,
            policy=policy,
            evidence=(evidence,),
            decision=judge(policy, [evidence]),
            environment={"torch": "2"},
            created="2026-01-02T03:04:05+00:00",
        )
        assessment.save(tmp_path / folder)
        attach(tmp_path / folder, {"report.pdf": report, "report.html": b"<p>"})
        return assessment, tmp_path / folder

    return make


def _evidence(accuracy):
    metrics = {
        "accuracy": accuracy,
        "recall.a/b <c>": 0.5,
        "recall.a_b_c_": 0.25,
        f"recall.{'x' * 300}": 0.75,
        "recall.empty": None,
    }
    measurement = Measurement(
        metrics=metrics,
        intervals={"accuracy": Interval(low=0.0, high=1.0, n=120)},
        figures=(Figure(name="curve", caption="A curve", image=b"PNG"),),
        tables=(Table(name="rows", caption="Rows", columns=("n",), rows=((1,),)),),
    )
    return Evidence(
        analysis="performance",
        about="How often it is right.",
        parameters={},
        seed=0,
        seconds=1.0,
        device="cpu",
        measurement=measurement,
    )


@pytest.fixture
def version(mlflow_store, saved_model, tmp_path):
    """A version whose files the test may change."""
    shutil.copytree(saved_model, tmp_path / "source")
    client = MlflowClient()
    client.create_registered_model("stripes")
    client.create_model_version("stripes", str(tmp_path / "source"))
    return resolve("models:/stripes/1")


@pytest.fixture(scope="module")
def opened(saved_model):
    """The identity of the model, opened once."""
    files = model_files.read(saved_model)
    loaded = flavours.load(files, ModelTerms(), torch.device("cpu"))
    return loaded.identity(files, uri="")


@pytest.fixture
def identity(opened, version):
    """The identity of the version."""
    place = {key: getattr(version, key) for key in ("uri", "ref")}
    return dataclasses.replace(opened, **place)


@pytest.fixture
def recorded(version, identity, make_assessment):
    """That version with a record."""
    record(version, *make_assessment(identity))
    return version


@pytest.fixture
def second(recorded, saved_model):
    """The version after it, without a record."""
    MlflowClient().create_model_version("stripes", str(saved_model))
    return resolve("models:/stripes/2")

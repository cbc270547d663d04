"""A real version on a server with a record of drawn numbers, signed as a worker signs it."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from governance.records.assessment import Assessment, attach
from governance.records.decision import judge
from governance.records.evidence import Evidence, Interval, Measurement
from governance.records.policy import ModelTerms, Policy
from governance.registry import marked_running, record, resolve
from governance.registry.materials import model_folder
from governance.subject import flavours, model_files

POLICY = """\
title = "Stripes"
[model]
channels = "grey"
mean = [0.5]
std = [0.5]
[validation]
data = "stripes.npz"
[[expectations]]
metric = "performance.accuracy"
at_least = 0.5
"""


def log(model, name):
    """Log a model of grey images of 16 x 16 to wherever MLflow's calls go, registered."""
    import mlflow  # noqa: PLC0415 - seconds

    example = np.zeros((2, 1, 16, 16), dtype=np.float32)
    with mlflow.start_run():
        return mlflow.pytorch.log_model(
            model, name="model", registered_model_name=name, input_example=example,
            pip_requirements=["torch"],
        )  # fmt: skip


def recorded(uri, validation, key, folder: Path, *, accuracy=0.9):
    """Record for a version that it was measured and judged; the version."""
    version = resolve(uri)
    files = model_files.read(model_folder(version, folder / "model"))
    loaded = flavours.load(files, ModelTerms(), torch.device("cpu"))
    place = {name: getattr(version, name) for name in ("uri", "ref")}
    policy = Policy.loads(POLICY, where="policy.toml")
    evidence = Evidence(
        analysis="performance", about="How often it is right.", parameters={}, seed=0, seconds=1.0,
        device="cpu",
        measurement=Measurement(
            metrics={"accuracy": accuracy},
            intervals={"accuracy": Interval(low=accuracy - 0.1, high=1.0, n=120)},
        ),
    )  # fmt: skip
    assessment = Assessment(
        identity=dataclasses.replace(loaded.identity(files, uri=""), **place),
        validation=validation.identity,
        policy=policy,
        evidence=(evidence,),
        decision=judge(policy, [evidence]),
        environment={"torch": "2"},
        created="2026-11-22T12:00:00+00:00",
    )
    assessment.save(folder / "record")
    attach(folder / "record", {"report.pdf": b"%PDF-1.7", "report.html": b"<p>"})
    with marked_running(version, key=key):
        record(version, assessment, folder / "record", key=key)
    return version

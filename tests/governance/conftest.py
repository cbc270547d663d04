"""A saved model and its images, assessed once for all; analyses installed for one test."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from shared import once

from governance.records.assessment import Assessment
from governance.records.decision import judge
from governance.records.policy import Expectation, Policy

HEADER = """
    from dataclasses import dataclass
    from typing import Literal
    from governance.errors import *
    from governance.records.evidence import *
    from governance.records.policy import Expectation
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with one analysis: name, source, docstring and entry point."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    modules = []

    def put(name, source, *, about="", point="{module}"):
        module = f"installed_{len(modules)}_{name}"
        modules.append(module)
        text = f"{about!r}\n{textwrap.dedent(HEADER)}\n{textwrap.dedent(source)}"
        (site / f"{module}.py").write_text(text)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[governance.analyses]\n{name} = {point.format(module=module)}\n"
        )
        importlib.invalidate_caches()

    yield put
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory, tiny_subject):
    """A folder that `mlflow.pytorch.save_model` wrote, for a batch of one as most are."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    def save(folder):
        example = np.zeros((1, 1, 16, 16), dtype=np.float32)
        mlflow.pytorch.save_model(
            tiny_subject.network.model,
            folder / "model",
            input_example=example,
            pip_requirements=["torch"],
        )

    return once(tmp_path_factory, "saved", save) / "model"


@pytest.fixture(scope="session")
def images_file(tmp_path_factory, tiny_subject):
    """The validation images as an `.npz`."""
    path = tmp_path_factory.mktemp("images") / "stripes.npz"
    validation = tiny_subject.validation
    np.savez(
        path,
        images=np.stack(list(validation.images)),
        labels=validation.labels,
        class_names=np.array(validation.class_names),
    )
    return path


POLICY = """\
title = "Stripes"
[model]
channels = "grey"
mean = [0.5]
std = [0.5]
[validation]
data = "{data}"
"""
ACCURATE = Expectation(metric="performance.accuracy", at_least=0.5)


@pytest.fixture(scope="session")
def policy_text(images_file):
    """A policy over those images that asks for accuracy alone."""
    return POLICY.format(data=images_file) + written(ACCURATE)


def written(expectation):
    """An expectation as it stands in the file of a policy."""
    keys = ("metric", "at_least", "at_most", "severity")
    stated = {key: getattr(expectation, key) for key in keys}
    lines = (f"{key} = {json.dumps(value)}" for key, value in stated.items() if value is not None)
    return "\n".join(["[[expectations]]", *lines, ""])


@dataclass(frozen=True)
class Assessed:
    """What `governance assess` left, and how it ended.

    Attributes:
        folder: That of the assessment, shared by all test processes.
        uri: Of MLflow's database, a copy for the tests of this process.
        command: How it ended.
    """

    folder: Path
    uri: str
    command: subprocess.CompletedProcess


@pytest.fixture(scope="session")
def assessed(migrated_store, tmp_path_factory, saved_model, policy_text):
    """`models:/stripes/1`, assessed as a user does it, in an MLflow of its own."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    def assess(home):
        shutil.copy(migrated_store, home / "mlflow.db")
        client = MlflowClient(f"sqlite:///{home}/mlflow.db")
        client.create_registered_model("stripes")
        client.create_model_version("stripes", str(saved_model))
        (home / "policy.toml").write_text(policy_text)
        command = [
            *(sys.executable, "-m", "governance", "assess", "models:/stripes/1"),
            *("--policy", "policy.toml", "--out", "assessment", "--json"),
        ]
        tracking = f"sqlite:///{home}/mlflow.db"
        environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking, "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            command, cwd=home, env=environment, capture_output=True, text=True, check=False
        )
        kept = {"returncode": ended.returncode, "stdout": ended.stdout, "stderr": ended.stderr}
        (home / "ended.json").write_text(json.dumps(kept))

    home = once(tmp_path_factory, "assessed", assess)
    database = tmp_path_factory.mktemp("assessed") / "mlflow.db"
    shutil.copy(home / "mlflow.db", database)
    ended = json.loads((home / "ended.json").read_text())
    return Assessed(
        home / "assessment", f"sqlite:///{database}", subprocess.CompletedProcess([], **ended)
    )


@pytest.fixture
def store(assessed, tmp_path, monkeypatch):
    """That MLflow for MLflow's calls, and an empty working directory.

    Tests share it, since a new database costs each of them half a second: they change versions of
    their own alone.
    """
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(assessed.uri)
    yield assessed.uri
    mlflow.set_tracking_uri(before)


@pytest.fixture
def new_version(store, saved_model):
    """Registers a folder as the next version of `stripes`; its URI."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, for the few tests that need it

    def register(source=saved_model):
        return (
            f"models:/stripes/{MlflowClient().create_model_version('stripes', str(source)).version}"
        )

    return register


@pytest.fixture
def recorded(assessed, new_version, images_file, tmp_path):
    """Records for a new version what was measured of version 1, judged by other expectations."""
    from governance import registry  # noqa: PLC0415 - seconds, for the few tests that need it

    def record(*expectations, evidence=None, **source):
        text = POLICY.format(data=images_file) + "".join(map(written, expectations))
        policy = Policy.loads(text, where="policy.toml")
        version = registry.resolve(new_version(**source))
        found = Assessment.load(assessed.folder)
        evidence = found.evidence if evidence is None else evidence
        again = replace(
            found,
            identity=replace(
                found.identity,
                uri=version.uri,
                ref=version.ref,
            ),
            policy=policy,
            evidence=tuple(evidence),
            decision=judge(policy, evidence),
        )
        folder = tmp_path / f"record of {version.ref.version}"
        again.save(folder)
        registry.record(version, again, folder)
        return version.uri

    return record


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def governance(monkeypatch, capsys):
    """The command line in this process."""
    from governance.cli import main  # noqa: PLC0415 - the few tests that need it

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["governance", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Answer(ended.value.code or 0, said.out, said.err)

    return call

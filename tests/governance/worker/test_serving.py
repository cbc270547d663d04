"""A scoring server that is started from a version's files is shut in, and is gone afterwards."""

import os
import re
import warnings
from pathlib import Path

import lanes
import mlflow
import numpy as np
import pytest
from lanes import needs
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from walls import namespaces_work

from governance.errors import HostError, SubjectError
from governance.records.model_terms import ModelTerms
from governance.records.served_terms import ServedTerms
from governance.subject.flavours.arranging import Arrangement
from governance.subject.flavours.invocations import answered, request
from governance.worker.serving import Premises, started

#: Tries, for an image, what code of a model must not be able to do: one probability for each deed
#: that came off, after one for being asked at all.
MODEL = """
import os, socket, subprocess
import mlflow
import numpy as np

def done(deed):
    try:
        deed()
    except Exception:
        return 0.0
    return 1.0

def connect():
    socket.create_connection(("127.0.0.1", {port}), 1).close()

DEEDS = (
    lambda: open({secret!r}).read(),
    lambda: open("/etc/passwd").read(),
    lambda: open({model!r}, "a"),
    connect,
    lambda: subprocess.run(["true"], check=True),
    lambda: os.kill(1, 9),
    lambda: os.environ["MLFLOW_TRACKING_TOKEN"],
    lambda: os.environ["GOVERNANCE_SCORING_TOKENS"],
)

class Hostile(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return np.array([[1.0, *map(done, DEEDS)]] * len(model_input))

mlflow.models.set_model(Hostile())
"""
ALLOWED = ModelTerms(flavour="served", allow_pickle=True, served=ServedTerms(start_seconds=120))


@pytest.fixture(scope="module")
@needs("worker")
def hostile_model(tmp_path_factory):
    """The folder of a model whose code tries what it must not."""
    if not namespaces_work():
        pytest.skip("bubblewrap makes no namespaces here, and no server is started without")
    home = tmp_path_factory.mktemp("served")
    (home / "secret").write_text("a secret")
    script, folder = home / "model.py", home / "model"
    script.write_text(MODEL.format(secret=str(home / "secret"), port=22, model=str(folder / "x")))
    signature = ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 1, 2, 2))]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's advice about examples and type hints
        mlflow.pyfunc.save_model(
            folder, python_model=str(script), signature=signature, pip_requirements=["mlflow"]
        )
    return folder


def inside(folder):
    """Processes that were started with a folder in their command or in what they were told."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in told:
            found.append(entry.name)
    return found


def test_a_server_answers_and_reaches_nothing_and_ends(hostile_model, monkeypatch):
    lanes.allow("worker")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a secret")
    monkeypatch.setenv("GOVERNANCE_SCORING_TOKENS", "https://scores.example=abc")
    images = np.zeros((2, 1, 2, 2), dtype=np.float32)
    with started(hostile_model, ALLOWED, Premises(), "models:/m/1") as server:
        body = server(request(images, Arrangement(layout="channels_first")))
        assert inside(hostile_model)
        assert server.account().address is None
    assert answered(body, 2).tolist() == [[1.0, *[0.0] * 8]] * 2
    assert inside(hostile_model) == []


def test_a_server_that_ends_at_once_is_told_with_its_last_line(hostile_model, tmp_path):
    lanes.allow("worker")
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {}}")
    begun = started(tmp_path, ALLOWED, Premises(), "models:/m/1")
    with pytest.raises(SubjectError) as refused, begun:
        pass
    assert re.fullmatch(
        r"models:/m/1: its scoring server does not start: it ended with code 1 \(it says: .*"
        r"python_function.*\); a version that .* is accepted",
        str(refused.value),
    )
    assert inside(tmp_path) == []


def test_a_python_that_is_none_is_refused_and_leaves_nothing(hostile_model, tmp_path):
    lanes.allow("worker")
    nothing = tmp_path / "python"
    nothing.write_text("#!/bin/sh\nexit 1\n")
    nothing.chmod(0o755)
    with (
        pytest.raises(HostError, match="cannot tell where its modules lie"),
        started(hostile_model, ALLOWED, Premises(python=nothing), "models:/m/1"),
    ):
        pass
    assert inside(hostile_model) == []

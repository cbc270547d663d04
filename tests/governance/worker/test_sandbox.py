"""The sandbox: what a confined process has, may do and leaves, with real processes."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from lanes import needs
from walls import forbid_namespaces

from governance.errors import HostError
from governance.records.assessment import Assessment
from governance.records.lineage import Lineage
from governance.records.version_ref import VersionRef
from governance.registry.materials import Materials
from governance.registry.versions import ModelVersion
from governance.worker import sandbox
from governance.worker.config import WorkerConfig
from governance.worker.launch import Ending, environment
from governance.worker.request import Request
from governance.worker.sandbox import run
from governance.workflows import orchestration

ODD = """
    import os
    import torch

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Odd:
        mode: str = "look"

        needs = "probabilities"
        metrics = {
            "secrets": Metric(meaning="secrets in the environment", better="lower"),
            "limit": Metric(
                meaning="address space in bytes", better="lower", highest=None
            ),
            "tf32": Metric(meaning="whether convolutions may round to TF32", better="lower"),
        }

        def run(self, subject, seed):
            if self.mode == "full":
                with open("/dev/full", "w") as stream:
                    stream.write("x")
            if self.mode == "hoard":
                bytearray(2**40)
            import resource
            words = ("sqlite", "sesame", ".pem")
            secrets = sum(any(word in item for word in words) for item in os.environ.values())
            return Measurement(metrics={
                "secrets": float(secrets),
                "limit": float(resource.getrlimit(resource.RLIMIT_AS)[0]),
                "tf32": float(torch.backends.cudnn.allow_tf32),
            })
"""


@pytest.fixture
@needs("worker")
def ask(install, saved_model, images_file, policy_text, tmp_path, monkeypatch):
    """A request for an assessment in which the odd analysis does what its mode says."""
    install("odd", ODD, about="Odd: does what it is told.", point="{module}:Odd")
    path = os.pathsep.join([str(tmp_path / "site-packages"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))

    def make(mode):
        file = tmp_path / "policy.toml"
        file.write_text(f'{policy_text}\n[analyses.odd]\nmode = "{mode}"\n')
        ref = VersionRef(name="stripes", version="7", created=77)
        version = ModelVersion(uri=ref.uri, ref=ref)
        materials = Materials(
            version=version, model=str(saved_model), images=str(images_file),
            history={"learning.loss": ((0, float("nan")), (1, 0.5))},
        )  # fmt: skip
        policy = orchestration.read_policy(file)
        return Request(materials=materials, policy=policy, lineage=Lineage(), device="cpu")

    return make


@pytest.fixture
def room(tmp_path):
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


def never():
    return False


@pytest.mark.parametrize("wall", ["namespaces", "fallback"])
def test_an_assessment_has_no_secret_and_is_about_the_version(
    ask, room, tmp_path, monkeypatch, wall
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///somewhere.db")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "sesame")
    monkeypatch.setenv("SIGNING", "/etc/key.pem")
    if wall == "fallback":
        forbid_namespaces(tmp_path, monkeypatch)

    ending = run(ask("look"), room, WorkerConfig(memory_gib=20), interrupted=never)

    assert (ending.kind, ending.error) == ("assessed", "")
    found = Assessment.load(room / "assessment")
    assert found.identity.uri == "models:/stripes/7"
    assert found.identity.ref == VersionRef(name="stripes", version="7", created=77)
    assert found.metrics["odd.secrets"] == 0
    assert found.metrics["odd.limit"] == 20 * 2**30
    assert found.metrics["odd.tf32"] == 0


def test_an_analysis_that_hoards_memory_leaves_the_error_as_evidence(ask, room):
    ending = run(ask("hoard"), room, WorkerConfig(), interrupted=never)

    assert ending.kind == "assessed"
    (odd,) = [
        item for item in Assessment.load(room / "assessment").evidence if item.analysis == "odd"
    ]
    assert odd.failure.kind == "MemoryError"


def test_time_and_memory_are_limited_from_the_start(ask, room, tmp_path):
    (tmp_path / "second").mkdir()

    late = run(ask("look"), room, WorkerConfig(minutes=0.005), interrupted=never)
    small = run(ask("look"), tmp_path / "second", WorkerConfig(memory_gib=0.3), interrupted=never)

    assert (late.kind, late.error) == ("failed", "took over 0.005 minutes")
    assert small.kind == "failed"


def test_a_model_that_cannot_be_assessed_is_refused_with_the_reason(ask, room, tmp_path):
    request = ask("look")
    (tmp_path / "empty").mkdir()
    missing = replace(request.materials, model=str(tmp_path / "empty"))

    ending = run(replace(request, materials=missing), room, WorkerConfig(), interrupted=never)

    assert ending.kind == "refused"
    assert ending.error.startswith("the confined process says: ")
    assert "MLmodel" in ending.error


def test_the_environment_is_made_of_what_is_needed():
    given = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "a", "MLFLOW_TRACKING_TOKEN": "b"}

    found = environment(Path("/scratch"), given)

    assert found["PATH"] == "/bin"
    assert found["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert found["MLFLOW_ALLOW_MODEL_CODE_EXECUTION"] == "false"
    assert not {"a", "b"} & set(found.values())


def test_a_full_disk_is_a_fault_of_the_machine(ask, room):
    (room / "policy.toml").symlink_to("/dev/full")

    with pytest.raises(HostError, match="No space left on device"):
        run(ask("look"), room, WorkerConfig(), interrupted=never)


def test_a_full_disk_under_an_analysis_is_no_evidence(ask, room):
    ending = run(ask("full"), room, WorkerConfig(), interrupted=never)

    assert ending.kind == "failed"
    assert "this machine: (Errno 28) No space left on device" in ending.error


@pytest.mark.parametrize("code", [-15, -2, -1])
def test_a_signal_of_a_system_that_shuts_down_is_no_failed_attempt(code):
    told = iter([False, True])

    ended = Ending(code=code, why="", output="")
    assert sandbox._shut_down(ended, lambda: next(told))
    assert not sandbox._shut_down(replace(ended, code=-9), lambda: True)
    assert not sandbox._shut_down(replace(ended, code=None, why="late"), lambda: True)
    assert sandbox._shut_down(replace(ended, code=None), lambda: True)


ORPHAN = """
import os, subprocess, sys
code = "import os, sys; from governance.worker import confined; confined.die_with(int(sys.argv[1]))"
code += "; sys.stdout.write('ready'); sys.stdout.flush(); import time; time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code, str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.read(5)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_confined_process_dies_with_its_worker():
    worker = subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = int(worker.stdout.readline())
    assert _runs(child)

    worker.kill()
    worker.communicate()

    until = time.monotonic() + 10
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(process):
    try:
        with open(f"/proc/{process}/stat") as stream:  # noqa: PTH123 - no file
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

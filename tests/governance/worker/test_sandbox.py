"""The sandbox: what a confined process has, may do and leaves, with real processes."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from lanes import needs

from governance.errors import HostError
from governance.records.assessment import Assessment
from governance.records.lineage import Lineage
from governance.records.version_ref import VersionRef
from governance.registry.materials import Materials
from governance.registry.versions import ModelVersion
from governance.worker.config import WorkerConfig
from governance.worker.request import Request
from governance.worker.sandbox import _tail, environment, run
from governance.workflows import orchestration

ODD = """
    import os, signal, socket, subprocess, sys, time
    import torch

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Odd:
        mode: str = "look"

        needs = "probabilities"
        metrics = {
            "secrets": Metric(meaning="secrets in the environment", better="lower"),
            "network": Metric(meaning="networks that can be reached", better="lower"),
            "limit": Metric(
                meaning="address space in bytes", better="lower", highest=None
            ),
            "tf32": Metric(meaning="whether convolutions may round to TF32", better="lower"),
        }

        def run(self, subject, seed):
            if self.mode == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.mode == "end":
                sys.stderr.write(f"ending {os.getpid()}\\n")
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGTERM)
            if self.mode == "full":
                with open("/dev/full", "w") as stream:
                    stream.write("x")
            if self.mode == "hoard":
                bytearray(2**40)
            if self.mode == "spawn":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                sys.stderr.write(f"spawned {child.pid}\\n")
                sys.stderr.flush()
                time.sleep(600)
            import resource
            words = ("sqlite", "sesame", ".pem")
            secrets = sum(any(word in item for word in words) for item in os.environ.values())
            try:
                socket.create_connection(("127.0.0.1", int(self.mode)), timeout=5).close()
                network = 1.0
            except OSError:
                network = 0.0
            return Measurement(metrics={
                "secrets": float(secrets), "network": network,
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


def listening():
    """A socket of this machine that a process with its network could reach."""
    import socket  # noqa: PLC0415

    return socket.create_server(("127.0.0.1", 0))


def test_an_assessment_has_no_secret_and_no_network_and_is_about_the_version(
    ask, room, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///somewhere.db")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "sesame")
    monkeypatch.setenv("SIGNING", "/etc/key.pem")
    with listening() as server:
        port = server.getsockname()[1]
        config = WorkerConfig(memory_gib=20, network="none if possible")
        ending = run(ask(str(port)), room, config, interrupted=never)

    assert (ending.kind, ending.error) == ("assessed", "")
    found = Assessment.load(room / "assessment")
    assert found.identity.uri == "models:/stripes/7"
    assert found.identity.ref == VersionRef(name="stripes", version="7", created=77)
    assert found.metrics["odd.secrets"] == 0
    assert found.metrics["odd.limit"] == 20 * 2**30
    assert found.metrics["odd.tf32"] == 0
    # Where the kernel does not let this user leave the network, that is said.
    open_network = "could not be given up" in _tail(room / "stderr")
    assert found.metrics["odd.network"] == open_network


def test_a_process_that_is_killed_is_a_failed_attempt(ask, room):
    ending = run(ask("die"), room, WorkerConfig(), interrupted=never)

    assert ending.kind == "failed"
    assert "killed by SIGKILL (out of memory" in ending.error


def test_an_analysis_that_hoards_memory_leaves_the_error_as_evidence(ask, room):
    ending = run(ask("hoard"), room, WorkerConfig(), interrupted=never)

    assert ending.kind == "assessed"
    (odd,) = [
        item for item in Assessment.load(room / "assessment").evidence if item.analysis == "odd"
    ]
    assert odd.failure.kind == "MemoryError"


def test_what_an_assessment_started_is_killed_with_it(ask, room):
    request, told = ask("spawn"), room / "stderr"

    ending = run(
        request,
        room,
        WorkerConfig(),
        interrupted=lambda: told.exists() and "spawned" in _tail(told),
    )

    assert ending.kind == "interrupted"
    child = int(_tail(told).rpartition("spawned ")[2].split()[0])
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


def test_time_and_memory_are_limited_from_the_start(ask, room, tmp_path):
    (tmp_path / "second").mkdir()

    late = run(ask("1"), room, WorkerConfig(minutes=0.005), interrupted=never)
    small = run(ask("1"), tmp_path / "second", WorkerConfig(memory_gib=0.05), interrupted=never)

    assert (late.kind, late.error) == ("failed", "took over 0.005 minutes")
    assert small.kind == "failed"


def test_a_model_that_cannot_be_assessed_is_refused_with_the_reason(ask, room, tmp_path):
    request = ask("1")
    (tmp_path / "empty").mkdir()
    missing = replace(request.materials, model=str(tmp_path / "empty"))

    ending = run(replace(request, materials=missing), room, WorkerConfig(), interrupted=never)

    assert ending.kind == "refused"
    assert "MLmodel" in ending.error


def test_the_environment_is_made_of_what_is_needed():
    given = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "a", "MLFLOW_TRACKING_TOKEN": "b"}

    from pathlib import Path  # noqa: PLC0415

    found = environment(Path("/scratch"), given)

    assert found["PATH"] == "/bin"
    assert found["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert found["MLFLOW_ALLOW_MODEL_CODE_EXECUTION"] == "false"
    assert not {"a", "b"} & set(found.values())


def test_another_user_that_does_not_exist_is_refused(ask, room):
    with pytest.raises(HostError, match="user = 'nobody at all'"):
        run(ask("1"), room, WorkerConfig(user="nobody at all"), interrupted=never)


def test_a_full_disk_is_a_fault_of_the_machine(ask, room):
    (room / "policy.toml").symlink_to("/dev/full")

    with pytest.raises(HostError, match="No space left on device"):
        run(ask("1"), room, WorkerConfig(), interrupted=never)


def test_a_full_disk_under_an_analysis_is_no_evidence(ask, room):
    ending = run(ask("full"), room, WorkerConfig(), interrupted=never)

    assert ending.kind == "failed"
    assert "ended with code 5: this machine: [Errno 28] No space left on device" in ending.error


def test_a_signal_of_a_system_that_shuts_down_is_no_failed_attempt(ask, room):
    told = room / "stderr"

    def ended():
        text = _tail(told) if told.exists() else ""
        return "ending " in text and not _runs(int(text.rpartition("ending ")[2].split()[0]))

    assert run(ask("end"), room, WorkerConfig(), interrupted=ended).kind == "interrupted"


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

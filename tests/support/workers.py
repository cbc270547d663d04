"""A worker's files, workers as processes, and a registry with models to be registered in it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import lanes
import numpy as np
import pytest
import torch
from forked import Forked

from governance.approval import Keyring, PrivateKey
from governance.records.version_ref import VersionRef
from governance.worker.job_database import JobDatabase

START = datetime(2026, 1, 1, tzinfo=UTC)
RULE = '[[worker.policies]]\nmodels = "{models}"\npolicy = "policy.toml"\n'


@dataclass(frozen=True)
class Office:
    """A worker's folder: its keys, policies and config."""

    folder: Path
    assessor: PrivateKey
    approver: PrivateKey

    @property
    def ring(self):
        """Whose signatures count."""
        return Keyring.load(self.folder / "keyring.toml")

    def terms(self, text="", models="stripes*"):
        """Write worker.toml."""
        named = '[worker]\nregistry = "site"\n'
        (self.folder / "worker.toml").write_text(f"{named}{text}\n{RULE.format(models=models)}")

    def allow_pickles(self):
        """Let the policy load pickled models."""
        policy = self.folder / "policy.toml"
        policy.write_text(policy.read_text().replace("[model]", "[model]\nallow_pickle = true"))


def new_office(folder, policy_text):
    """New keys, their ring, the rules of a governed server, and a policy."""
    office = Office(
        folder, PrivateKey.new(folder / "assessor.pem"), PrivateKey.new(folder / "ann.pem")
    )
    worker = office.assessor.public(owner="worker", role="assessor", not_before=START)
    ann = office.approver.public(owner="ann", role="approver", not_before=START)
    (folder / "keyring.toml").write_text(worker.toml() + ann.toml())
    (folder / "governance.toml").write_text('keyring = "keyring.toml"\n')
    (folder / "policy.toml").write_text(policy_text)
    office.terms()
    return office


@dataclass
class Worker:
    """A worker as a process, and what it writes."""

    process: subprocess.Popen | Forked
    path: Path

    def lines(self):
        """What it logged; a line that a kill cut short is none."""
        found = []
        for line in self.path.read_text().splitlines():
            with suppress(json.JSONDecodeError):
                found.append(json.loads(line) if line.startswith("{") else None)
        return [line for line in found if line]

    def wait_for(self, event, seconds=400, **about):
        """The first line of an event with these fields."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in self.lines():
                if line["event"] == event and about.items() <= line.items():
                    return line
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        pytest.fail(f"no {event} {about}: {self.path.read_text()[-3000:]}")

    def kill(self):
        """Without warning, as a machine that loses power."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:  # forked so lately that it has no group of its own yet
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def worker(office, tracking, *options, **rest):
    """`governance worker` in the office's folder; killed at the end if it still runs."""
    path = office.folder / f"{uuid4().hex}.log"
    running = start_worker(office, tracking, path, *options, **rest)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def start_worker(office, tracking, path, *options, ledger=None, environment=None, forked=True):
    """Start it, and go on at once.

    Args:
        office: Whose files it works with.
        tracking: Address of MLflow.
        path: Its log, written to at the end.
        options: Further ones of the command.
        ledger: URL of its database; one in the office's folder if none is given.
        environment: Variables beside the usual ones.
        forked: Whether it is forked where its modules are imported already; else it is the
            command as an operator types it, which takes five seconds more.
    """
    lanes.allow("worker")
    ledger = ledger or f"sqlite:///{office.folder}/ledger.db"
    arguments = [
        *("worker", "--config", "worker.toml", "--signing-key", "assessor.pem"),
        *("--keys", "keyring.toml", "--ledger", ledger, *options),
    ]
    env = {
        **os.environ, "MLFLOW_TRACKING_URI": tracking, "OMP_NUM_THREADS": "1",
        **(environment or {}),
    }  # fmt: skip
    if forked:
        return Worker(Forked(arguments, cwd=office.folder, log=path, env=env), path)
    with path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "governance", *arguments], cwd=office.folder, stdout=log,
            stderr=log, start_new_session=True, env=env,
        )  # fmt: skip
    return Worker(process, path)


@dataclass
class Site:
    """A governed registry on a server, its office, and models to be registered there."""

    address: str
    office: Office
    good: str
    bad: str
    client: object = field(repr=False)

    def register(self, name, source=None):
        """A new version; as MLflow returns it."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = source or self.good
        return self.client.create_model_version(name, source, model_id=source.rpartition("/")[2])

    def tags(self, version):
        """Of a version now."""
        return self.client.get_model_version(version.name, version.version).tags


def log_models(address, subject):
    """A good model and one that knows nothing, logged; their URIs."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    try:
        mlflow.set_experiment("training")
        torch.manual_seed(0)
        models = (subject.network.model, type(subject.network.model)().eval())
        return tuple(_logged(model) for model in models)
    finally:
        mlflow.set_tracking_uri(before)


def _logged(model):
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    example = np.zeros((1, 1, 16, 16), dtype=np.float32)
    with mlflow.start_run():
        logged = mlflow.pytorch.log_model(
            model, name="model", input_example=example, pip_requirements=["torch"]
        )
    return f"models:/{logged.model_id}"


def job_of(office, version, ledger=None):
    """What the ledger says of a version of MLflow's on that site."""
    found = JobDatabase(ledger or f"sqlite:///{office.folder}/ledger.db", "site")
    ref = VersionRef(
        name=version.name, version=str(version.version), created=version.creation_timestamp
    )
    try:
        return found.find(ref)
    finally:
        found.close()

"""Registrations while worker and server are killed: each version ends with one valid verdict."""

import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
import servers
from lanes import needs
from workers import Site, job_of, log_models, new_office, start_worker

from governance import registry
from governance.approval import decode
from governance.registry import listing
from governance.worker.config import WorkerConfig
from governance.worker.sweep import need

#: Short leases, so that what a killed worker held is taken over within the test's time.
TERMS = "lease_seconds = 8\nretry_seconds = 1\n"
#: What each kind of model must end as, if none of its attempts were used up by kills.
EXPECTED = {"good": "approved", "bad": "rejected", "unruled": "undetermined"}


@dataclass
class Stage:
    """Server and worker that can be killed and started again at the same place."""

    site: Site
    port: int
    server: object
    worker: object = None
    earlier: int = 0
    kills: Counter = field(default_factory=Counter)

    def started(self):
        """How many workers have begun to look."""
        if self.worker is None:
            return 0
        return sum(line["event"] == "started" for line in self.worker.lines())

    def wait_for_worker(self):
        """Until the worker that runs now is at work: killing one that still loads shows little."""
        until = time.monotonic() + 300
        while self.started() <= self.earlier and time.monotonic() < until:
            time.sleep(0.1)

    def start_worker(self):
        self.earlier = self.started()
        self.worker = start_worker(
            self.site.office, self.site.address, self.site.office.folder / "worker.log",
            "--poll", "1",
        )  # fmt: skip

    def kill(self, which):
        """Without warning; and start it again."""
        self.kills[which] += 1
        if which == "worker":
            self.worker.kill()
            self.start_worker()
        else:
            servers.end(self.server)
            self.server = start_server(self.site.office.folder, self.port)


def start_server(folder, port):
    registry_uri = f"governed+sqlite:///{folder}/mlflow.db"
    return servers.start_mlflow(folder, port, "--registry-store-uri", registry_uri)


@pytest.fixture
@needs("server", "worker")
def stage(migrated_store, tmp_path, policy_text, tiny_subject, monkeypatch):
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    office = new_office(tmp_path, policy_text)
    office.terms(TERMS)
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"
    stage = Stage(
        Site(address, office, "", "", mlflow.MlflowClient(address, address)), port,
        start_server(tmp_path, port),
    )  # fmt: skip
    before = mlflow.get_tracking_uri()
    try:
        stage.site.good, stage.site.bad = log_models(address, tiny_subject)
        mlflow.set_tracking_uri(address)
        stage.start_worker()
        yield stage
    finally:
        mlflow.set_tracking_uri(before)
        servers.end(stage.server)
        if stage.worker is not None and stage.worker.process.poll() is None:
            stage.worker.kill()


def rehearse(stage, kinds, kills, *, seed, longest):
    """Register and kill in an order and at times that the seed decides; versions by kind."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    events = [*kinds, *kills]
    rng.shuffle(events)
    made = []
    for event in events:
        if event in EXPECTED:
            name = f"{'other' if event == 'unruled' else 'stripes'} {rng.randrange(3)} {event}"
            source = stage.site.bad if event == "bad" else stage.site.good
            made.append((event, stage.site.register(name, source)))
        else:
            stage.wait_for_worker()
            time.sleep(rng.uniform(0, longest))
            stage.kill(event.removeprefix("kill "))
    return made


def wait_until_done(stage, versions, seconds):
    until = time.monotonic() + seconds
    left = list(versions)
    while left and time.monotonic() < until:
        jobs = [(item, job_of(stage.site.office, item)) for item in left]
        left = [item for item, job in jobs if job is None or job.state != "done"]
        time.sleep(0.5)
    assert not left, stage.worker.path.read_text()[-3000:]


def check(stage, made, tmp_path):
    """Every version has one valid verdict, and the right one."""
    office, ended = stage.site.office, Counter()
    for kind, version in made:
        entry = listing.listed(version.name, str(version.version))
        assert need(entry, office.ring, time.time(), WorkerConfig()) is None
        said = decode(entry.tags["governance.approval"])
        assert entry.tags["governance.status"] == said.verdict == job_of(office, version).verdict
        used_up = said.verdict == "undetermined" and "attempts failed" in said.detail
        assert said.verdict == EXPECTED[kind] or used_up, (kind, said)
        ended[kind, "used up" if used_up else said.verdict] += 1
        if said.run_id:
            folder = tmp_path / f"{version.name}-{version.version}"
            answer = registry.ask(entry.version.uri, folder, keys=office.folder / "keyring.toml")
            assert (answer.verdict, answer.statement) == (said.verdict, said)
    assert {entry.version.uri for entry in listing.newest()} == {
        f"models:/{version.name}/{version.version}" for _, version in made
    }
    assert_no_run_is_open(stage)
    return ended


def assert_no_run_is_open(stage):
    client = stage.site.client
    homes = [
        item.experiment_id
        for item in client.search_experiments()
        if item.name.startswith("governance/")
    ]
    assert homes
    assert client.search_runs(homes, "attributes.status = 'RUNNING'") == []


def run(stage, tmp_path, kinds, kills, *, seed, longest, seconds):
    made = rehearse(stage, kinds, kills, seed=seed, longest=longest)
    assert len(made) == len(kinds)
    wait_until_done(stage, [version for _, version in made], seconds)
    stage.worker.process.send_signal(signal.SIGTERM)
    assert stage.worker.process.wait(60) == 0
    return check(stage, made, tmp_path)


@pytest.mark.timeout(900)
def test_six_registrations_survive_three_kills(stage, tmp_path):
    kinds = ["good", "bad", *["unruled"] * 4]
    kills = ["kill worker", "kill server", "kill worker"]

    ended = run(stage, tmp_path, kinds, kills, seed=5, longest=12, seconds=600)

    assert sum(ended.values()) == 6


@pytest.mark.kill
@pytest.mark.timeout(7200)
def test_thirty_registrations_survive_twelve_kills(stage, tmp_path):
    kinds = [*["good"] * 5, *["bad"] * 5, *["unruled"] * 20]
    kills = [*["kill worker"] * 9, *["kill server"] * 3]

    ended = run(stage, tmp_path, kinds, kills, seed=7, longest=20, seconds=3600)

    assert sum(ended.values()) == 30
    print(dict(ended), dict(stage.kills))  # noqa: T201 - the figures of the run, with -s

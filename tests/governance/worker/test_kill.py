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
    """A server and workers that can be killed and started again at the same place."""

    site: Site
    port: int
    server: object
    ledger: str
    number: int
    workers: list = field(default_factory=list)
    earlier: list = field(default_factory=list)
    kills: Counter = field(default_factory=Counter)

    @property
    def logs(self):
        """Where each worker writes."""
        return [self.site.office.folder / f"worker {index}.log" for index in range(self.number)]

    def start(self):
        """All workers."""
        self.earlier = [0] * self.number
        self.workers = [self.start_worker(index) for index in range(self.number)]

    def started(self, index):
        """How many times a worker has begun to look."""
        return sum(line["event"] == "started" for line in self.workers[index].lines())

    def wait_for_worker(self, index):
        """Until the worker that runs now is at work: killing one that still loads shows little."""
        until = time.monotonic() + 300
        while self.started(index) <= self.earlier[index] and time.monotonic() < until:
            time.sleep(0.1)

    def start_worker(self, index):
        return start_worker(
            self.site.office, self.site.address, self.logs[index], "--poll", "1",
            ledger=self.ledger,
        )  # fmt: skip

    def kill(self, which):
        """Without warning, one worker after another or the server; and start it again."""
        index = self.kills[which] % self.number
        self.kills[which] += 1
        if which == "worker":
            self.workers[index].kill()
            self.earlier[index] = self.started(index)
            self.workers[index] = self.start_worker(index)
        else:
            servers.end(self.server)
            self.server = start_server(self.site.office.folder, self.port)

    def end(self):
        """Kill whatever runs."""
        servers.end(self.server)
        for running in self.workers:
            if running.process.poll() is None:
                running.kill()


def start_server(folder, port):
    registry_uri = f"governed+sqlite:///{folder}/mlflow.db"
    return servers.start_mlflow(folder, port, "--registry-store-uri", registry_uri)


@pytest.fixture
@needs("server", "worker")
def make_stage(migrated_store, tmp_path, policy_text, tiny_subject):
    """Sets a stage with so many workers on one ledger."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    before, made = mlflow.get_tracking_uri(), []

    def make(number, ledger=None):
        shutil.copy(migrated_store, tmp_path / "mlflow.db")
        office = new_office(tmp_path, policy_text)
        office.terms(TERMS)
        port = servers.free_port()
        address = f"http://127.0.0.1:{port}"
        made.append(
            Stage(
                site=Site(address, office, "", "", mlflow.MlflowClient(address, address)),
                port=port, server=start_server(tmp_path, port), number=number,
                ledger=ledger or f"sqlite:///{tmp_path}/ledger.db",
            )
        )  # fmt: skip
        stage = made[0]
        stage.site.good, stage.site.bad = log_models(address, tiny_subject)
        mlflow.set_tracking_uri(address)
        stage.start()
        return stage

    yield make
    mlflow.set_tracking_uri(before)
    for stage in made:
        stage.end()


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
            stage.wait_for_worker(stage.kills["worker"] % stage.number)
            time.sleep(rng.uniform(0, longest))
            stage.kill(event.removeprefix("kill "))
    return made


def wait_until_done(stage, versions, seconds):
    until = time.monotonic() + seconds
    left = list(versions)
    while left and time.monotonic() < until:
        jobs = [(item, job_of(stage.site.office, item, stage.ledger)) for item in left]
        left = [item for item, job in jobs if job is None or job.state != "done"]
        time.sleep(0.5)
    assert not left, [path.read_text()[-2000:] for path in stage.logs]


def check(stage, made, tmp_path):
    """Every version has one valid verdict, and the right one."""
    office, ended = stage.site.office, Counter()
    for kind, version in made:
        entry = listing.listed(version.name, str(version.version))
        assert need(entry, office.ring, time.time(), WorkerConfig()) is None
        said = decode(entry.tags["governance.approval"])
        assert entry.tags["governance.status"] == said.verdict
        assert job_of(office, version, stage.ledger).verdict == said.verdict
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
    for running in stage.workers:
        running.process.send_signal(signal.SIGTERM)
    assert [running.process.wait(60) for running in stage.workers] == [0] * stage.number
    return check(stage, made, tmp_path)


@pytest.mark.timeout(900)
def test_six_registrations_survive_three_kills(make_stage, tmp_path):
    kinds = ["good", "bad", *["unruled"] * 4]
    kills = ["kill worker", "kill server", "kill worker"]

    ended = run(make_stage(1), tmp_path, kinds, kills, seed=5, longest=12, seconds=600)

    assert sum(ended.values()) == 6


@pytest.mark.kill
@pytest.mark.postgresql
@pytest.mark.timeout(7200)
def test_thirty_registrations_survive_twelve_kills_of_two_workers_and_a_server(
    make_stage, tmp_path, postgresql_place
):
    kinds = [*["good"] * 5, *["bad"] * 5, *["unruled"] * 20]
    kills = [*["kill worker"] * 9, *["kill server"] * 3]
    stage = make_stage(2, f"postgresql+pg8000://{postgresql_place}")

    ended = run(stage, tmp_path, kinds, kills, seed=7, longest=20, seconds=3600)

    assert sum(ended.values()) == 30
    shares = [sum(line["event"] == "done" for line in running.lines()) for running in stage.workers]
    assert min(shares) > 0  # both worked
    print(dict(ended), dict(stage.kills), shares)  # noqa: T201 - the figures of the run, with -s

"""Workers as processes beside a real, governed MLflow server with webhooks."""

import io
import json
import logging
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from uuid import uuid4

import pytest
from workers import job_of, worker

from governance import registry
from governance.approval import decode

QUICK = "lease_seconds = 10\nretry_seconds = 0.1\nagain_seconds = 1\n"


@pytest.fixture
def calls(site):
    """MLflow's calls go to the site."""
    import mlflow  # noqa: PLC0415 - seconds, for the few tests that need it

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(site.address)
    yield site
    mlflow.set_tracking_uri(before)


def ledger_of(site):
    return f"sqlite:///{site.office.folder}/{uuid4().hex}.db"


def statement(site, version):
    return decode(site.tags(version)["governance.approval"])


def end(running):
    """With SIGTERM, within its bound."""
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(40) == 0, running.path.read_text()[-2000:]


@pytest.mark.timeout(900)
def test_good_is_approved_bad_is_rejected_and_the_alias_follows(calls, tmp_path):
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

    site, name = calls, f"stripes {uuid4().hex[:8]}"
    site.office.terms(QUICK)
    good, bad = site.register(name), site.register(name, site.bad)
    assert site.tags(good)["governance.status"] == "pending"
    with pytest.raises(MlflowException, match="approval"):
        site.client.set_registered_model_alias(name, "champion", good.version)

    # The command as an operator types it; the other tests fork their workers.
    typed = {"ledger": ledger_of(site), "forked": False}
    with worker(site.office, site.address, "--poll", "1", **typed) as running:
        uri = f"models:/{name}"
        for version, verdict in ((good, "approved"), (bad, "rejected")):
            line = running.wait_for("done", 500, version=f"{uri}/{version.version}")
            assert line["verdict"] == verdict
        end(running)

    assert statement(site, good).verdict == "approved"
    assert statement(site, bad).verdict == "rejected"
    site.client.set_registered_model_alias(name, "champion", good.version)
    with pytest.raises(MlflowException, match="rejected"):
        site.client.set_registered_model_alias(name, "champion", bad.version)
    keys = site.office.folder / "keyring.toml"
    assert registry.ask(f"{uri}@champion", tmp_path / "gate", keys=keys).verdict == "approved"


@pytest.mark.timeout(900)
def test_a_lost_webhook_costs_one_poll_and_no_version(calls):
    site, ledger, poll = calls, ledger_of(calls), 2.0
    site.office.terms(QUICK, models="none of these")
    with worker(site.office, site.address, "--poll", str(poll), ledger=ledger) as running:
        running.wait_for("started")
        first = site.register("other lost")
        running.wait_for("done", version=f"models:/other lost/{first.version}")
        began = time.monotonic()
        second = site.register("other lost")
        running.wait_for("found", version=f"models:/other lost/{second.version}")
        seconds = time.monotonic() - began
        running.wait_for("done", version=f"models:/other lost/{second.version}")
        end(running)

    assert seconds < poll + 5  # of a busy machine, for registering and reading
    said = statement(site, second)
    assert said.verdict == "undetermined"
    assert "no policy applies to models named 'other lost'" in said.detail


def port_of(running, option):
    return running.wait_for("listening", option=option)["port"]


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.timeout(900)
def test_a_webhook_wakes_the_worker_at_once(calls):
    site = calls
    site.office.terms(QUICK, models="none of these")
    options = (
        *("--poll", "600", "--listen", "127.0.0.1:0", "--monitoring", "127.0.0.1:0"),
        *("--webhook-secret-file", str(site.office.folder / "secret")),
    )
    with worker(site.office, site.address, *options, ledger=ledger_of(site)) as running:
        port, probes = port_of(running, "--listen"), port_of(running, "--monitoring")
        secret = (site.office.folder / "secret").read_text()
        hook = site.client.create_webhook(
            "governance", f"http://127.0.0.1:{port}/webhook", ["model_version.created"],
            secret=secret,
        )  # fmt: skip
        try:
            first = site.register("other woken")
            # MLflow remembers its webhooks for a second, and this one is new.
            running.wait_for("started")
            time.sleep(1.5)
            began = time.monotonic()
            second = site.register("other woken")
            running.wait_for("found", version=f"models:/other woken/{second.version}")
            seconds = time.monotonic() - began
            running.wait_for("done", version=f"models:/other woken/{second.version}")
        finally:
            site.client.delete_webhook(hook.webhook_id)
        metrics, health = get(probes, "/metrics")[1], get(probes, "/healthz")
        end(running)

    assert seconds < 5
    assert health == (200, "ok\n")
    assert 'governance_deliveries_total{outcome="accepted"}' in metrics
    assert 'governance_assessments_total{verdict="undetermined"}' in metrics
    assert statement(site, first).verdict == "undetermined"
    assert "sesame" not in running.path.read_text()
    assert secret not in running.path.read_text()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("limit", "error"), [("minutes = 0.002", "took over 0.002 minutes"), ("memory_gib = 0.3", "")]
)
def test_an_assessment_that_never_ends_well_is_undetermined_after_three_attempts(
    calls, limit, error
):
    site, ledger = calls, ledger_of(calls)
    site.office.terms(f"{QUICK}{limit}")
    version = site.register(f"stripes {uuid4().hex[:8]}")
    with worker(site.office, site.address, "--poll", "1", ledger=ledger) as running:
        uri = f"models:/{version.name}/{version.version}"
        line = running.wait_for("done", 600, version=uri)
        attempts = [item for item in running.lines() if item["event"] == "again"]
        end(running)

    assert line["verdict"] == "undetermined"
    assert len([item for item in attempts if item["version"] == uri]) == 3
    said = statement(site, version)
    assert said.verdict == "undetermined"
    assert said.detail.startswith("3 attempts failed; the last one: the assessment ")
    assert error in said.detail
    assert site.tags(version)["governance.status"] == "undetermined"


@pytest.mark.timeout(900)
def test_sigterm_hands_the_lease_back_and_an_expired_one_is_reclaimed(calls):
    site, ledger = calls, ledger_of(calls)
    site.office.terms("lease_seconds = 4\nretry_seconds = 0.1\n")
    version = site.register(f"stripes {uuid4().hex[:8]}")
    uri = f"models:/{version.name}/{version.version}"
    with worker(site.office, site.address, "--poll", "1", ledger=ledger) as running:
        running.wait_for("leased", version=uri)
        end(running)
        assert running.lines()[-1]["event"] == "ended"
    job = job_of(site.office, version, ledger)
    assert (job.state, job.attempts) == ("waiting", 0)
    assert site.tags(version)["governance.status"] == "pending"

    with worker(site.office, site.address, "--poll", "1", ledger=ledger) as killed:
        assert killed.wait_for("leased", version=uri)["attempts"] == 0
        killed.kill()
    site.office.terms("lease_seconds = 4\nretry_seconds = 0.1\nminutes = 0.002\nattempts = 1\n")
    with worker(site.office, site.address, "--poll", "1", ledger=ledger) as last:
        assert last.wait_for("leased", version=uri)["attempts"] == 1
        last.wait_for("done", version=uri)
        end(last)
    assert "worker" in statement(site, version).detail
    assert "was lost" in statement(site, version).detail


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_two_workers_share_a_ledger_and_do_each_version_once(calls, request, database):
    site, ledger = calls, ledger_of(calls)
    if database == "postgresql":
        ledger = f"postgresql+pg8000://{request.getfixturevalue('postgresql_place')}"
    site.office.terms(QUICK, models="none of these")
    name = f"other {uuid4().hex[:8]}"
    options = ("--poll", "1")
    with (
        worker(site.office, site.address, *options, ledger=ledger) as one,
        worker(site.office, site.address, *options, ledger=ledger) as two,
    ):
        for running in (one, two):
            running.wait_for("started")
        versions = [site.register(name) for _ in range(12)]
        until = time.monotonic() + 300
        while time.monotonic() < until and any(
            site.tags(item)["governance.status"] == "pending" for item in versions
        ):
            time.sleep(0.2)
        lines = [line for running in (one, two) for line in running.lines()]
        for running in (one, two):
            end(running)

    done = Counter(
        line["version"]
        for line in lines
        if line["event"] == "leased" and line["version"].startswith(f"models:/{name}/")
    )
    assert done == {f"models:/{name}/{item.version}": 1 for item in versions}
    assert {statement(site, item).verdict for item in versions} == {"undetermined"}


def test_every_line_of_the_log_is_json(monkeypatch):
    from governance.worker.log import log, logger  # noqa: PLC0415

    # Its own handler alone: commands that ran in this process before leave theirs behind.
    written = io.StringIO()
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(written)])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.INFO)
    log("found", version="models:/a\nb\x1b[31m/1")

    (line,) = written.getvalue().removesuffix("\n").split("\n")
    assert "\x1b" not in line
    assert json.loads(line)["version"] == "models:/a\nb\x1b[31m/1"

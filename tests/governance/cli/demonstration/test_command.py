"""What `governance demo` refuses at once, and what it says at the end."""

import json
from dataclasses import replace

import pytest

from governance.cli.demonstration import command, running
from governance.cli.demonstration.orders import Store
from governance.records.assessment import Assessment
from governance.records.decision import Finding
from governance.records.evidence import Interval
from governance.records.policy import Expectation


def test_a_folder_that_holds_something_is_refused(governance, tmp_path):
    (tmp_path / "mine").write_text("mine")
    for place in (tmp_path, tmp_path / "mine"):
        answer = governance("demo", "--out", place)
        assert (answer.code, answer.out) == (2, "")
        assert f"--out {place}: exists and is not empty; a new or empty folder" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture
def version(assessed):
    """A version of the demo by the assessment of another model."""
    return running.DemoVersion(
        number="1", story="trained", assessment=Assessment.load(assessed.folder),
        folder=assessed.folder, run_id="0123",
    )  # fmt: skip


def with_findings(version, verdict, *findings):
    found = version.assessment
    decision = replace(found.decision, verdict=verdict, findings=findings)
    return replace(version, assessment=replace(found, decision=decision))


def finding(metric, outcome, observed, severity="block", **bound):
    return Finding(
        expectation=Expectation(metric=metric, severity=severity, **bound), observed=observed,
        interval=Interval(low=0, high=1, n=9), outcome=outcome, reason="",
    )  # fmt: skip


ACCURATE = finding("performance.accuracy", "met", 0.95, at_least=0.9)
SHORT = finding("performance.classes_short", "unmet", 1, at_most=0)
GAP = finding("layer_prediction.lens_probe_gap", "unmet", 0.2, at_most=0.12)
DEAD = finding("filter_importance.dead_filters", "unmet", 0.5, at_most=0.25, severity="warn")


def test_three_sentences_say_why_a_version_is_rejected_that_accuracy_alone_lets_pass(version):
    told = command.why(with_findings(version, "rejected", ACCURATE, SHORT, GAP, DEAD).assessment)
    assert len(told) == 3
    assert "the layers see" in " ".join(told[:2])
    assert "is recognised in 100" in " ".join(told[:2])  # the lowest, of a model that is right
    assert told[2].startswith("A gate on accuracy alone would let it pass: 95")


def test_an_accuracy_that_is_missed_too_is_not_said_to_pass(version):
    missed = replace(ACCURATE, outcome="unmet", observed=0.8)
    told = command.why(with_findings(version, "rejected", missed).assessment)
    assert len(told) == 1
    assert "alone" not in told[0]


@pytest.fixture
def played(monkeypatch, version):
    """The demo ends at once, with one version approved and one rejected."""
    rejected = with_findings(replace(version, number="3"), "rejected", ACCURATE, SHORT, GAP)
    told = []

    def run_demo(_out, store, *, tell):
        told.append(store)
        tell("version 1: performance")
        return [version, rejected]

    monkeypatch.setattr(running, "run_demo", run_demo)
    return told


def test_the_end_names_the_reasons_the_reports_and_the_next_command(
    governance, played, tmp_path, assessed
):
    answer = governance("demo", "--out", tmp_path / "new")
    assert answer.code == 0
    assert "Why version 3 is rejected:" in answer.out
    assert "Why version 1" not in answer.out
    assert answer.out.count(f"{assessed.folder}/report.pdf") == 2
    store = f"sqlite:///{tmp_path}/new/mlflow.db"
    last = answer.out.rstrip().splitlines()[-1].strip()
    assert last == f"MLFLOW_TRACKING_URI={store} governance gate models:/digits/3"
    assert played == [Store.embedded(tmp_path / "new")]


def test_a_server_is_used_where_the_configuration_or_an_option_names_one_and_else_is_not(
    governance, played, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    rules = tmp_path / "governance.toml"
    rules.write_text(
        'keyring = "ring.toml"\ntracking_uri = "http://127.0.0.1:2"\n'
        '[client]\nsigning_key = "key.pem"\n'
    )
    governance("demo", "--out", tmp_path / "new")
    governance("demo", "--out", tmp_path / "new", "--registry", "http://127.0.0.1:3")
    answer = governance("demo", "--out", tmp_path / "new", "--config", rules)
    assert f"gate models:/digits/3 --keys {tmp_path}/ring.toml" in answer.out
    assert played == [
        Store.embedded(tmp_path / "new"),
        Store(uri="http://127.0.0.1:3"),
        Store(
            uri="http://127.0.0.1:2", signing_key=tmp_path / "key.pem",
            keys=tmp_path / "ring.toml",
        ),
    ]  # fmt: skip


def test_versions_sum_themselves_up_for_machines(governance, played, assessed, tmp_path):
    one, other = json.loads(governance("demo", "--out", tmp_path / "new", "--json").out)["versions"]
    assert (one["verdict"], one["why"], one["run_id"]) == ("approved", [], "0123")
    assert one["pdf"] == str(assessed.folder / "report.pdf")
    assert one["assessment"] == str(assessed.folder)
    assert (other["verdict"], len(other["why"])) == ("rejected", 3)

"""The command line against a real MLflow: what it prints, what it exits with, what it refuses."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import mlflow
import numpy as np
import pytest
from hostile import listed
from mlflow import MlflowClient

from governance import analyses, registry
from governance.records.assessment import Assessment
from governance.records.evidence import Failure
from governance.records.policy import Expectation
from governance.records.serialisation import canonical

MET = Expectation(metric="performance.accuracy", at_least=0.5)
UNMET = {"metric": "performance.nll", "at_most": 0.0}


def set_tag(uri, **tags):
    version = registry.resolve(uri)
    for key, value in tags.items():
        MlflowClient().set_model_version_tag(
            version.ref.name, version.ref.version, f"governance.{key}", value
        )


# assess, as another process


def test_a_machine_gets_one_json_object_and_a_line_a_step_beside_it(assessed):
    answer = json.loads(assessed.command.stdout)
    kept = Assessment.load(assessed.folder)
    assert assessed.command.returncode == 0
    steps = assessed.command.stderr.splitlines()
    assert all(re.match(r"\[\d+:\d\d\] ", line) for line in steps)
    assert sum("performance (3 of " in line for line in steps) == 1
    assert answer["verdict"] == kept.decision.verdict == "approved"
    assert answer["exit_code"] == 0
    assert answer["digest"] == kept.digest
    assert answer["policy"]["digest"] == kept.policy.digest
    assert answer["assessment"] == "assessment"
    assert len(answer["findings"]) == len(kept.decision.findings) > 1


def test_an_assessment_is_recorded_with_its_reports(assessed, store):
    run = MlflowClient().get_run(json.loads(assessed.command.stdout)["run_id"])
    tags = MlflowClient().get_model_version("stripes", "1").tags
    kept = {item.path for item in MlflowClient().list_artifacts(run.info.run_id, "governance")}
    assert run.info.status == "FINISHED"
    assert tags["governance.status"] == "approved"
    assert tags["governance.run_id"] == run.info.run_id
    assert {"governance/report.pdf", "governance/report.html"} <= kept
    assert (assessed.folder / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_misuse_in_another_process_ends_with_2_and_keeps_standard_output_clean():
    ended = subprocess.run(
        [sys.executable, "-m", "governance", "gate"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "MODEL_URI" in ended.stderr


# gate


def failed(evidence):
    """The same evidence, but that performance crashed."""
    return [
        replace(item, measurement=None, failure=Failure(kind="ValueError", message="no such layer"))
        if item.analysis == "performance"
        else item
        for item in evidence
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expectations", "crashed", "verdict", "code"),
    [
        ([MET], False, "approved", 0),
        ([MET, Expectation(**UNMET)], False, "rejected", 10),
        ([MET, Expectation(**UNMET, severity="review")], False, "review", 20),
        ([MET, Expectation(**UNMET, severity="warn")], False, "approved", 0),
        ([MET], True, "undetermined", 30),
        ([Expectation(metric="layer_prediction.agreement_head", at_least=0.9)], False,
         "undetermined", 30),
    ],
    ids=["met", "blocking unmet", "review unmet", "warning unmet", "crashed", "never run"],
)  # fmt: skip
def test_the_gate_answers_with_the_verdict_of_the_record(
    governance, recorded, assessed, expectations, crashed, verdict, code
):
    # arrange
    evidence = Assessment.load(assessed.folder).evidence
    uri = recorded(*expectations, evidence=failed(evidence) if crashed else evidence)
    # act
    shown, asked = governance("gate", uri, "--all"), governance("gate", uri, "--json")
    # assert
    assert shown.code == asked.code == code
    symbol = {"approved": "\u2713", "rejected": "\u2717"}.get(verdict, "?")
    assert shown.out.startswith(f"{uri}: {symbol} {verdict}\n")
    assert all(f"{item.metric} {item.bound}" in shown.out for item in expectations)
    answer = json.loads(asked.out)
    assert (answer["uri"], answer["verdict"], answer["exit_code"]) == (uri, verdict, code)
    assert shown.err == asked.err == ""


def test_the_gate_says_why_a_metric_is_missing(governance, recorded, assessed):
    uri = recorded(MET, evidence=failed(Assessment.load(assessed.folder).evidence))
    said = governance("gate", uri).out
    assert "was not measured: performance failed: no such layer." in said


def test_the_gate_knows_a_version_by_its_alias(governance, recorded):
    uri = recorded(MET)
    MlflowClient().set_registered_model_alias("stripes", "kept", uri.rpartition("/")[2])
    answer = governance("gate", "models:/stripes@kept", "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["uri"] == uri


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (None, "no assessment of it stands (its tag governance.status is missing)"),
        ("pending", "no assessment of it stands (its tag governance.status is 'pending')"),
        ("running", "is being assessed"),
    ],
)
def test_a_version_without_a_verdict_is_undetermined(governance, new_version, status, sentence):
    # arrange
    uri = new_version()
    if status:
        set_tag(uri, status=status)
    # act
    shown, asked = governance("gate", uri), governance("gate", uri, "--json")
    # assert
    assert shown.code == asked.code == 30
    assert shown.out.startswith(f"{uri}: ? undetermined\n{uri}: {sentence}")
    assert json.loads(asked.out)["verdict"] == "undetermined"
    assert sentence in json.loads(asked.out)["reasons"][0]


def test_a_version_that_is_assessed_again_does_not_pass_on_its_old_record(governance, recorded):
    uri = recorded(MET)
    set_tag(uri, status="running")
    assert governance("gate", uri).code == 30


def test_a_verdict_that_nobody_recorded_does_not_pass(governance, new_version):
    uri = new_version()
    set_tag(uri, status="approved")
    answer = governance("gate", uri)
    assert answer.code == 40
    assert f"{uri}: has no record; assess it first" in answer.err


def test_a_verdict_that_was_changed_afterwards_does_not_pass(governance, recorded):
    uri = recorded(Expectation(**UNMET))
    set_tag(uri, status="approved")
    answer = governance("gate", uri, "--json")
    assert (answer.code, answer.out) == (40, "")
    assert "tag governance.status is 'approved' and the record says rejected" in answer.err


def test_a_record_that_was_changed_afterwards_does_not_pass(governance, recorded):
    # arrange
    uri = recorded(Expectation(**UNMET))
    number = uri.rpartition("/")[2]
    run_id = MlflowClient().get_model_version("stripes", number).tags["governance.run_id"]
    home = MlflowClient().get_run(run_id).info.artifact_uri.removeprefix("file://")
    record = Path(home) / "governance" / "assessment.json"
    record.write_text(record.read_text().replace('"rejected"', '"approved"'))
    # act
    answer = governance("gate", uri)
    # assert
    assert answer.code == 40
    # It is not read to its end, let alone its model.
    assert "tag governance.digest is" in answer.err


def test_a_model_that_was_changed_afterwards_does_not_pass(
    governance, recorded, saved_model, tmp_path
):
    # arrange
    source = tmp_path / "model"
    shutil.copytree(saved_model, source)
    uri = recorded(MET, source=source)
    assert governance("gate", uri).code == 0
    with (source / "data" / "model.pt2").open("ab") as weights:
        weights.write(b"\0")
    # act
    answer = governance("gate", uri)
    # assert
    assert answer.code == 40
    assert "its files have the digest" in answer.err


def test_the_gate_writes_junit_and_markdown(governance, recorded):
    uri = recorded(MET, Expectation(**UNMET))
    answer = governance("gate", uri, "--junit", "findings.xml", "--markdown", "findings.md")
    assert answer.code == 10
    assert ET.parse("findings.xml").getroot().get("failures") == "1"  # noqa: S314 - our own
    assert (
        Path("findings.md")
        .read_text()
        .startswith(f"## Rejected: stripes, version {uri.rpartition('/')[2]}")
    )


def test_an_answer_of_an_earlier_gate_does_not_stay(governance, store, new_version, tmp_path):
    findings = tmp_path / "findings.xml"
    findings.write_text("all met")
    answer = governance("gate", new_version(), "--junit", str(findings))
    assert answer.code == 30
    assert "all met" not in findings.read_text()


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
def test_a_place_that_cannot_be_written_is_named(governance, store, option):
    answer = governance("gate", "models:/stripes/1", option, "nowhere/findings")
    assert answer.code == 2
    assert "nowhere/findings: cannot be written: No such file or directory" in answer.err


@pytest.mark.parametrize("command", ["gate", "report"])
@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/stripes/99", "stripes has no version 99; it has 1"),
        ("models:/nobody/1", "no registered model 'nobody'; there are stripes"),
        ("models:/stripes@absent", "stripes has no alias 'absent'; it has "),
        ("models:/m-0123", "no such logged model"),
        ("runs:/0123/model", "no such run"),
        ("nowhere", "models:/name/version, models:/name/latest, models:/name@alias"),
    ],
)
def test_a_model_that_is_not_there_is_misuse(governance, store, command, uri, message):
    options = ["--html", "x.html"] if command == "report" else []
    answer = governance(command, uri, *options)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {uri}: ")
    assert message in answer.err
    assert not Path("x.html").exists()


def test_a_model_without_a_version_has_nothing_to_ask_for(governance, store, saved_model):
    answer = governance("gate", saved_model)
    assert answer.code == 2
    assert "not registered, so it has no record" in answer.err


# report


@pytest.mark.slow
def test_a_report_is_the_same_from_the_folder_and_from_mlflow(governance, assessed, store):
    # act
    one = governance("report", assessed.folder, "--html", "a.html", "--pdf", "a.pdf")
    two = governance("report", "models:/stripes/1", "--html", "b.html")
    # assert
    assert (one.code, one.out, one.err) == (0, "Report: a.html\nReport: a.pdf\n", "")
    assert (two.code, two.out, two.err) == (0, "Report: b.html\n", "")
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()
    assert Path("a.html").read_bytes() == (assessed.folder / "report.html").read_bytes()
    assert Path("a.pdf").read_bytes().startswith(b"%PDF-")


def test_a_report_needs_a_file_to_write(governance, assessed):
    answer = governance("report", assessed.folder)
    assert answer.code == 2
    assert "--html FILE, --pdf FILE or both are accepted" in answer.err


def test_a_folder_that_is_no_assessment_is_not_printed(governance, tmp_path):
    answer = governance("report", tmp_path, "--html", tmp_path / "x.html")
    assert answer.code == 40
    assert "no manifest.json, so this is not an assessment" in answer.err
    assert not (tmp_path / "x.html").exists()


def test_a_version_without_a_record_is_not_printed(governance, new_version):
    answer = governance("report", new_version(), "--html", "x.html")
    assert answer.code == 40
    assert "has no record; assess it first" in answer.err


# policy and analyses


def test_the_starter_policy_is_written_and_passes_the_check(governance, tmp_path):
    # act
    path = tmp_path / "a policy.toml"
    np.savez(
        tmp_path / "images.npz", images=np.zeros((500, 2, 2), dtype=np.uint8),
        labels=np.arange(500) % 10, class_names=np.array([f"c{k}" for k in range(10)]),
    )  # fmt: skip
    written = governance("policy", "new", path)
    checked = governance("policy", "check", path, "--data", tmp_path / "images.npz")
    # assert
    assert written.code == checked.code == 0
    assert f"governance policy check '{path}'" in written.out
    assert path.read_bytes() == files("templates").joinpath("policy.toml").read_bytes()
    assert checked.out.startswith(f"{path}: 4 analyses, 2 expectations (2 blocking). sha256:")
    # The figures that its comments give.
    assert (
        "every class passes 98.1 % of the time, one with 0.700 in one class 55.9 %" in checked.out
    )
    again = governance("policy", "new", path)
    assert again.code == 2
    assert f"{path}: exists; a new file name is accepted" in again.err


CLASSES = """
title = "T"
[validation]
data = "images.npz"
[[expectations]]
metric = "performance.recall.{}"
at_least = 0.5
"""


def test_the_check_of_a_policy_looks_for_the_classes_that_it_names(governance, tmp_path):
    path = tmp_path / "policy.toml"
    np.savez(
        tmp_path / "images.npz",
        images=np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8),
        labels=np.arange(60) % 2,
        class_names=np.array(["cat", "dog"]),
    )
    path.write_text(CLASSES.format("dog"))
    known = governance("policy", "check", path)
    path.write_text(CLASSES.format("nosuch"))
    unknown = governance("policy", "check", path)

    assert known.code == 0
    assert "30 images: a model right on 0.625 of class dog passes" in known.out
    assert unknown.code == 2
    assert "has no such class; it has cat, dog" in unknown.err


@pytest.mark.parametrize("named", ["policy", "--data"])
def test_the_check_fails_where_the_images_do_not_exist(governance, tmp_path, named):
    path = tmp_path / "policy.toml"
    path.write_text(CLASSES.format("dog"))

    answer = governance("policy", "check", path, *(["--data", "no"] if named == "--data" else []))

    assert (answer.code, answer.out) == (2, "")
    place = "no" if named == "--data" else tmp_path / "images.npz"
    assert f"error: validation images {place}: does not exist; a folder of" in answer.err


def test_the_check_says_how_to_look_at_images_that_lie_elsewhere(governance, tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(CLASSES.format("dog").replace("images.npz", "runs:/abc/images.npz"))

    answer = governance("policy", "check", path)

    assert answer.code == 0
    assert "Nothing was checked on the images, which lie at runs:/abc/images.npz" in answer.out
    assert "--data FOLDER names a copy on this machine" in answer.out


def test_means_and_deviations_on_a_scale_to_255_are_refused(governance, tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(CLASSES.format("dog") + "[model]\nmean = [123.7, 116.8, 103.9]\nstd = 58.4\n")
    path.write_text(path.read_text().replace("std = 58.4", "std = [58.4]"))

    answer = governance("policy", "check", path)

    assert answer.code == 2
    assert "model.mean: is [123.7, 116.8, 103.9]; numbers from 0 to 1 are accepted" in answer.err
    assert "model.std: is [58.4]; numbers from above 0 to 1 are accepted" in answer.err


def test_a_policy_is_refused_with_all_its_problems_one_to_a_line(governance, tmp_path, policy_text):
    # arrange
    path = tmp_path / "policy.toml"
    path.write_text(policy_text + "at_most = 0.9\n[analyses.telepathy]\n[else]\n")
    # act
    answer = governance("policy", "check", path)
    # assert
    lines = answer.err.splitlines()
    assert answer.code == 2
    assert len(lines) >= 3
    assert all(line.startswith("error: policy.toml: ") for line in lines)


@pytest.mark.parametrize("command", ["check", "new"])
def test_a_policy_in_a_folder_that_is_not_there_is_named(governance, tmp_path, command):
    answer = governance("policy", command, tmp_path / "no" / "policy.toml")
    assert answer.code == 2
    assert "no/policy.toml: cannot be " in answer.err


def test_the_installed_analyses_are_listed_with_every_parameter_and_metric(governance):
    # act
    shown, asked = governance("analyses"), governance("analyses", "--json")
    # assert: both say the same
    found = json.loads(asked.out)
    assert shown.code == asked.code == 0
    assert list(found) == list(analyses.names())
    for name, item in found.items():
        assert f"{name}  {item['about']}\n" in shown.out
        for key, meaning in item["metrics"].items():
            assert f"  {name}.{key}: {meaning}\n" in shown.out
        assert all(f"{key} = " in shown.out for key in item["parameters"])


def test_an_analysis_of_another_distribution_is_listed(governance, install):
    install(
        "novel",
        """
        __all__ = ["Novel"]

        @dataclass(frozen=True, slots=True, kw_only=True)
        class Novel:
            depth: int = 3
            needs = "probabilities"
            metrics = {"x": Metric(meaning="what it is", better="higher")}

            def run(self, subject, seed):
                return Measurement(metrics={"x": 1.0})
        """,
        about="Novel: something else.",
    )
    said = governance("analyses").out
    assert (
        "novel  Novel: something else.\n  asks for probabilities, which every model gives\n"
        "  parameters: depth = 3\n  novel.x: what it is\n"
    ) in said


# the border to the shell


@pytest.mark.parametrize(
    "arguments", [["tell"], ["gate"], ["assess", "m"], ["gate", "m", "--x"], ["policy", "burn"]]
)
def test_misuse_ends_with_2(governance, arguments):
    answer = governance(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "Usage: " in answer.err


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_that_takes_seconds(option):
    code = (
        "import sys; from governance.cli import main; sys.argv = ['governance', sys.argv[1]]\n"
        "try: main()\n"
        "finally: print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, option], check=True, capture_output=True, text=True
    )

    heavy = {"mlflow", "torch", "pandas", "scipy", "matplotlib", "skimage", "weasyprint"}
    assert heavy & set(answer.stderr.split()) == set()
    assert "governance" in answer.stderr.split()


def test_the_version_is_that_of_the_package(governance):
    answer = governance("--version")

    assert answer.code == 0
    assert answer.out.startswith("mlflow-governance")


def test_a_defect_ends_with_3_and_shows_where(governance, monkeypatch):
    monkeypatch.setattr(analyses, "names", lambda: 1 // 0)
    answer = governance("analyses")
    assert (answer.code, answer.out) == (3, "")
    assert "ZeroDivisionError" in answer.err


def test_an_mlflow_that_does_not_answer_ends_with_3_and_says_so(governance, store):
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    answer = governance("gate", "models:/stripes/1")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("error: models:/stripes/1: looking up the model: refused: ")
    assert "Traceback" not in answer.err


def test_a_report_of_a_record_that_contradicts_itself_is_printed_only_when_asked_for(
    governance, assessed, tmp_path
):
    # arrange: better numbers than were judged, with digests that fit
    shutil.copytree(assessed.folder, tmp_path / "forged")
    path = tmp_path / "forged" / "assessment.json"
    data = json.loads(path.read_text())
    data["decision"]["findings"][0]["observed"] = 1.0
    data["decision"]["verdict"] = "rejected"
    path.write_bytes(canonical(data))
    listed(tmp_path / "forged")
    page = tmp_path / "report.html"
    # act
    refused = governance("report", tmp_path / "forged", "--html", page)
    # assert
    assert refused.code == 40
    assert "judged again, gives" in refused.err
    assert "--unverified prints it" in refused.err
    assert not page.exists()
    # act
    printed = governance("report", tmp_path / "forged", "--html", page, "--unverified")
    # assert
    assert printed.code == 0
    assert "UNVERIFIED" in page.read_text()

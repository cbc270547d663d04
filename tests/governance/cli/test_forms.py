"""Files for pipelines that `gate` writes, and what it tells GitHub Actions."""

import json
import re

import pytest
from mlflow import MlflowClient

from governance import registry
from governance.errors import RegistryError
from governance.records.policy import Expectation

MET = Expectation(metric="performance.accuracy", at_least=0.5)
UNMET = Expectation(metric="performance.nll", at_most=0.0)


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """The files that GitHub Actions names to a step: summary and outputs."""
    files = tmp_path / "summary", tmp_path / "output"
    for variable, file in zip(("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"), files, strict=True):
        file.write_text("before\n")
        monkeypatch.setenv(variable, str(file))
    return files


def test_all_forms_of_an_answer_point_at_the_line_of_the_policy(governance, recorded, tmp_path):
    sarif, quality = tmp_path / "gate.sarif", tmp_path / "quality.json"
    uri = recorded(MET, UNMET)

    answer = governance(
        "gate", uri, "--sarif", sarif, "--gitlab-codequality", quality, "--policy-path", "ml/p.toml"
    )

    assert answer.code == 10
    (result,) = json.loads(sarif.read_text())["runs"][0]["results"]
    (issue,) = json.loads(quality.read_text())
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == issue["location"]["path"] == "ml/p.toml"
    assert place["region"]["startLine"] == issue["location"]["lines"]["begin"] == 12


def test_another_policy_in_the_repository_is_told(governance, recorded, tmp_path):
    (tmp_path / "work" / "policy.toml").write_text("title = 'another'\n")

    answer = governance("gate", recorded(MET), "--junit", tmp_path / "j.xml")

    assert answer.code == 0
    assert "policy.toml: is not the policy that the version was judged by" in answer.err


def test_github_gets_annotations_summary_and_outputs(governance, recorded, workflow):
    uri = recorded(MET, UNMET)

    answer = governance("gate", uri, "--github")

    assert answer.code == 10
    summary, output = (file.read_text() for file in workflow)
    assert summary.startswith("before\n## Rejected: stripes, version ")
    run_id = (
        MlflowClient()
        .get_model_version("stripes", uri.rpartition("/")[2])
        .tags["governance.run_id"]
    )
    assert output == f"before\nverdict=rejected\nrun-id={run_id}\nreport=\n"
    stopped, shown, resumed = re.split(
        r"^::(?:stop-commands::)?[0-9a-f]{32}(?:::)?$", answer.out, flags=re.MULTILINE
    )
    assert stopped == ""
    assert "performance.nll" in shown
    assert resumed.startswith("\n::error file=policy.toml,line=12,title=stripes%3A The loss on ")


def test_json_stays_the_only_thing_on_standard_output(governance, recorded, workflow):
    answer = governance("gate", recorded(MET, UNMET), "--github", "--json")

    assert json.loads(answer.out)["verdict"] == "rejected"
    assert answer.err.startswith("::error file=policy.toml")


@pytest.mark.parametrize("marked", [False, True])
def test_a_gate_without_an_answer_leaves_red_forms(
    governance, new_version, workflow, tmp_path, marked
):
    uri, junit = new_version(), tmp_path / "findings.xml"
    if marked:  # as if it were approved, with no record
        number = uri.rpartition("/")[2]
        MlflowClient().set_model_version_tag("stripes", number, "governance.status", "approved")

    answer = governance("gate", uri, "--junit", junit, "--github")

    assert answer.code == (40 if marked else 30)
    assert 'errors="1"' in junit.read_text()
    verdict = "mismatch" if marked else "undetermined"
    assert workflow[1].read_text() == f"before\nverdict={verdict}\nrun-id=\nreport=\n"
    assert "::error file=policy.toml,line=1" in answer.out


def test_a_version_that_is_not_there_leaves_red_forms(governance, store, workflow, tmp_path):
    junit = tmp_path / "findings.xml"
    answer = governance("gate", "models:/nobody/1", "--junit", junit, "--github")

    assert answer.code == 2
    assert "no registered model" in junit.read_text()
    assert workflow[1].read_text().startswith("before\nverdict=error\n")


def test_a_record_that_is_lost_after_the_answer_leaves_red_forms(
    governance, recorded, workflow, tmp_path, monkeypatch
):
    def lost(_version):
        raise RegistryError("MLflow does not answer")

    uri, junit = recorded(MET), tmp_path / "findings.xml"
    monkeypatch.setattr(registry, "record_page", lost)

    answer = governance("gate", uri, "--junit", junit, "--github")

    assert answer.code == 3
    assert "MLflow does not answer" in junit.read_text()
    assert 'errors="1"' in junit.read_text()
    assert workflow[1].read_text() == "before\nverdict=error\nrun-id=\nreport=\n"


def test_a_policy_that_cannot_be_read_is_told_and_the_forms_are_written(
    governance, recorded, tmp_path
):
    junit, policy = tmp_path / "findings.xml", "/proc/self/mem"

    answer = governance("gate", recorded(MET), "--junit", junit, "--policy-path", policy)

    assert answer.code == 0
    assert f"{policy}: is not the policy that the version was judged by" in answer.err
    assert 'errors="0"' in junit.read_text()


def test_outside_of_github_the_option_is_refused_and_no_older_answer_stays(
    governance, store, monkeypatch, tmp_path
):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    earlier = tmp_path / "findings.xml"
    earlier.write_text("an older answer")

    answer = governance("gate", "models:/stripes/1", "--github", "--junit", earlier)

    assert answer.code == 2
    assert "--github: GITHUB_STEP_SUMMARY is not set" in answer.err
    assert not earlier.exists()

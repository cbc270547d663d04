"""The address of a report, as a browser opens it."""

import mlflow
import pytest
from mlflow import MlflowClient

from governance.registry import record_page


def test_a_database_has_no_pages(recorded):
    version = recorded

    run_id, address = record_page(version)

    assert MlflowClient().get_run(run_id).info.lifecycle_stage == "active"
    assert address == ""


@pytest.mark.parametrize("server", ["https://me:secret@ml.example:8443/team/", "http://h:5000"])
def test_a_server_has_the_page_of_the_report_without_the_password(recorded, monkeypatch, server):
    version = recorded
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: server)

    run_id, address = record_page(version)

    experiment = MlflowClient().get_run(run_id).info.experiment_id
    home = server.replace("me:secret@", "").rstrip("/")
    page = f"#/experiments/{experiment}/runs/{run_id}/artifacts/governance/report.pdf"
    assert address == f"{home}/{page}"

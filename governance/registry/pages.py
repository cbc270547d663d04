"""Pages: where a browser finds the record of a version in MLflow."""

from typing import Any
from urllib.parse import quote, urlsplit

import mlflow
from mlflow import MlflowClient

from governance.registry.recording import FOLDER, REPORT
from governance.registry.verifying import named_run
from governance.registry.versions import ModelVersion, refusals

__all__ = ["record_page", "report_page"]


def record_page(version: ModelVersion) -> tuple[str, str]:
    """The run that holds the record of a version, and the address of its report.

    Args:
        version: Registered version that has a record.

    Returns:
        Id of the run; address of the report in MLflow's pages, without login and password. The
        address is empty where MLflow is no server but a database or a folder.

    Raises:
        EvidenceError: If the version has no record.
        RegistryError: If MLflow cannot be asked.
    """
    run_id = named_run(version)
    with refusals(f"{version.uri}: looking up its record"):
        return run_id, report_page(MlflowClient().get_run(run_id))


def report_page(run: Any) -> str:
    """Address of the report in a run, in MLflow's pages; empty where MLflow is no server."""
    server = urlsplit(mlflow.get_tracking_uri())
    if server.scheme not in {"http", "https"}:
        return ""
    host = server.netloc.rpartition("@")[2]
    where = f"#/experiments/{quote(run.info.experiment_id)}/runs/{run.info.run_id}"
    page = f"{where}/artifacts/{FOLDER}/{REPORT}"
    return f"{server.scheme}://{host}{server.path.rstrip('/')}/{page}"

"""Pages: where a browser finds the record of a version in MLflow."""

from urllib.parse import quote, urlsplit

import mlflow
from mlflow import MlflowClient

from governance.registry.recording import FOLDER, REPORT
from governance.registry.verifying import named_run
from governance.registry.versions import ModelVersion, refusals

__all__ = ["record_page"]


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
    server = urlsplit(mlflow.get_tracking_uri())
    if server.scheme not in {"http", "https"}:
        return run_id, ""
    with refusals(f"{version.uri}: looking up its record"):
        experiment = MlflowClient().get_run(run_id).info.experiment_id
    host = server.netloc.rpartition("@")[2]
    page = f"#/experiments/{quote(experiment)}/runs/{run_id}/artifacts/{FOLDER}/{REPORT}"
    return run_id, f"{server.scheme}://{host}{server.path.rstrip('/')}/{page}"

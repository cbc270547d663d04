"""Sealing: nothing is added to the folders of registered models and of their records.

A governed registry seals in the step that registers a version or accepts a verdict. This takes a
store that writes once, `worm:` or `worm+s3:`, behind the artifacts that this server hands on, or
named by the version itself. Any other store keeps nothing, and is left alone.
"""

import os
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.utils.uri import get_uri_scheme, validate_path_is_safe

from governance.records.assessment import MANIFEST
from mlflow_plugins.artifacts import WriteOnceRepo
from mlflow_plugins.s3_artifacts import WriteOnceS3Repo

__all__ = ["seal"]

SCHEMES = ("worm", "worm+s3")
#: A store that writes once, and the path in it.
Place = tuple[WriteOnceRepo | WriteOnceS3Repo, str | None]
#: Schemes of artifacts that an MLflow server hands on, beside its own, and how their paths begin.
HTTP = ("http", "https")
ROUTE = "/api/2.0/mlflow-artifacts/artifacts/"
#: Set by `mlflow server` for the processes that it starts.
SERVES = "_MLFLOW_SERVER_SERVE_ARTIFACTS"
#: Where `governance.registry.recording` puts a record in its run.
RECORD = "governance"


def seal(location: str, run_id: str | None = None) -> None:
    """Seal the folder of a model, and that of its record, where they lie in such a store.

    A folder without an MLmodel file is no model yet. Sealing it would let anyone who registers it
    stop the run that still writes there.

    Args:
        location: URI under which MLflow keeps the model's files.
        run_id: Run that holds the record, if there is one.

    Raises:
        MlflowException: If the run cannot be looked up, or the store refuses.
    """
    if RunsArtifactRepository.is_runs_uri(location):
        location = RunsArtifactRepository.get_underlying_uri(location)
    model = _place(location)
    if model is None:
        return
    _seal_with(model, "MLmodel")
    record = None if run_id is None else _record(run_id)
    if record is not None:
        _seal_with(record, MANIFEST)


def _seal_with(place: Place, needed: str) -> None:
    """Seal a folder that holds a file."""
    store, path = place
    if any(info.path.rpartition("/")[2] == needed for info in store.list_artifacts(path)):
        store.seal(path)


def _record(run_id: str) -> Place | None:
    try:
        return _place(RunsArtifactRepository.get_underlying_uri(f"runs:/{run_id}/{RECORD}"))
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        return None  # a statement about a run that is gone; the gate refuses it


def _place(location: str) -> Place | None:
    """The store that writes once and holds a location, and the path in it; None for others."""
    scheme = get_uri_scheme(location)
    if scheme in SCHEMES:
        return get_artifact_repository(location), None
    proxied = scheme == "mlflow-artifacts" or (scheme in HTTP and ROUTE in urlsplit(location).path)
    if proxied and os.environ.get(SERVES) == "true":
        from mlflow.server import handlers  # only a server has it loaded

        path = handlers._get_proxied_run_artifact_destination_path(location)  # noqa: SLF001
        store = handlers._get_artifact_repo_mlflow_artifacts()  # noqa: SLF001
        if isinstance(store, WriteOnceRepo | WriteOnceS3Repo):
            path = validate_path_is_safe(path)
            return store, handlers._get_workspace_scoped_repo_path_if_enabled(path)  # noqa: SLF001
    return None

"""Versions: which model a URI means, pinned, and the tags that governance writes on it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

from governance.approval.tags import (
    APPROVAL,
    AUTHOR,
    DIGEST,
    MANIFEST,
    PENDING,
    POLICY,
    RESERVED,
    RUN,
    RUNNING,
    STATUS,
)
from governance.errors import GovernanceError, RegistryError, SubjectError
from governance.records.version_ref import VersionRef

__all__ = [
    "APPROVAL",
    "AUTHOR",
    "DIGEST",
    "MANIFEST",
    "PENDING",
    "POLICY",
    "RESERVED",
    "RUN",
    "RUNNING",
    "STATUS",
    "ModelVersion",
    "Room",
    "aliases",
    "download",
    "is_model_folder",
    "of_registry",
    "of_run",
    "pinned",
    "quoted",
    "refusals",
    "registered",
    "resolve",
    "with_model_id",
]

# As MLflow reads them: a model may be called `team@retina`, and the alias follows the last @.
BY_VERSION = re.compile(r"models:/+(?P<name>[^/]+)/(?P<version>\d+)/?")
BY_ALIAS = re.compile(r"models:/+(?P<name>[^/]+)@(?P<alias>[^/@]+)")
BY_LATEST = re.compile(r"models:/+(?P<name>[^/]+)/latest/?", re.IGNORECASE)
BY_ID = re.compile(r"models:/+(?P<model_id>m-[0-9a-zA-Z]+)/?")
BY_RUN = re.compile(r"runs:/+(?P<run_id>[0-9a-zA-Z]+)/.+")

#: Secrets that a URL in an error gives away: a password, and the signature of a presigned address.
#: Errors end up in logs, in the job database and in signed statements.
SECRET = re.compile(r"(?<=://)[^/\s]*@|\?[^\s'\")]*")

MISSING = "RESOURCE_DOES_NOT_EXIST"
COPIES = 10  # of a copy of a copy: followed this far
SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A model in MLflow or in a folder, pinned so that it means the same tomorrow.

    Attributes:
        uri: Pinned URI such as `models:/name/3`, never an alias; or the absolute path of a local
            folder.
        ref: The registered version; None if the model is not registered.
        source: URI of the files that were registered.
        model_id: Id of MLflow's LoggedModel; None if there is none.
        run_id: Id of the training run; None if unknown.
    """

    uri: str
    ref: VersionRef | None = None
    source: str | None = None
    model_id: str | None = None
    run_id: str | None = None

    @property
    def registered_as(self) -> VersionRef:
        """The registered version.

        Raises:
            RegistryError: If the model is not registered.
        """
        if self.ref is None:
            raise RegistryError(f"{self.uri}: not registered; a registered version is accepted")
        return self.ref


@contextmanager
def refusals(doing: str) -> Iterator[None]:
    """Turn what MLflow, the network or the disk refuses into a RegistryError about `doing`."""
    try:
        yield
    except (MlflowException, OSError) as error:  # OSError: also what requests raises
        why = SECRET.sub("", str(error).partition("\n")[0])[:500]
        raise RegistryError(f"{doing}: refused: {why or type(error).__name__}") from error


def is_model_folder(uri: str) -> bool:
    """Whether an address is that of a folder on this machine with an MLmodel file."""
    try:
        return (Path(uri) / "MLmodel").is_file()
    except OSError:  # longer than a path may be, or closed to this user
        return False


def resolve(uri: str, registry: str = "") -> ModelVersion:
    """The model that `uri` means now.

    Args:
        uri: `models:/name/version`, `models:/name/latest` for the highest number,
            `models:/name@alias`, `models:/m-<id>`, `runs:/<id>/<path>` or a local folder with an
            MLmodel file.
        registry: Name of the registry, which signed statements about the version will hold.

    Raises:
        SubjectError: If there is no such model; names what there is.
        RegistryError: If MLflow cannot be asked.
    """
    if match := BY_VERSION.fullmatch(uri):
        return _registered(uri, match["name"], match["version"], registry)
    if match := BY_ALIAS.fullmatch(uri):
        known = aliases(match["name"], uri)
        if match["alias"] not in known:
            raise SubjectError(
                f"{uri}: {match['name']} has no alias {match['alias']!r}; it has "
                f"{_list(sorted(known))}"
            )
        return _registered(uri, match["name"], known[match["alias"]], registry)
    if match := BY_LATEST.fullmatch(uri):
        return _registered(uri, match["name"], _highest(uri, match["name"]), registry)
    if match := BY_ID.fullmatch(uri):
        return _logged(uri, match["model_id"])
    if match := BY_RUN.fullmatch(uri):
        with refusals(f"{uri}: looking up the run"), _unknown(uri, "no such run"):
            MlflowClient().get_run(match["run_id"])
        return ModelVersion(uri=uri, source=uri, run_id=match["run_id"])
    if is_model_folder(uri):
        return ModelVersion(uri=str(Path(uri).resolve()), source=uri)
    raise SubjectError(
        f"{uri}: no model; models:/name/version, models:/name/latest, models:/name@alias, "
        "models:/m-<id>, runs:/<id>/<path> and a local folder with an MLmodel file are accepted"
    )


def _highest(uri: str, name: str) -> str:
    """The highest number of a version of a registered model."""
    aliases(name, uri)
    with refusals(f"{uri}: looking up the versions"):
        found = MlflowClient().search_model_versions(
            f"name = '{quoted(name)}'", max_results=1, order_by=["version_number DESC"]
        )
    if not found:
        raise SubjectError(f"{uri}: {name} has no version; one that has some is accepted")
    return str(found[0].version)


def aliases(name: str, where: str) -> dict[str, str]:
    """Version number by alias of a registered model.

    Raises:
        SubjectError: If there is no such model.
        RegistryError: If MLflow cannot be asked.
    """
    with refusals(f"{where}: looking up the model"):
        try:
            model = MlflowClient().get_registered_model(name)
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            names = [item.name for item in MlflowClient().search_registered_models(max_results=100)]
            raise SubjectError(
                f"{where}: no registered model {name!r}; there are {_list(names)}"
            ) from error
    return {alias: str(number) for alias, number in model.aliases.items()}


def registered(version: ModelVersion) -> Any:
    """MLflow's own record of a registered version as it is now, tags included.

    Raises:
        RegistryError: If it is gone, or was deleted and recreated.
    """
    ref = version.registered_as
    current = MlflowClient().get_model_version(ref.name, ref.version)
    if current.creation_timestamp != ref.created:
        raise RegistryError(
            f"{version.uri}: was deleted and created anew since it was resolved; start again"
        )
    return current


def _registered(uri: str, name: str, number: str, registry: str) -> ModelVersion:
    aliases(name, uri)
    client = MlflowClient()
    with refusals(f"{uri}: looking up the version"):
        try:
            row = client.get_model_version(name, number)
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            versions = client.search_model_versions(f"name = '{quoted(name)}'")
            numbers = sorted({int(item.version) for item in versions})
            raise SubjectError(
                f"{uri}: {name} has no version {number}; it has {_list(map(str, numbers))}"
            ) from error
        if row.status != "READY":
            raise SubjectError(f"{uri}: is {row.status}; a version that is READY is accepted")
        return pinned(row, row.model_id or _model_id(row.source), registry)


def pinned(row: Any, model_id: str | None = None, registry: str = "") -> ModelVersion:
    """The pinned version of MLflow's own record of it.

    Args:
        row: The version as MLflow lists or returns it.
        model_id: Id of its LoggedModel, which takes a request of its own to find.
        registry: Name of the registry.
    """
    ref = VersionRef.of(row, registry)
    return ModelVersion(
        uri=ref.uri,
        ref=ref,
        source=row.source,
        model_id=model_id,
        run_id=row.run_id or None,
    )


def with_model_id(version: ModelVersion) -> ModelVersion:
    """A registered version with the id of its LoggedModel, which takes requests to find.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    with refusals(f"{version.uri}: looking up its model"):
        return replace(version, model_id=version.model_id or _model_id(version.source))


def of_registry(version: ModelVersion, registry: str) -> ModelVersion:
    """A version with the name of its registry, which signed statements about it will hold."""
    return replace(version, ref=replace(version.registered_as, registry=registry))


def _model_id(source: str | None, copies: int = COPIES) -> str | None:
    """The LoggedModel behind a version's source; MLflow does not tell it over REST."""
    if match := BY_ID.fullmatch(source or ""):
        return match["model_id"]
    # A version copied from another one, which may be gone by now.
    match = BY_VERSION.fullmatch(source or "")
    if match is None or copies == 0:
        return None
    try:
        other = MlflowClient().get_model_version(match["name"], match["version"])
    except MlflowException as error:
        if error.error_code != MISSING:
            raise
        return None
    return other.model_id or _model_id(other.source, copies - 1)


def _logged(uri: str, model_id: str) -> ModelVersion:
    with refusals(f"{uri}: looking up the model"), _unknown(uri, "no such logged model"):
        logged = MlflowClient().get_logged_model(model_id)
    return ModelVersion(
        uri=f"models:/{model_id}",
        source=uri,
        model_id=model_id,
        run_id=logged.source_run_id or None,
    )


@contextmanager
def _unknown(uri: str, what: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        if error.error_code == MISSING:
            _absent(uri, what, error)
        raise


def _absent(uri: str, what: str, error: MlflowException) -> NoReturn:
    raise SubjectError(f"{uri}: {what}; one that exists and is not deleted is accepted") from error


@dataclass(frozen=True, slots=True)
class Room:
    """What a download may take.

    Attributes:
        files: Number of files and folders.
        size: Bytes of all files together.
        error: Class of the error if it takes more.
    """

    files: int
    size: int
    error: type[GovernanceError]


def download(uri: str, into: Path, room: Room) -> Path:
    """The files behind an artifact URI, copied into a new folder.

    Raises:
        GovernanceError: Of the room's class, if the store lists more than there is room for.
        RegistryError: If they cannot be had.
    """
    with refusals(f"{uri}: downloading"):
        _check_room(uri, room)
        into.mkdir(parents=True, exist_ok=True)
        return Path(download_artifacts(artifact_uri=uri, dst_path=str(into)))


def of_run(run_id: str, path: str, into: Path, room: Room) -> Path:
    """What a run itself holds at a path, copied into a new folder.

    `runs:/` would look into the models that the run logged as well, by requests for each folder.

    Raises:
        GovernanceError: Of the room's class, if there is more than there is room for.
        RegistryError: If it cannot be had.
    """
    uri = f"runs:/{run_id}/{path}"
    with refusals(f"{uri}: looking up where it lies"):
        uri = RunsArtifactRepository.get_underlying_uri(uri)
    return download(uri, into, room)


def _check_room(uri: str, room: Room) -> None:
    """Refuse files before they are fetched, by what the store lists of them."""
    repository = get_artifact_repository(uri)
    waiting: list[str | None] = [None]
    entries = size = 0
    while waiting:
        for item in repository.list_artifacts(waiting.pop()):
            entries += 1
            size += item.file_size or 0
            if item.is_dir:
                waiting.append(item.path)
        if entries > room.files or size > room.size:
            raise room.error(
                f"{uri}: {entries} files and folders of {size} bytes or more; at most {room.files} "
                f"of {room.size} are accepted"
            )


def quoted(text: str) -> str:
    """A text inside the quotation marks of an MLflow filter."""
    return text.replace("'", "''")


def _list(items: Any) -> str:
    names = list(items)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more

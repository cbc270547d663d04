"""Listing: registered models and their versions, newest first, as MLflow lists them.

MLflow filters versions by their tags, but not by missing tags and not by time. New versions are
therefore found by reading from the newest backwards, which needs no plug-in.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import mlflow
from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_WORKSPACE
from mlflow.exceptions import MlflowException

from governance.errors import RegistryError
from governance.registry.versions import (
    MISSING,
    PENDING,
    STATUS,
    ModelVersion,
    pinned,
    refusals,
)

__all__ = [
    "ListedModel",
    "ListedVersion",
    "answers",
    "close_runs",
    "listed",
    "model_tags",
    "models",
    "newest",
    "pending",
    "place",
    "unset_alias",
    "workspace",
]

PAGE = 200
PROMPT = "mlflow.prompt.is_prompt"
READY = "READY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVersion:
    """A version as MLflow lists it.

    Attributes:
        version: The version, without its `model_id`, which takes a request of its own to find.
        tags: All tags of the version, untrusted.
        stage: MLflow's stage of the version.
    """

    version: ModelVersion
    tags: Mapping[str, str]
    stage: str = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A registered model as MLflow lists it.

    Attributes:
        name: Name of the registered model.
        tags: All tags of the model, untrusted.
        aliases: Version number by alias.
    """

    name: str
    tags: Mapping[str, str]
    aliases: Mapping[str, str]


def place() -> str:
    """Address of the registry without credentials, which tells it from other registries."""
    uri = str(mlflow.get_registry_uri())
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme.removeprefix("governed+"), host, parts.path, "", ""))


def workspace() -> str:
    """The MLflow workspace whose models are listed; empty where none is chosen."""
    return (MLFLOW_WORKSPACE.get() or "").strip()


def answers() -> bool:
    """Whether MLflow answers at all."""
    try:
        with refusals("asking the registry"):
            MlflowClient().search_registered_models(max_results=1)
    except RegistryError:
        return False
    return True


def pending() -> Iterator[ListedVersion]:
    """The versions that a governed registry marked `pending`; a plain one marks none.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    return _entries(f"tags.`{STATUS}` = '{PENDING}'")


def newest() -> Iterator[ListedVersion]:
    """All versions of all models, the newest first, read page by page.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    return _entries(None)


def listed(name: str, number: str) -> ListedVersion | None:
    """A version as it is now; None where there is none in the state READY.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    with refusals(f"models:/{name}/{number}: looking up the version"):
        try:
            return _entry(MlflowClient().get_model_version(name, number))
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
    return None


def model_tags(name: str) -> Mapping[str, str]:
    """All tags of a registered model, untrusted.

    Raises:
        RegistryError: If MLflow cannot be asked, or there is none of that name.
    """
    with refusals(f"{name}: looking up the model"):
        return dict(MlflowClient().get_registered_model(name).tags)


def models() -> Iterator[ListedModel]:
    """All registered models but prompts.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    token = None
    while True:
        with refusals("listing the registered models"):
            found = MlflowClient().search_registered_models(max_results=PAGE, page_token=token)
        for item in found:
            if PROMPT not in item.tags:
                aliases = {alias: str(number) for alias, number in item.aliases.items()}
                yield ListedModel(name=item.name, tags=dict(item.tags), aliases=aliases)
        token = found.token
        if not token:
            return


def unset_alias(name: str, alias: str) -> None:
    """Remove an alias from the version that has it.

    Raises:
        RegistryError: If MLflow refuses.
    """
    with refusals(f"{name}: removing the alias {alias!r}"):
        MlflowClient().delete_registered_model_alias(name, alias)


def close_runs(version: ModelVersion) -> int:
    """End the runs that a killed process left open while it recorded a version.

    Returns:
        Number of runs that were ended.

    Raises:
        RegistryError: If MLflow refuses.
    """
    client = MlflowClient()
    with refusals(f"{version.uri}: closing runs left behind"):
        found = client.get_experiment_by_name(f"governance/{version.registered_as.name}")
        if found is None or not re.fullmatch(r"[^'`]*", version.uri):
            return 0
        runs = client.search_runs(
            [found.experiment_id],
            f"tags.`governance.model` = '{version.uri}' and attributes.status = 'RUNNING'",
        )
        for run in runs:
            client.set_terminated(run.info.run_id, "KILLED")
    return len(runs)


def _entries(query: str | None) -> Iterator[ListedVersion]:
    token = None
    while True:
        with refusals("listing the model versions"):
            found = MlflowClient().search_model_versions(
                query,
                max_results=PAGE,
                order_by=["creation_timestamp DESC"],
                page_token=token,
            )
        yield from filter(None, map(_entry, found))
        token = found.token
        if not token:
            return


def _entry(found: Any) -> ListedVersion | None:
    """A version of a model, not of a prompt, that is ready."""
    if PROMPT in found.tags or found.status != READY:
        return None
    stage = found.current_stage or "None"
    return ListedVersion(version=pinned(found), tags=dict(found.tags), stage=stage)

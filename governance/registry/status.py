"""Status: what a version's tags say while it is assessed and recorded, and after a failure."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow import MlflowClient

from governance.approval import PrivateKey
from governance.errors import RegistryError
from governance.registry.signing import approve, renewed, write
from governance.registry.versions import (
    APPROVAL,
    PENDING,
    RESERVED,
    RUNNING,
    STATUS,
    ModelVersion,
    refusals,
    registered,
)

__all__ = ["Marks", "marked_running", "marks", "put_back"]


@contextmanager
def marked_running(version: ModelVersion, *, key: PrivateKey | None = None) -> Iterator[None]:
    """Mark a version `running`; unless a verdict is recorded meanwhile, its status is put back.

    The status before is put back whatever ends the assessment, Ctrl-C included; a `running` found
    at the start was left by a process that was killed, and becomes `pending`. Two assessments of a
    version at once are not kept apart: the one recorded last stands.

    Args:
        version: Registered.
        key: The assessor's, which a governed registry asks for; what it signed before is signed
            anew when it is put back, and anything else becomes `pending` there.

    Raises:
        RegistryError: If the version is not registered or MLflow refuses.
    """
    if version.name is None:
        raise RegistryError(f"{version.uri}: not registered, so it has no status to set")
    with refusals(f"{version.uri}: reading its status"):
        before = marks(version)
    try:
        with refusals(f"{version.uri}: setting its status"):
            _run(version, key)
        yield
    except BaseException as error:
        try:
            _leave(version, before, key)
        except RegistryError as second:
            error.add_note(f"its status could not be put back: {second}")
        raise
    _leave(version, before, key)


def _run(version: ModelVersion, key: PrivateKey | None) -> None:
    if key is None:
        MlflowClient().set_model_version_tag(version.name, version.version, STATUS, RUNNING)
    else:
        approve(version, RUNNING, key, time.time())


def _leave(version: ModelVersion, before: "Marks", key: PrivateKey | None) -> None:
    status = before.tags.get(STATUS, PENDING)
    status = PENDING if status == RUNNING else status
    with refusals(f"{version.uri}: putting its status back to {status}"):
        if marks(version).tags.get(STATUS) != RUNNING:
            return
        if key is not None:
            again = renewed(version, before.tags.get(APPROVAL), key, time.time())
            if write(version, again, key).get(STATUS) != RUNNING:
                return
        MlflowClient().set_model_version_tag(version.name, version.version, STATUS, status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What governance writes on a version.

    Attributes:
        tags: The reserved ones that are set.
        description: The whole text, of which the summary is a part.
    """

    tags: Mapping[str, str]
    description: str


def marks(version: ModelVersion) -> Marks:
    """What stands on a version now.

    Raises:
        MlflowException: If MLflow refuses.
        RegistryError: If the version is gone.
    """
    found = registered(version)
    tags = {key: found.tags[key] for key in RESERVED if key in found.tags}
    return Marks(tags=tags, description=found.description or "")


def put_back(version: ModelVersion, before: Marks) -> None:
    """Make the marks on a version what they were.

    Raises:
        MlflowException: If MLflow refuses.
        RegistryError: If the version is gone.
    """
    client = MlflowClient()
    now = marks(version)
    for key in RESERVED:
        if before.tags.get(key) == now.tags.get(key):
            continue
        if key in before.tags:
            client.set_model_version_tag(version.name, version.version, key, before.tags[key])
        else:
            client.delete_model_version_tag(version.name, version.version, key)
    if now.description != before.description:
        client.update_model_version(version.name, version.version, before.description)

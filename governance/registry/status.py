"""Status: what a version's tags say while it is assessed and recorded, and after a failure."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow import MlflowClient

from governance.approval import PrivateKey
from governance.approval.lifecycle import status_after_interruption
from governance.errors import RegistryError
from governance.registry.description import merged, unassessed
from governance.registry.signing import (
    not_assessable,
    put_statement,
    resumed,
    sign_progress,
)
from governance.registry.versions import (
    APPROVAL,
    DIGEST,
    MANIFEST,
    POLICY,
    RESERVED,
    RUN,
    RUNNING,
    STATUS,
    ModelVersion,
    refusals,
    registered,
)

__all__ = ["Marks", "leave_undetermined", "marked_running", "marks", "put_back"]


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
    if version.ref is None:
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
        ref = version.registered_as
        MlflowClient().set_model_version_tag(ref.name, ref.version, STATUS, RUNNING)
    else:
        sign_progress(version, RUNNING, key, time.time())


def _leave(version: ModelVersion, before: "Marks", key: PrivateKey | None) -> None:
    status = status_after_interruption(before.tags.get(STATUS))
    with refusals(f"{version.uri}: putting its status back to {status}"):
        if marks(version).tags.get(STATUS) != RUNNING:
            return
        if key is not None:
            again = resumed(version, before.tags.get(APPROVAL), key, time.time())
            if put_statement(version, again, key).get(STATUS) != RUNNING:
                return
        ref = version.registered_as
        MlflowClient().set_model_version_tag(ref.name, ref.version, STATUS, status)


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
    client, ref = MlflowClient(), version.registered_as
    now = marks(version)
    for key in RESERVED:
        if before.tags.get(key) == now.tags.get(key):
            continue
        if key in before.tags:
            client.set_model_version_tag(ref.name, ref.version, key, before.tags[key])
        else:
            client.delete_model_version_tag(ref.name, ref.version, key)
    if now.description != before.description:
        client.update_model_version(ref.name, ref.version, before.description)


def leave_undetermined(version: ModelVersion, why: str, key: PrivateKey) -> None:
    """Sign that a version's verdict is `undetermined`, and why; a record of before counts no more.

    Args:
        version: Registered.
        why: For whoever asks; untrusted, as errors repeat what is in the model's files.
        key: The assessor's.

    Raises:
        RegistryError: If MLflow refuses.
    """
    client, ref = MlflowClient(), version.registered_as
    with refusals(f"{version.uri}: saying that it could not be assessed"):
        text = merged(registered(version).description or "", unassessed(why))
        client.update_model_version(ref.name, ref.version, text)
        statement = not_assessable(version, why, time.time())
        tags = put_statement(version, statement, key)
        if tags.get(STATUS) == statement.verdict and RUN not in tags:
            return  # a governed registry set the others from what was signed
        for name in (RUN, DIGEST, MANIFEST, POLICY):
            if name in tags:
                client.delete_model_version_tag(ref.name, ref.version, name)
        client.set_model_version_tag(ref.name, ref.version, STATUS, statement.verdict)

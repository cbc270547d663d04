"""Status: tags and description of a version while it is assessed, and after a failure."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow import MlflowClient

from governance.approval import Signer
from governance.approval.lifecycle import status_after_interruption
from governance.approval.signing_requests import Grounds
from governance.approval.tags import APPROVAL, REPLACED
from governance.errors import RegistryError
from governance.records.policy import Policy
from governance.registry.description import merged, unassessed
from governance.registry.signing import (
    not_assessable,
    put_statement,
    resumed,
    sign_progress,
)
from governance.registry.versions import (
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
def marked_running(
    version: ModelVersion, *, key: Signer | None = None, policy: Policy | None = None
) -> Iterator[int]:
    """Mark a version `running`. Its status is put back unless a verdict was recorded meanwhile.

    This holds however the assessment ends, Ctrl-C included. A status `running` at the start was
    left by a killed process and becomes `pending`. Two assessments of a version at the same time
    are not kept apart: the one that is recorded last stands.

    Args:
        version: Registered.
        key: Private key of an assessor, which a governed registry needs. A verdict that this key
            signed before is signed again when it is put back; anything else becomes `pending`.
        policy: Policy of the assessment, as read. With a key, what is signed names it, so that the
            registry knows it before anything is measured under it.

    Yields:
        When the version was marked, in seconds since 1970: the policy was fixed by then.

    Raises:
        RegistryError: If the version is not registered or MLflow refuses.
    """
    if version.ref is None:
        raise RegistryError(f"{version.uri}: not registered, so it has no status to set")
    with refusals(f"{version.uri}: reading its status"):
        before = marks(version)
    now = int(time.time())
    try:
        with refusals(f"{version.uri}: setting its status"):
            _run(version, key, policy, now)
        yield now
    except BaseException as error:
        try:
            _leave(version, before, key)
        except RegistryError as second:
            error.add_note(f"its status could not be put back: {second}")
        raise
    _leave(version, before, key)


def _run(version: ModelVersion, key: Signer | None, policy: Policy | None, now: int) -> None:
    if key is None:
        ref = version.registered_as
        MlflowClient().set_model_version_tag(ref.name, ref.version, STATUS, RUNNING)
    else:
        sign_progress(version, RUNNING, key, now, policy)


def _leave(version: ModelVersion, before: "Marks", key: Signer | None) -> None:
    status = status_after_interruption(before.tags.get(STATUS))
    with refusals(f"{version.uri}: putting its status back to {status}"):
        stands = marks(version).tags
        if stands.get(STATUS) != RUNNING:
            return
        if key is not None:
            again = resumed(version, before.tags, key, time.time())
            key = key.on(Grounds(before=before.tags.get(APPROVAL, "")))
            if put_statement(version, again, key, over=stands).get(STATUS) != RUNNING:
                return
        ref = version.registered_as
        MlflowClient().set_model_version_tag(ref.name, ref.version, STATUS, status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What governance writes on a version.

    Attributes:
        tags: Those of our tags that are set.
        description: The whole description, our summary included.
        model: The whole description of the registered model.
    """

    tags: Mapping[str, str]
    description: str
    model: str


def marks(version: ModelVersion) -> Marks:
    """Our tags and the description of a version, and of its model, as they are now.

    Raises:
        MlflowException: If MLflow refuses.
        RegistryError: If the version is gone.
    """
    found = registered(version)
    tags = {
        key: value
        for key, value in found.tags.items()
        if key in RESERVED or key.startswith(REPLACED)
    }
    model = MlflowClient().get_registered_model(version.registered_as.name).description or ""
    return Marks(tags=tags, description=found.description or "", model=model)


def put_back(version: ModelVersion, before: Marks) -> None:
    """Restore the tags and the description of a version, and our summary on its model.

    Raises:
        MlflowException: If MLflow refuses.
        RegistryError: If the version is gone.
    """
    client, ref = MlflowClient(), version.registered_as
    now = marks(version)
    for key in (*RESERVED, *sorted({*now.tags, *before.tags} - {*RESERVED})):
        if before.tags.get(key) == now.tags.get(key):
            continue
        if key in before.tags:
            client.set_model_version_tag(ref.name, ref.version, key, before.tags[key])
        else:
            client.delete_model_version_tag(ref.name, ref.version, key)
    if now.description != before.description:
        client.update_model_version(ref.name, ref.version, before.description)
    if now.model != before.model:
        client.update_registered_model(ref.name, before.model)


def leave_undetermined(version: ModelVersion, why: str, key: Signer) -> None:
    """Sign the verdict `undetermined` for a version that could not be assessed, with the reason.

    An earlier record of the version does not count any more.

    Args:
        version: Registered.
        why: Reason; untrusted, since errors repeat what is in the model's files.
        key: Private key of an assessor.

    Raises:
        RegistryError: If MLflow refuses.
    """
    client, ref = MlflowClient(), version.registered_as
    with refusals(f"{version.uri}: saying that it could not be assessed"):
        statement = not_assessable(version, why, time.time())
        tags = put_statement(version, statement, key)
        # A governed registry sets the others from what was signed.
        if tags.get(STATUS) != statement.verdict or RUN in tags:
            for name in (RUN, DIGEST, MANIFEST, POLICY):
                if name in tags:
                    client.delete_model_version_tag(ref.name, ref.version, name)
            client.set_model_version_tag(ref.name, ref.version, STATUS, statement.verdict)
        # It takes the summary of a verdict that stands, so that this comes last.
        text = merged(registered(version).description or "", unassessed(why))
        client.update_model_version(ref.name, ref.version, text)

"""Unassessed: a version that could not be assessed says so, signed, instead of waiting for ever."""

import time

from mlflow import MlflowClient

from governance.approval import PrivateKey
from governance.registry.description import merged, unassessed
from governance.registry.signing import undetermined, write
from governance.registry.versions import (
    DIGEST,
    MANIFEST,
    POLICY,
    RUN,
    STATUS,
    ModelVersion,
    refusals,
    registered,
)

__all__ = ["leave_undetermined"]


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
        statement = undetermined(version, why, time.time())
        tags = write(version, statement, key)
        if tags.get(STATUS) == statement.verdict and RUN not in tags:
            return  # a governed registry set the others from what was signed
        for name in (RUN, DIGEST, MANIFEST, POLICY):
            if name in tags:
                client.delete_model_version_tag(ref.name, ref.version, name)
        client.set_model_version_tag(ref.name, ref.version, STATUS, statement.verdict)

"""Predecessors: the versions before a version, as their own assessments recorded them."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from governance.errors import EvidenceError, SubjectError
from governance.records.assessment import Assessment
from governance.records.lineage import Lineage
from governance.records.policy import Policy
from governance.registry.references import references
from governance.registry.verifying import fetch, relied_on
from governance.registry.versions import (
    MISSING,
    STATUS,
    ModelVersion,
    aliases,
    pinned,
    quoted,
    refusals,
    resolve,
)

__all__ = ["all_versions", "lineage", "recorded", "training_data"]

APPROVED = "approved"


def recorded(version: ModelVersion) -> Assessment:
    """The recorded assessment of a version, held against its tags and its model.

    Raises:
        SubjectError: If the version is not registered.
        EvidenceError: If it has no record, or one that is not to be relied on.
        RegistryError: If MLflow cannot be asked or the model not be downloaded.
    """
    with TemporaryDirectory(prefix="governance-") as scratch:
        return relied_on(version, fetch(version, Path(scratch)))


def all_versions(name: str) -> tuple[tuple[ModelVersion, str | None], ...]:
    """All versions of a registered model, the oldest first, each with its status.

    Raises:
        SubjectError: If there is no such model.
        RegistryError: If MLflow cannot be asked.
    """
    aliases(name, name)
    found = sorted(_all(name), key=lambda item: int(item.version))
    return tuple((pinned(item), item.tags.get(STATUS)) for item in found)


def _all(name: str) -> list[Any]:
    client, query = MlflowClient(), f"name = '{quoted(name)}'"
    with refusals(f"{name}: listing its versions"):
        page = client.search_model_versions(query)
        found = list(page)
        while page.token:
            page = client.search_model_versions(query, page_token=page.token)
            found += page
    return found


def lineage(version: ModelVersion, policy: Policy) -> Lineage:
    """What a version is compared with under a policy.

    The previous version is the one that the policy names. Where drift is looked for and nothing
    has that name yet, or it is this version itself, it is the newest earlier one that was
    approved: an alias that is taken away must not end the comparison.

    A record that is damaged ends no assessment but its own: nothing is known of the versions then,
    for the stated reason, and what depends on them is missing.

    Raises:
        SubjectError: If there is such a version and it has no record: a comparison that someone
            relies on must not disappear without a word.
        RegistryError: If MLflow cannot be asked.
    """
    if version.ref is None:
        return Lineage(unknown=f"{version.uri} is not registered, so its versions are not known")
    try:
        return _known(version, policy)
    except EvidenceError as error:
        return Lineage(unknown=f"previous record damaged: {error.problems[0]}")


def _known(version: ModelVersion, policy: Policy) -> Lineage:
    named = _named(version, policy)
    if policy.drift is None:
        return Lineage(previous=_recorded(named, policy) if named else None)
    approved = [
        item
        for item, status in all_versions(version.registered_as.name)
        if status == APPROVED and _number(item) < _number(version)
    ]
    before = named or (approved[-1] if approved else None)
    if before is None:
        return Lineage(data=training_data(version))
    other = approved[0] if approved and approved[0].ref != before.ref else None
    previous = _recorded(before, policy)
    return Lineage(
        previous=previous,
        first=_recorded(other, policy) if other else None,
        references=references(before, policy.drift.references),
        planted=next(iter(reversed(references(before, "planted"))), None),
        data=training_data(version),
    )


def _number(version: ModelVersion) -> int:
    return int(version.registered_as.version)


def _named(version: ModelVersion, policy: Policy) -> ModelVersion | None:
    """The version that the policy names; None where none has the alias, or it is this one."""
    number = policy.baseline
    if number is None or version.ref is None:
        return None
    name = version.ref.name
    if not number.isdecimal():
        known = aliases(name, version.uri)
        if number not in known:
            return None
        number = known[number]
    return None if number == version.ref.version else resolve(f"models:/{name}/{number}")


def _recorded(version: ModelVersion, policy: Policy) -> Assessment:
    with TemporaryDirectory(prefix="governance-") as scratch:
        try:
            folder = fetch(version, Path(scratch))
        except EvidenceError as error:
            why = (
                f"baseline {policy.baseline!r}: no record to compare with; assess {version.uri} "
                "first"
            )
            raise SubjectError((*error.problems, why)) from error
        return relied_on(version, folder)


def training_data(version: ModelVersion) -> tuple[tuple[str, str], ...]:
    """Names and digests of the data sets that the training run of a version logged.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    if version.run_id is None:
        return ()
    with refusals(f"run {version.run_id}: reading its data sets"):
        try:
            found = MlflowClient().get_run(version.run_id).inputs.dataset_inputs
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            return ()
    return tuple((item.dataset.name, item.dataset.digest) for item in found)

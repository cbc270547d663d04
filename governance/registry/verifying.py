"""Verifying: the record of a version, compared with its model, tags and digests."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from governance.errors import EvidenceError, SubjectError
from governance.records.assessment import Assessment
from governance.records.consistency import contradictions
from governance.records.manifest import LARGEST_FOLDER, MOST_FILES
from governance.registry.materials import model_folder
from governance.registry.recording import FOLDER, manifest_digest, record_digest
from governance.registry.status import marks
from governance.registry.versions import (
    DIGEST,
    MANIFEST,
    PENDING,
    POLICY,
    RUN,
    RUNNING,
    STATUS,
    ModelVersion,
    Room,
    of_run,
    refusals,
)
from governance.subject.model_files import artifact_digest

__all__ = [
    "awaited",
    "check_model",
    "fetch",
    "held",
    "mismatches",
    "named",
    "named_run",
    "relied_on",
]


def awaited(version: ModelVersion) -> str | None:
    """Why a version has no verdict yet; None where its status says that it has one.

    Raises:
        SubjectError: If the version is not registered.
        RegistryError: If MLflow cannot be asked.
    """
    tags = _tags(version)
    status = tags.get(STATUS)
    if status == RUNNING:
        return f"{version.uri}: is being assessed; ask again when that is done"
    if status in {None, PENDING}:
        return (
            f"{version.uri}: no assessment of it stands (its tag {STATUS} is {_shown(status)}); "
            f"assess it first: governance assess {version.uri} --policy FILE"
        )
    if status == "undetermined" and RUN not in tags:
        return (
            f"{version.uri}: could not be assessed; its signed statement says why: governance gate "
            f"{version.uri} --keys KEYRING"
        )
    return None


def fetch(version: ModelVersion, into: Path) -> Path:
    """The recorded assessment of a version, as a folder.

    Raises:
        SubjectError: If the version is not registered.
        EvidenceError: If it has no record, one larger than a record is, or the run is gone.
        RegistryError: If MLflow cannot be asked.
    """
    run_id = named_run(version)
    with refusals(f"{version.uri}: looking up its record"):
        try:
            if MlflowClient().get_run(run_id).info.lifecycle_stage != "active":
                raise EvidenceError(f"{version.uri}: run {run_id}, its record, was deleted")
            present = {item.path for item in MlflowClient().list_artifacts(run_id)}
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            present = set()
    if FOLDER not in present:
        raise EvidenceError(f"{version.uri}: run {run_id}, named by its tag {RUN}, holds no record")
    room = Room(MOST_FILES, LARGEST_FOLDER, EvidenceError)
    return of_run(run_id, FOLDER, into, room)


def named_run(version: ModelVersion) -> str:
    """The run that the tags of a version name as its record.

    Raises:
        SubjectError: If the version is not registered.
        EvidenceError: If its tags name none.
        RegistryError: If MLflow cannot be asked.
    """
    run_id = _tags(version).get(RUN)
    if run_id is None:
        raise EvidenceError(
            f"{version.uri}: has no record; assess it first: governance assess {version.uri} "
            "--policy FILE"
        )
    if not re.fullmatch(r"[0-9a-f]{32}", run_id):
        raise EvidenceError(f"{version.uri}: tag {RUN} is {run_id[:80]!r}, which names no run")
    return run_id


def _tags(version: ModelVersion) -> Mapping[str, str]:
    if version.ref is None:
        raise SubjectError(
            f"{version.uri}: not registered, so it has no record; models:/name/version and "
            "models:/name@alias are accepted"
        )
    with refusals(f"{version.uri}: reading its tags"):
        return marks(version).tags


def mismatches(version: ModelVersion, folder: Path, model: Path | None = None) -> tuple[str, ...]:
    """Contradictions within a record, and with its version's current tags and model.

    The evidence is judged again, so that every verdict follows from its evidence. No file of the
    model is opened: the digest of all of them is compared.

    Args:
        version: Registered version.
        folder: Folder of the record, from `fetch`.
        model: Folder of the model's files; if None they are downloaded and removed again.

    Returns:
        One sentence per mismatch; empty if the record can be relied on. What follows a digest that
        differs is not opened, so that further mismatches there are not listed.

    Raises:
        RegistryError: If MLflow cannot be asked or the model not be downloaded.
    """
    try:
        relied_on(version, folder, model)
    except EvidenceError as error:
        return error.problems
    return ()


def relied_on(version: ModelVersion, folder: Path, model: Path | None = None) -> Assessment:
    """The record in a folder, if it agrees with itself, its version's tags and its model.

    Args:
        version: Registered version.
        folder: Folder of the record, from `fetch`.
        model: Folder of the model's files; if None they are downloaded and removed again.

    Raises:
        EvidenceError: If it cannot be relied on; one sentence per mismatch.
        RegistryError: If MLflow cannot be asked or the model not be downloaded.
    """
    assessment = held(version, folder)
    if model is not None:
        check_model(version, assessment, model)
        return assessment
    with TemporaryDirectory(prefix="governance-") as scratch:
        check_model(version, assessment, model_folder(version, Path(scratch)))
    return assessment


def held(version: ModelVersion, folder: Path) -> Assessment:
    """The record in a folder, if it is the one its version names and agrees with itself.

    Digests are compared before the record is read, and it is read before anything of its model is.

    Args:
        version: Registered version.
        folder: Folder of the record, from `fetch`.

    Raises:
        EvidenceError: If it is another record, or contradicts itself; one sentence per mismatch.
        RegistryError: If MLflow cannot be asked.
    """
    tags = _tags(version)
    named(version, folder, tags)
    assessment = Assessment.load(folder)
    wrong = (
        *(f"{version.uri}: {problem}" for problem in contradictions(assessment)),
        *_tag_mismatches(version, assessment, tags),
        *_reference_mismatches(version, assessment),
    )
    if wrong:
        raise EvidenceError(wrong)
    return assessment


def named(version: ModelVersion, folder: Path, tags: Mapping[str, str] | None = None) -> None:
    """Refuse a folder that does not hold the very record that a version names.

    Args:
        version: Registered version.
        folder: Folder of the record, from `fetch`.
        tags: Tags of the version, where they were read already.

    Raises:
        EvidenceError: If its digests are not those of the version's tags.
        RegistryError: If MLflow cannot be asked.
    """
    tags = _tags(version) if tags is None else tags
    expected = {DIGEST: record_digest(folder), MANIFEST: manifest_digest(folder)}
    wrong = [
        f"{version.uri}: tag {key} is {_shown(tags.get(key))} and the record says {value}"
        for key, value in expected.items()
        if tags.get(key) != value
    ]
    if wrong:
        raise EvidenceError(wrong)


def check_model(version: ModelVersion, assessment: Assessment, model: Path) -> None:
    """Refuse a model whose files are not the ones assessed. None of them is opened.

    Equal files hold equal tensors, so that the digest of the tensors says nothing more.

    Args:
        version: Registered version.
        assessment: Its record.
        model: Folder of the model's files.

    Raises:
        EvidenceError: If the digest of its files differs, or there are more than of a model.
    """
    recorded = assessment.identity.artifact_digest
    try:
        digest = artifact_digest(model)
    except SubjectError as error:
        raise EvidenceError(error.problems) from error
    if digest != recorded:
        raise EvidenceError(
            f"{version.uri}: its files have the digest {digest} and those assessed had {recorded}"
        )


def _tag_mismatches(
    version: ModelVersion, assessment: Assessment, tags: Mapping[str, str]
) -> Iterator[str]:
    verdict = assessment.decision.verdict
    if tags.get(STATUS) != verdict:
        yield (
            f"{version.uri}: tag {STATUS} is {_shown(tags.get(STATUS))} and the record says "
            f"{verdict}"
        )
    if not tags.get(POLICY, "").endswith(f"({assessment.policy.digest})"):
        yield (
            f"{version.uri}: tag {POLICY} is {_shown(tags.get(POLICY))} and the record was made "
            f"under {assessment.policy.digest}"
        )


def _reference_mismatches(version: ModelVersion, assessment: Assessment) -> Iterator[str]:
    ref, identity = version.registered_as, assessment.identity
    for name in ref.differences(identity.ref):
        here, recorded = getattr(ref, name), getattr(identity.ref, name, None)
        yield f"{version.uri}: its {name} is {here} and the record is about {recorded}"


def _shown(value: str | None) -> str:
    return "missing" if value is None else repr(value[:100])

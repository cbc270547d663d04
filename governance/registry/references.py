"""References: reference runs of a registered model, recorded once and read again.

A reference run is the assessment of a network that was trained like the version except for the
seed. The registered model's tag `governance.references` lists these runs with the digests of their
records. A run that is not listed, or differs from its digest, is no reference run.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from governance.errors import EvidenceError
from governance.records.assessment import Assessment
from governance.records.drift_terms import KINDS, ReferenceKind
from governance.records.manifest import LARGEST_FOLDER, MOST_FILES
from governance.registry.recording import FOLDER, experiment, record_digest
from governance.registry.versions import (
    DIGEST,
    MISSING,
    ModelVersion,
    Room,
    of_run,
    refusals,
)

__all__ = ["RecordedKind", "Reference", "listed", "record_reference", "references"]

#: Kind of reference run, or `planted` for the test fault of the self-test.
RecordedKind = ReferenceKind | Literal["planted"]
RECORDED: tuple[RecordedKind, ...] = (*KINDS, "planted")

#: Of the registered model: `<run>=<digest of the record>`, separated by spaces.
LISTED = "governance.references"
#: Of a run: what it holds, and how it came about.
KIND, MODEL, RECIPE, SEED = (
    f"governance.{name}" for name in ("reference", "model", "recipe", "seed")
)
NUMBER = re.compile(r"[0-9]{1,18}")
ENTRY = re.compile(r"(?P<run>[0-9a-f]{32})=(?P<digest>sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A recorded reference run, before its record is read.

    Attributes:
        run_id: Id of the run that holds the record.
        digest: Digest of the record, as the registered model lists it.
        kind: Kind of the reference run.
        version: Number of the version for which it was made.
        recipe: Training function, such as `training:fit`, or the URI of the model.
        seed: Seed of the training; empty if unknown.
    """

    run_id: str
    digest: str
    kind: RecordedKind
    version: str
    recipe: str
    seed: str


def listed(name: str) -> tuple[Reference, ...]:
    """The reference runs of a registered model, in the order of their recording.

    Raises:
        EvidenceError: If one of them is gone, or is no reference run of this model.
        RegistryError: If MLflow cannot be asked.
    """
    with refusals(f"{name}: reading its references"):
        tags = MlflowClient().get_registered_model(name).tags
    entries = tags.get(LISTED, "").split()
    matches = [ENTRY.fullmatch(entry) for entry in entries]
    wrong = [entry for entry, match in zip(entries, matches, strict=True) if match is None]
    if wrong:
        raise EvidenceError(
            f"{name}: tag {LISTED} holds {wrong[0][:80]!r}; <run>=sha256:<hex> is accepted"
        )
    return tuple(_reference(name, match["run"], match["digest"]) for match in matches if match)


def _reference(name: str, run_id: str, digest: str) -> Reference:
    where = f"{name}: run {run_id}, named by its tag {LISTED},"
    with refusals(f"{where} looking it up"):
        try:
            run = MlflowClient().get_run(run_id)
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            raise EvidenceError(f"{where} is gone") from error
    tags = run.data.tags
    model, _, version = tags.get(MODEL, "").removeprefix("models:/").rpartition("/")
    kind: RecordedKind | None = next((item for item in RECORDED if item == tags.get(KIND)), None)
    if run.info.lifecycle_stage != "active" or model != name or kind is None:
        raise EvidenceError(f"{where} is deleted, or holds no reference of this model")
    return Reference(
        run_id=run_id,
        digest=digest,
        kind=kind,
        version=version,
        recipe=tags.get(RECIPE, ""),
        seed=tags.get(SEED, ""),
    )


def references(version: ModelVersion, kind: RecordedKind) -> tuple[Assessment, ...]:
    """Records of the reference runs of one kind with which a version's successors are compared.

    Fine-tuned runs, checkpoints and test faults belong to one version alone. Retrained runs belong
    to the training function. If none were made for this version, the latest ones of an earlier
    version are used.

    Raises:
        EvidenceError: If a record is not what its digest says.
        RegistryError: If MLflow cannot be asked.
    """
    ref = version.registered_as
    recorded = [item for item in listed(ref.name) if item.kind == kind]
    numbers = {int(item.version) for item in recorded if NUMBER.fullmatch(item.version)}
    earlier = [number for number in numbers if number <= int(ref.version)]
    number = max(earlier, default=None) if kind == "retrain" else int(ref.version)
    return tuple(_read(item) for item in recorded if item.version == str(number))


def _read(reference: Reference) -> Assessment:
    with TemporaryDirectory(prefix="governance-") as scratch:
        room = Room(MOST_FILES, LARGEST_FOLDER, EvidenceError)
        folder = of_run(reference.run_id, FOLDER, Path(scratch), room)
        if record_digest(folder) != reference.digest:
            raise EvidenceError(
                f"reference in run {reference.run_id}: its record has the digest "
                f"{record_digest(folder)} and the registered model lists {reference.digest}"
            )
        return Assessment.load(folder)


def record_reference(
    version: ModelVersion,
    assessment: Assessment,
    *,
    kind: RecordedKind,
    recipe: str,
    seed: str,
) -> Reference:
    """Record the assessment of a reference run, and list it with the registered model.

    Args:
        version: Registered version for which the reference run was made.
        assessment: Assessment of the reference run.
        kind: Kind of the reference run.
        recipe: Training function, or the URI of the model.
        seed: Seed of the training; empty if unknown.

    Raises:
        RegistryError: If the version is not registered, or MLflow refuses.
    """
    ref, client = version.registered_as, MlflowClient()
    digest = assessment.digest
    tags = {KIND: kind, MODEL: version.uri, RECIPE: recipe, SEED: seed, DIGEST: digest}
    with refusals(f"{version.uri}: recording a reference"), TemporaryDirectory() as scratch:
        folder = Path(scratch) / FOLDER
        assessment.save(folder)
        run = client.create_run(
            experiment(client, f"governance/{ref.name}"),
            run_name=f"{ref.name} version {ref.version}: {kind} {seed}".strip(),
            tags=tags,
        )
        client.log_artifacts(run.info.run_id, str(folder), FOLDER)
        client.set_terminated(run.info.run_id, "FINISHED")
        before = client.get_registered_model(ref.name).tags.get(LISTED, "")
        entries = f"{before} {run.info.run_id}={digest}".strip()
        client.set_registered_model_tag(ref.name, LISTED, entries)
    return Reference(
        run_id=run.info.run_id, digest=digest, kind=kind, version=ref.version, recipe=recipe,
        seed=seed,
    )  # fmt: skip

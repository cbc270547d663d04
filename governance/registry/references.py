"""References: harmless runs of a registered model, recorded once and found again.

Each is the assessment of a network that was trained as the version was, but for the seed. The
registered model's tag `governance.references` lists their runs with the digests of their records;
what it does not list, or what differs from its digest, is not a reference.
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
from governance.registry.recording import FOLDER, experiment, record_digest
from governance.registry.versions import (
    DIGEST,
    MISSING,
    ModelVersion,
    download,
    refusals,
)

__all__ = ["RecordedKind", "Reference", "listed", "record_reference", "references"]

#: A harmless run, or a fault planted on purpose for the self-test.
RecordedKind = ReferenceKind | Literal["planted"]
RECORDED: tuple[RecordedKind, ...] = (*KINDS, "planted")

#: Of the registered model: `<run>=<digest of the record>`, separated by spaces.
LISTED = "governance.references"
#: Of a run: what it holds, and how it came about.
KIND, MODEL, RECIPE, SEED = (
    f"governance.{name}" for name in ("reference", "model", "recipe", "seed")
)
ENTRY = re.compile(r"(?P<run>[0-9a-f]{32})=(?P<digest>sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A recorded reference, before its record is read.

    Attributes:
        run_id: Of the run that holds the record.
        digest: Of the record, as the registered model lists it.
        kind: How it came about.
        version: Number of the version that it was made for.
        recipe: What trained it, such as `training:fit`, or the URI of the model.
        seed: It was trained with; empty where not known.
    """

    run_id: str
    digest: str
    kind: RecordedKind
    version: str
    recipe: str
    seed: str


def listed(name: str) -> tuple[Reference, ...]:
    """The references of a registered model, in the order in which they were recorded.

    Raises:
        EvidenceError: If one of them is gone, or is no reference of this model.
        RegistryError: If MLflow cannot be asked.
    """
    with refusals(f"{name}: reading its references"):
        tags = MlflowClient().get_registered_model(name).tags
    entries = tags.get(LISTED, "").split()
    found = [ENTRY.fullmatch(entry) for entry in entries]
    wrong = [entry for entry, match in zip(entries, found, strict=True) if match is None]
    if wrong:
        raise EvidenceError(
            f"{name}: tag {LISTED} holds {wrong[0][:80]!r}; <run>=sha256:<hex> is accepted"
        )
    return tuple(_reference(name, match["run"], match["digest"]) for match in found if match)


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
    """The records of the references of one kind that a version's successors are held against.

    Runs trained on from a version, checkpoints of it and faults belong to that version alone. Runs
    trained anew belong to the recipe: where none were made for this version, those made last for
    an earlier one serve.

    Raises:
        EvidenceError: If a record is not what its digest says.
        RegistryError: If MLflow cannot be asked.
    """
    ref = version.registered_as
    recorded = [item for item in listed(ref.name) if item.kind == kind]
    numbers = {int(item.version) for item in recorded if item.version.isdigit()}
    earlier = [number for number in numbers if number <= int(ref.version)]
    number = max(earlier, default=None) if kind == "retrain" else int(ref.version)
    return tuple(_read(item) for item in recorded if item.version == str(number))


def _read(reference: Reference) -> Assessment:
    with TemporaryDirectory(prefix="governance-") as scratch:
        folder = download(f"runs:/{reference.run_id}/{FOLDER}", Path(scratch))
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
    """Keep the assessment of a reference as a run, and list it with the registered model.

    Args:
        version: Registered; the one that the reference was made for.
        assessment: Of the reference.
        kind: How it came about.
        recipe: What trained it.
        seed: It was trained with; empty where not known.

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

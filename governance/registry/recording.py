"""Recording: an assessment as a run in MLflow, and the tags and description of its version.

The verdict is the last thing written. If anything fails before, the run ends FAILED and the
version's tags and description are as they were.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    LoggedModelInput,
)
from mlflow.exceptions import MlflowException

from governance.approval import Signer, Statement, attestations
from governance.approval.signed_statements import payload_of
from governance.approval.signing_requests import Grounds
from governance.approval.tags import plain
from governance.errors import EvidenceError, RegistryError
from governance.records.assessment import RECORD, Assessment
from governance.records.bounded import digest_of
from governance.records.manifest import LARGEST_RECORD
from governance.records.manifest import MANIFEST as MANIFEST_FILE
from governance.registry.description import about_model, merged, summary
from governance.registry.run_page import begun, log_page
from governance.registry.signing import put_statement, verdict_of
from governance.registry.status import Marks, marks, put_back
from governance.registry.versions import (
    DIGEST,
    ModelVersion,
    refusals,
    registered,
)

__all__ = [
    "ATTESTATIONS",
    "FOLDER",
    "REPORT",
    "UNPRINTED",
    "VERDICT",
    "check_home",
    "experiment",
    "manifest_digest",
    "record",
    "record_digest",
]

#: Where in the run the assessment's folder lies, and beside it the statements about it.
FOLDER, ATTESTATIONS = "governance", "governance.intoto.jsonl"
REPORT = "report.pdf"
#: The signed verdict, as the assessor put it on the version.
VERDICT = "governance.verdict.json"

DIGEST_LENGTH = 36  # of a dataset, in MLflow
TITLE_LENGTH = 200
TAG_LENGTH = 4000
#: Tag of a run whose reports could not be printed, and why.
UNPRINTED = "governance.unprinted"


def record(
    version: ModelVersion,
    assessment: Assessment,
    folder: Path,
    *,
    key: Signer | None = None,
    policy_fixed: int | None = None,
    unprinted: str | None = None,
) -> str:
    """Keep an assessment in MLflow as a new run, and give its verdict to the version.

    Args:
        version: Registered version that was assessed.
        assessment: Assessment with its verdict.
        folder: Folder with the saved assessment, reports included.
        key: Assessor's key that signs the verdict; a governed registry accepts only signed ones.
        policy_fixed: When the policy had been read, before anything was measured under it, in
            seconds since 1970; now if not given.
        unprinted: Reason why the folder holds no reports; kept as a tag of the run.

    Returns:
        The id of the run, in the experiment `governance/<name>`.

    Raises:
        EvidenceError: If the folder does not hold this assessment of this version.
        RegistryError: If the version is not registered, or MLflow, the network or the disk refuses.
    """
    ref = version.ref
    if ref is None:
        raise RegistryError(f"{version.uri}: not registered; only registered versions are recorded")
    _check(version, assessment, folder)
    client = MlflowClient()
    with refusals(f"{version.uri}: recording"):
        before = marks(version)
        run = client.create_run(
            experiment(client, f"governance/{ref.name}"),
            start_time=begun(assessment),
            run_name=f"{ref.name} version {ref.version}: {assessment.decision.verdict}",
            tags=_run_tags(version, assessment, folder)
            | ({UNPRINTED: unprinted[:TAG_LENGTH]} if unprinted else {}),
        )
    try:
        with refusals(f"{version.uri}: recording in run {run.info.run_id}"):
            _log(client, run.info.run_id, version, assessment)
            client.log_artifacts(run.info.run_id, str(folder), FOLDER)
            verdict = verdict_of(
                version, assessment, run_id=run.info.run_id, record=record_digest(folder),
                manifest=manifest_digest(folder), policy_fixed=policy_fixed, now=time.time(),
            )  # fmt: skip
            if key is not None:
                key = key.on(grounds := grounds_of(folder))
                beside = replace(grounds, verdict=payload_of(verdict).decode())
                lines = attestations.signed(assessment, verdict, key.on(beside))
                client.log_text(run.info.run_id, lines, ATTESTATIONS)
            _publish(client, run.info, version, assessment, folder)
            _give(version, verdict, key, partial(_keep, client, run.info.run_id))
    except BaseException as error:
        _undo(client, run.info.run_id, version, before, error)
        raise
    return str(run.info.run_id)


def check_home(version: ModelVersion) -> None:
    """See that the experiment of a version's records can take one, before hours of measuring.

    Raises:
        RegistryError: If the version is not registered, or its experiment was deleted.
    """
    with refusals(f"{version.uri}: looking up the experiment of its records"):
        experiment(MlflowClient(), f"governance/{version.registered_as.name}")


def grounds_of(folder: Path) -> Grounds:
    """What a verdict must follow from: the texts of a saved assessment that it rests on."""
    return Grounds(
        record=(folder / RECORD).read_text(encoding="utf-8"),
        manifest=(folder / MANIFEST_FILE).read_text(encoding="utf-8"),
    )


def record_digest(folder: Path) -> str:
    """sha256 of `assessment.json` as it lies in a folder: the digest of the assessment.

    Raises:
        EvidenceError: If there is none, or it is larger than a record.
    """
    return _digest(folder / RECORD)


def manifest_digest(folder: Path) -> str:
    """sha256 of the list of files of a saved assessment.

    Raises:
        EvidenceError: If there is none, or it is larger than one.
    """
    return _digest(folder / MANIFEST_FILE)


def _digest(path: Path) -> str:
    if not path.is_file():
        raise EvidenceError(f"{path.parent}: no {path.name}, so this is no record")
    return f"sha256:{digest_of(path, LARGEST_RECORD, EvidenceError)}"


def _check(version: ModelVersion, assessment: Assessment, folder: Path) -> None:
    problems = [f"{folder}: {difference}" for difference in Assessment.verify(folder)]
    if not problems and record_digest(folder) != assessment.digest:
        problems.append(f"{folder}: holds another assessment than the one to be recorded")
    identity = assessment.identity
    if version.registered_as.differences(identity.ref):
        problems.append(f"{folder}: is about {identity.uri} and not about {version.uri}")
    if problems:
        raise EvidenceError(problems)


def experiment(client: MlflowClient, name: str) -> str:
    """The id of an experiment, which is created if there is none of that name.

    Raises:
        MlflowException: If MLflow refuses.
        RegistryError: If the experiment was deleted.
    """
    existing = client.get_experiment_by_name(name)
    if existing is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            # Another assessment of this model made it in the meantime.
            existing = client.get_experiment_by_name(name)
    if existing.lifecycle_stage == LifecycleStage.DELETED:
        number = existing.experiment_id
        raise RegistryError(
            f"the experiment {name!r} was deleted, so nothing can be recorded in it; restore it "
            f"with: mlflow experiments restore --experiment-id {number}"
        )
    return str(existing.experiment_id)


def _run_tags(version: ModelVersion, assessment: Assessment, folder: Path) -> dict[str, str]:
    return {
        "governance.model": version.uri,
        "governance.verdict": assessment.decision.verdict,
        "governance.model_digest": assessment.identity.digest,
        "governance.validation_digest": assessment.validation.digest,
        "governance.policy_digest": assessment.policy.digest,
        DIGEST: record_digest(folder),
    }


def _log(client: MlflowClient, run_id: str, version: ModelVersion, assessment: Assessment) -> None:
    dataset = _dataset(assessment)
    context = InputTag("mlflow.data.context", "validation")
    models = [LoggedModelInput(version.model_id)] if version.model_id else None
    client.log_inputs(run_id, [DatasetInput(dataset, [context])], models)
    about = {
        "timestamp": int(assessment.moment.timestamp() * 1000),
        "step": 0,
        "model_id": version.model_id,
        "dataset_name": dataset.name,
        "dataset_digest": dataset.digest,
        "run_id": run_id,
    }
    log_page(client, run_id, assessment, about)


def _dataset(assessment: Assessment) -> Dataset:
    validation = assessment.validation
    return Dataset(
        name=f"validation of {assessment.policy.title}"[:TITLE_LENGTH],
        digest=validation.digest.removeprefix("sha256:")[:DIGEST_LENGTH],
        source_type="governance",
        source=json.dumps({"uri": validation.location}),
        profile=json.dumps({"images": validation.images, "digest": validation.digest}),
    )


def _publish(
    client: MlflowClient, run: Any, version: ModelVersion, assessment: Assessment, folder: Path
) -> None:
    place = f"#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/{FOLDER}"
    report = REPORT if (folder / REPORT).is_file() else RECORD
    text = merged(registered(version).description or "", summary(assessment, f"{place}/{report}"))
    ref = version.registered_as
    client.update_model_version(ref.name, ref.version, text)
    model = client.get_registered_model(ref.name).description or ""
    if (text := merged(model, about_model(ref, assessment))) != model:
        client.update_registered_model(ref.name, text)
    client.set_terminated(run.run_id, "FINISHED", int(assessment.moment.timestamp() * 1000))


def _keep(client: MlflowClient, run_id: str, token: str) -> None:
    client.log_text(run_id, token, VERDICT)


def _give(
    version: ModelVersion, statement: Statement, key: Signer | None, keep: Callable[[str], None]
) -> None:
    """Give the version its verdict: signed where there is a key, in plain where that is taken."""
    tags = plain(statement)
    if key is not None:
        # Nothing but tags may fail once a governed registry has taken the verdict.
        given = put_statement(version, statement, key, before=keep)
        if given.items() >= tags.items():
            return  # a governed registry set the plain ones from what was signed
    client, ref = MlflowClient(), version.registered_as
    for name, value in tags.items():
        client.set_model_version_tag(ref.name, ref.version, name, value)


def _undo(
    client: MlflowClient,
    run_id: str,
    version: ModelVersion,
    before: Marks,
    error: BaseException,
) -> None:
    """End the run as FAILED and put the marks back, each as far as MLflow still answers."""
    steps: dict[str, Callable[[], object]] = {
        f"run {run_id} could not be ended": lambda: client.set_terminated(run_id, "FAILED"),
        "tags and description could not be put back": lambda: put_back(version, before),
    }
    for what, step in steps.items():
        try:
            step()
        except (MlflowException, RegistryError, OSError) as second:
            error.add_note(f"{what}: {second}")

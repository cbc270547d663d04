"""Passing: whether a version may be used, asked of the very files that would be used.

Between a check of a model in the registry and its use someone may change it there. So its files are
fetched once, into a folder of one's own; the record is held against them there, and that folder is
what is loaded or handed over.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mlflow import MlflowClient
from torch import nn

from governance.approval import Keyring, Statement
from governance.errors import EvidenceError
from governance.records.assessment import Assessment
from governance.records.policy import EXIT_CODES, Verdict
from governance.registry.approvals import disagreements, statement_on
from governance.registry.materials import model_folder
from governance.registry.verifying import awaited, fetch, mismatches
from governance.registry.versions import ModelVersion, refusals, registered, resolve
from governance.subject import model_files

__all__ = ["Answer", "ask", "load_model", "promote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the gate says about a version.

    Attributes:
        version: The one asked about, pinned.
        verdict: Under which it passes only if that is `approved`; `undetermined` where none stands.
        reasons: Why it may not pass, one sentence each; empty where it may.
        assessment: As recorded; None where the version has none yet.
        model: Its files, the very ones that were checked; None where it has no assessment.
        statement: The signed one that it passes by; None where no signature was asked for.
    """

    version: ModelVersion
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    assessment: Assessment | None = None
    model: Path | None = None
    statement: Statement | None = None

    @property
    def exit_code(self) -> int:
        """What a command says of it."""
        return EXIT_CODES[self.verdict]


def ask(uri: str, workspace: Path, *, keys: Path | None = None, now: float | None = None) -> Answer:
    """Whether a version may be used.

    Args:
        uri: `models:/name/version` or `models:/name@alias`.
        workspace: A folder of the caller's own, where the record and the model's files are put.
        keys: Ring of public keys. With one, a version passes only by a signed statement that is in
            order, has not expired and is about this version, these files and this record; without
            one, no signature is looked at.
        now: Seconds since 1970; of the clock if not given.

    Raises:
        SubjectError: If there is no such version, or it is not registered.
        EvidenceError: If its record does not fit itself, its tags or the model's files.
        ApprovalError: If its signed statement is forged, about something else, or the ring cannot
            be read.
        RegistryError: If MLflow refuses.
    """
    ring = None if keys is None else Keyring.load(keys)
    version = resolve(uri)
    said: Statement | None = None
    why: tuple[str, ...] = ()
    if ring is not None:
        said, why = statement_on(version, ring, time.time() if now is None else now)
    if said is not None and said.kind == "revocation":
        told = f"{version.uri}: its approval was revoked: {said.detail}"
        return Answer(version=version, verdict="rejected", reasons=(told,), statement=said)
    pending = awaited(version)
    if said is not None and said.verdict == "undetermined" and said.run_id is None:
        pending = f"{version.uri}: could not be assessed: {said.detail}"
    if pending is not None:
        return Answer(version=version, verdict="undetermined", reasons=(pending,), statement=said)
    folder = fetch(version, workspace / "record")
    model = model_folder(version, workspace / "model")
    wrong = mismatches(version, folder, model)
    if wrong:
        raise EvidenceError(wrong)
    assessment = Assessment.load(folder)
    if said is not None and (wrong := tuple(disagreements(version, said, assessment, folder))):
        raise EvidenceError(wrong)
    verdict = assessment.decision.verdict
    return Answer(
        version=version,
        verdict="undetermined" if why and verdict == "approved" else verdict,
        reasons=(*_reasons(version, assessment), *why),
        assessment=assessment,
        model=model,
        statement=said,
    )


def _reasons(version: ModelVersion, assessment: Assessment) -> tuple[str, ...]:
    """Why a verdict is not `approved`, from the findings that made it so."""
    verdict = assessment.decision.verdict
    if verdict == "approved":
        return ()
    failed = [
        f"{version.uri}: {item.expectation.metric} {item.expectation.bound}: {item.outcome}; "
        f"{item.reason}"
        for item in assessment.decision.findings
        if item.outcome in {"unmet", "missing"} and item.expectation.severity != "warn"
    ]
    return (f"{version.uri}: its verdict is {verdict}", *failed)


def promote(answer: Answer, alias: str) -> None:
    """Give an alias to the version that passed.

    Raises:
        EvidenceError: If it did not pass.
        RegistryError: If it was deleted and created anew since, or MLflow or its server refuses.
    """
    _passed(answer)
    version, ref = answer.version, answer.version.registered_as
    with refusals(f"{version.uri}: setting the alias {alias!r}"):
        registered(version)
        MlflowClient().set_registered_model_alias(ref.name, alias, ref.version)


def load_model(uri: str, *, keys: Path | str | None = None) -> nn.Module:
    """The model at `uri`, if it passes the gate, from the files that were checked.

    A pickled model is loaded only where the policy it was approved under allows that.

    Args:
        uri: `models:/name/version` or `models:/name@alias`.
        keys: Ring of public keys; without one, no signature is looked at.

    Returns:
        On the CPU in evaluation mode; maps (B, C, H, W) float32 to (B, K).

    Raises:
        EvidenceError: If it does not pass; says why.
        SubjectError: If there is no such version, or it cannot be loaded.
        RegistryError: If MLflow refuses.
    """
    with TemporaryDirectory(prefix="governance-") as scratch:
        answer = ask(uri, Path(scratch), keys=None if keys is None else Path(keys))
        assessment, model = _passed(answer)
        loaded = model_files.load(
            model_files.read(model),
            allow_pickle=assessment.policy.model.allow_pickle,
            device=torch.device("cpu"),
        )
        if loaded.digest != assessment.identity.digest:
            raise EvidenceError(
                f"{answer.version.uri}: its tensors have the digest {loaded.digest} and those "
                f"assessed had {assessment.identity.digest}"
            )
    return loaded.model


def _passed(answer: Answer) -> tuple[Assessment, Path]:
    """The assessment and the files of a version that passed."""
    if answer.reasons or answer.assessment is None or answer.model is None:
        raise EvidenceError(answer.reasons or f"{answer.version.uri}: was not checked")
    return answer.assessment, answer.model

"""Gate: whether a version may be used, checked on the very files that would be used.

Someone may change a model in the registry between its check and its use. Its files are therefore
fetched once, into a folder of the caller. The record is checked against these files, and these
files are loaded or handed over.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlflow import MlflowClient

from governance.approval import Keyring, Statement, load_ring
from governance.approval.standing import Standing
from governance.errors import ApprovalError, EvidenceError, SubjectError
from governance.records.assessment import Assessment
from governance.records.decision import EXIT_CODES, Verdict
from governance.registry.approvals import disagreements, standing_of
from governance.registry.materials import model_folder, signature_beside
from governance.registry.verifying import awaited, check_model, fetch, held
from governance.registry.versions import ModelVersion, refusals, registered, resolve
from governance.subject import model_files

if TYPE_CHECKING:
    from torch import nn

__all__ = ["GateAnswer", "ask", "load_model", "promote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """The answer of the gate about a version.

    Attributes:
        version: The version, pinned.
        verdict: Verdict of the gate; the version passes only if it is `approved`.
        reasons: Why the version does not pass, one sentence each; empty where it passes.
        doubts: Those of the reasons that are about the signature of the record.
        assessment: The recorded assessment; None where the version has none yet.
        model: Folder of the model files that were checked; None without an assessment.
        statement: The signed statement that counts; None where no signature was asked for.
        signed_by: Ids of the keys that signed it and count.
    """

    version: ModelVersion
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    assessment: Assessment | None = None
    model: Path | None = None
    statement: Statement | None = None
    signed_by: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Exit code of a command that gives this answer."""
        return EXIT_CODES[self.verdict]


def ask(
    uri: str, workspace: Path, *, keys: Path | None = None, now: float | None = None
) -> GateAnswer:
    """Whether a version may be used.

    Args:
        uri: `models:/name/version` or `models:/name@alias`.
        workspace: Folder of the caller, which receives the record and the model's files.
        keys: Keyring of public keys. With one, a version passes only by a signed statement that
            counts and is about this version, these files and this record. Without one, no
            signature is checked.
        now: Seconds since 1970; the time of the clock if not given.

    Raises:
        SubjectError: If there is no such version, or it is not registered.
        EvidenceError: If its record does not fit itself, its tags or the model's files.
        ApprovalError: If its signed statement is forged, about something else, or the ring cannot
            be read.
        RegistryError: If MLflow refuses.
    """
    ring = None if keys is None else load_ring(keys)
    version = resolve(uri, "" if ring is None else ring.registry)
    statement: Statement | None = None
    signed_by: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    if ring is not None:
        found, doubts = _statement(version, ring, time.time() if now is None else now)
        statement = found.statement if found.counts else None
        signed_by = tuple(key.id for key in found.signers) if found.counts else ()
    if statement is not None and statement.kind == "revocation":
        reason = f"{version.uri}: its approval was revoked: {statement.detail}"
        return GateAnswer(
            version=version, verdict="rejected", reasons=(reason,), statement=statement,
            signed_by=signed_by,
        )  # fmt: skip
    pending = awaited(version)
    if statement is not None and statement.verdict == "undetermined" and statement.run_id is None:
        pending = f"{version.uri}: could not be assessed: {statement.detail}"
    if pending is not None:
        return GateAnswer(
            version=version, verdict="undetermined", reasons=(pending,), statement=statement,
            signed_by=signed_by,
        )  # fmt: skip
    folder = fetch(version, workspace / "record")
    assessment = held(version, folder)
    if statement and (wrong := tuple(disagreements(version, statement, assessment, folder))):
        raise EvidenceError(wrong)
    model = model_folder(version, workspace / "model")
    signature_beside(model, ring)
    check_model(version, assessment, model)
    verdict = assessment.decision.verdict
    return GateAnswer(
        version=version,
        verdict="undetermined" if doubts and verdict == "approved" else verdict,
        reasons=(*_reasons(version, assessment), *doubts),
        doubts=doubts, assessment=assessment, model=model, statement=statement, signed_by=signed_by,
    )  # fmt: skip


def _statement(
    version: ModelVersion, ring: Keyring, now: float
) -> tuple[Standing, tuple[str, ...]]:
    """The signed statement on a version, and why it does not count.

    Raises:
        ApprovalError: If there is one and it is forged, malformed or about another version.
    """
    answer = standing_of(version, ring, now)
    problems = tuple(f"{version.uri}: {problem}" for problem in answer.problems)
    if answer.doubtful("invalid"):
        raise ApprovalError(problems)
    if answer.counts:
        return answer, ()
    first, *others = problems
    cure = "assess it again, or let a worker that holds a key do it: governance sweep"
    return answer, (f"{first}; {cure}", *others)


def _reasons(version: ModelVersion, assessment: Assessment) -> tuple[str, ...]:
    """Why a verdict is not `approved`, from the findings that made it so."""
    verdict = assessment.decision.verdict
    if verdict == "approved":
        return ()
    failed = [
        f"{version.uri}: {item.expectation.metric} {item.expectation.bound}: {item.outcome}; "
        f"{item.reason}"
        for item in assessment.decision.findings
        if item.outcome in {"unmet", "missing"} and item.expectation.decides
    ]
    return (f"{version.uri}: its verdict is {verdict}", *failed)


def promote(answer: GateAnswer, alias: str) -> None:
    """Set an alias on a version that passed.

    Raises:
        EvidenceError: If it did not pass.
        RegistryError: If it was deleted and created anew since, or MLflow or its server refuses.
    """
    _passed(answer)
    version, ref = answer.version, answer.version.registered_as
    with refusals(f"{version.uri}: setting the alias {alias!r}"):
        registered(version)
        MlflowClient().set_registered_model_alias(ref.name, alias, ref.version)


def load_model(uri: str, *, keys: Path | str | None = None) -> "nn.Module":
    """The model at `uri`, if it passes the gate, from the files that were checked.

    A pickled model is loaded only where the policy it was approved under allows that.

    Args:
        uri: `models:/name/version` or `models:/name@alias`.
        keys: Keyring of public keys; without one, no signature is checked.

    Returns:
        On the CPU in evaluation mode; maps (B, C, H, W) float32 to (B, K).

    Raises:
        EvidenceError: If it does not pass; says why.
        SubjectError: If there is no such version, or it cannot be loaded.
        RegistryError: If MLflow refuses.
    """
    import torch

    from governance.subject import flavours

    with TemporaryDirectory(prefix="governance-") as scratch:
        answer = ask(uri, Path(scratch), keys=None if keys is None else Path(keys))
        assessment, model = _passed(answer)
        cpu = torch.device("cpu")
        loaded = flavours.load(model_files.read(model), assessment.policy.model, cpu)
        if loaded.digest != assessment.identity.digest:
            raise EvidenceError(
                f"{answer.version.uri}: its tensors have the digest {loaded.digest} and those "
                f"assessed had {assessment.identity.digest}"
            )
        if loaded.module is None:
            raise SubjectError(
                f"{answer.version.uri}: holds no torch module but {assessment.identity.format}; "
                "governance.registry.ask hands over the folder that was checked"
            )
    return loaded.module


def _passed(answer: GateAnswer) -> tuple[Assessment, Path]:
    """The assessment and the files of a version that passed."""
    if answer.reasons or answer.assessment is None or answer.model is None:
        raise EvidenceError(answer.reasons or f"{answer.version.uri}: was not checked")
    return answer.assessment, answer.model

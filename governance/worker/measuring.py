"""Measuring: a version assessed in a confined process, and the result checked.

The process ran a stranger's model. What it hands back counts only if it is about this version,
these files, this policy and these analyses.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from governance import registry
from governance.approval import Keyring
from governance.errors import EvidenceError, GovernanceError, HostError, SubjectError
from governance.records.assessment import Assessment
from governance.records.policy import DRIFT, Policy
from governance.registry.materials import gather, signature_beside
from governance.registry.versions import ModelVersion
from governance.subject import model_files
from governance.worker import sandbox, serving
from governance.worker.config import WorkerConfig
from governance.worker.handover import as_said
from governance.worker.host import check_host
from governance.worker.log import log
from governance.worker.request import Request
from governance.workflows import orchestration
from governance.workflows.assessing import signed_by

__all__ = ["FailedAttemptError", "InterruptedAttemptError", "measure_confined"]

LOGGED = 4000  # characters of what a process wrote that the worker's log takes


class FailedAttemptError(GovernanceError):
    """An attempt failed, and another one may succeed."""


class InterruptedAttemptError(GovernanceError):
    """The worker was told to end, or its lease is gone."""


def measure_confined(
    version: ModelVersion,
    policy: Policy,
    config: WorkerConfig,
    folder: Path,
    *,
    ring: Keyring,
    interrupted: Callable[[], bool],
) -> Assessment:
    """Assess a version in a confined process, and check the result against what was asked for.

    Args:
        version: Registered version, as resolved.
        policy: Policy as read.
        config: Limits of the process.
        folder: New folder for the version's files and the result.
        ring: Whose signatures on models count.
        interrupted: Asked while the process runs; it is killed once the answer is yes.

    Raises:
        InterruptedAttemptError: If the process was killed for that reason.
        FailedAttemptError: If the process failed; another attempt may succeed.
        SubjectError: If model, images or policy were refused; another attempt would be refused too.
        EvidenceError: If the result is damaged or about something else.
        HostError: If this machine could not run the process, or its fault may have spoilt evidence.
        RegistryError: If something cannot be downloaded.
    """
    if policy.model.allow_pickle and (gaps := sandbox.confinement().gaps):
        raise HostError(["allow_pickle: this machine cannot shut a pickle in; open is:", *gaps])
    folder.mkdir()
    materials = gather(version, policy, folder)
    # Before any code of theirs runs that could change the files.
    digest = model_files.artifact_digest(Path(materials.model))
    signature = signature_beside(Path(materials.model), ring)
    request = Request(
        materials=materials,
        policy=policy,
        lineage=registry.lineage(version, policy),
        device=config.device,
    )
    with serving.asking(materials, policy, _premises(version, config)) as ask:
        process = sandbox.run(request, folder, config, interrupted=interrupted, ask=ask)
    if process.output:
        log("output", version=str(version.ref), output=process.output[-LOGGED:])
    if process.kind == "interrupted":
        raise InterruptedAttemptError(process.error)
    if process.kind == "refused":
        raise SubjectError(process.error)
    if process.kind == "failed":
        raise FailedAttemptError(f"the assessment {process.error}")
    assessment = _loaded(folder / "assessment")
    if wrong := tuple(_contradictions(assessment, request, digest)):
        raise EvidenceError(wrong)
    if any(item.failure is not None for item in assessment.evidence):
        check_host(config)  # a full disk or a lost GPU is no evidence about a model
    return signed_by(assessment, signature)


def _premises(version: ModelVersion, config: WorkerConfig) -> serving.Premises:
    """Where the scoring server of a version is started, and which others may be asked."""
    rule = None if version.ref is None else config.rule(version.ref.name)
    return serving.Premises(
        python=None if rule is None else rule.server_python,
        memory_gib=config.memory_gib,
        listed=config.scoring_servers,
    )


def _loaded(result: Path) -> Assessment:
    """The assessment that was handed back; what is wrong with it, in words fit to be published."""
    try:
        return Assessment.load(result)
    except EvidenceError as error:
        problems = (problem.replace(f"{result}", "assessment") for problem in error.problems)
        raise EvidenceError(as_said(problems, source="the result was refused")) from error


def _contradictions(assessment: Assessment, request: Request, digest: str) -> Iterator[str]:
    """How an assessment is not the one that was asked for: the process ran a stranger's model."""
    identity, policy = assessment.identity, request.policy
    version = request.materials.version
    other = tuple(
        name
        for name in ("uri", "model_id", "run_id")
        if getattr(identity, name) != getattr(version, name)
    )
    for what in (*other, *version.registered_as.differences(identity.ref)):
        yield f"{version.uri}: the assessment is about another {what}"
    if identity.signature is not None:
        yield f"{version.uri}: the assessment names a signer, which the process cannot know"
    if identity.artifact_digest != digest:
        yield f"{version.uri}: the assessment is about files with another digest"
    if assessment.policy != orchestration.judged_by(policy):
        yield f"{version.uri}: the assessment was made under another policy"
    ran = [item.analysis for item in assessment.evidence]
    # Where the record to compare with is damaged, the assessment says so whatever was asked.
    compared = policy.drift is not None or request.lineage.unknown is not None
    asked = [*orchestration.build(policy), *((DRIFT,) if compared else ())]
    if ran != asked:
        yield f"{version.uri}: the assessment holds other analyses than {asked}"

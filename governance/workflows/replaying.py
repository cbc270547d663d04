"""Replaying: a part of an assessment measured again, and held against the record.

The unit is an analysis: its draws of images and regions follow from one seed, so that a part of one
cannot be made again by itself. The auditor's own seed picks the analyses, after the record was
made.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from governance import analyses, registry
from governance.errors import AnalysisError, EvidenceError, PolicyError
from governance.records.assessment import Assessment
from governance.records.evidence import Evidence
from governance.records.policy import DRIFT
from governance.records.reproduction import differences, stack_differences
from governance.registry.materials import gather
from governance.registry.opening import open_materials
from governance.subject.subject import Subject
from governance.workflows.environment import environment
from governance.workflows.orchestration import measured_again
from governance.workflows.progress import Progress, metered, silent

__all__ = ["Part", "Replay", "replay", "replay_model", "sampled"]

#: What is not measured on the model and its images, and therefore not measured again.
ELSEWHERE = {
    DRIFT: "compares the record with those of other versions",
    "learning_process": "sums up what the training run logged",
}
#: Entry of an environment with the version of this program.
OWN = "mlflow-governance"

Outcome = Literal["reproduced", "differs", "untold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One analysis, made again.

    Attributes:
        analysis: Name of the analysis.
        outcome: `reproduced`; `differs`, where the record is not what this model gives on these
            images; or `untold`, where nothing follows.
        reasons: What differs, or why nothing can be told; empty where it was reproduced.
    """

    analysis: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The analyses that a seed picked, made again.

    Attributes:
        parts: What came of each.
        of: Number of analyses that could have been picked.
        left_out: Why the others could not, by analysis.
        stack: Where this machine differs from the one on record, as (recorded, here) by name;
            empty where the bits were compared.
    """

    parts: tuple[Part, ...]
    of: int
    left_out: Mapping[str, str]
    stack: Mapping[str, tuple[str, str]]

    @property
    def outcome(self) -> Outcome:
        """What follows from all parts: one that differs outweighs one that tells nothing."""
        outcomes = {part.outcome for part in self.parts} or {"untold"}
        ranked: tuple[Outcome, ...] = ("differs", "untold", "reproduced")
        return next(outcome for outcome in ranked if outcome in outcomes)


def replay_model(
    assessment: Assessment,
    *,
    share: float,
    seed: int,
    model: str | None = None,
    images: str | None = None,
    device: str = "auto",
    allow_pickle: bool = False,
    progress: Progress = silent,
) -> Replay:
    """Fetch the model and the images that a record is about, and make a part of it again.

    Args:
        assessment: As recorded, untrusted.
        share: Share of the analyses to make again, above 0 and at most 1; at least one is.
        seed: Picks the analyses.
        model: Address or folder of the model; the one on record if not given.
        images: Path or address of the validation images; the one on record if not given.
        device: `auto`, `cpu` or `cuda`.
        allow_pickle: Whether a pickled model may be loaded, whatever the recorded policy says.
        progress: Called as each analysis begins.

    Raises:
        EvidenceError: If the record is about another model or other images than these.
        SubjectError: If model and images cannot be opened.
        RegistryError: If something cannot be downloaded.
    """
    policy = assessment.policy
    terms = replace(policy.model, allow_pickle=allow_pickle)
    policy = replace(policy, model=terms, validation=images or policy.validation)
    version = registry.resolve(model or assessment.identity.uri)
    with TemporaryDirectory(prefix="governance-") as scratch:
        subject = open_materials(gather(version, policy, Path(scratch)), policy, device=device)
        return replay(assessment, subject, share=share, seed=seed, progress=progress)


def replay(
    assessment: Assessment,
    subject: Subject,
    *,
    share: float,
    seed: int,
    progress: Progress = silent,
) -> Replay:
    """Make a part of an assessment again on an opened model, and compare.

    Bit for bit on the stack that the record was made on; else the metrics, within the tolerance
    that each declares.

    Args:
        assessment: As recorded.
        subject: The model with its images.
        share: Share of the analyses to make again.
        seed: Picks the analyses.
        progress: Called as each analysis begins.

    Raises:
        EvidenceError: If the record is about another model or other images.
    """
    _check_same(assessment, subject)
    left_out = _left_out(assessment)
    names = tuple(item.analysis for item in assessment.evidence if item.analysis not in left_out)
    chosen = sampled(names, assessment.digest, share=share, seed=seed)
    stack = stack_differences(assessment.environment, environment(subject.device))
    parts = []
    for index, name in enumerate(chosen):
        (recorded,) = (item for item in assessment.evidence if item.analysis == name)
        with metered(progress, name, index, len(chosen), subject.meter):
            parts.append(_part(assessment, subject, recorded, stack))
    return Replay(parts=tuple(parts), of=len(names), left_out=left_out, stack=stack)


def sampled(names: tuple[str, ...], digest: str, *, share: float, seed: int) -> tuple[str, ...]:
    """The analyses that a seed picks from a record: a share of them, rounded up, in its order.

    Whoever made the record cannot know them without the seed. Everyone who has it can find them
    again: the analyses with the smallest sha256 of `<seed> <digest of the record> <analysis>`.
    """
    ranked = sorted(
        names, key=lambda name: hashlib.sha256(f"{seed} {digest} {name}".encode()).hexdigest()
    )
    kept = set(ranked[: math.ceil(share * len(ranked))])
    return tuple(name for name in names if name in kept)


def _check_same(assessment: Assessment, subject: Subject) -> None:
    """Refuse to compare a record with another model or other images."""
    recorded, here = assessment.identity, subject.identity
    images = (assessment.validation.digest, subject.validation.identity.digest)
    pairs = {
        "the model's tensors have": (recorded.digest, here.digest),
        "the model's files have": (recorded.artifact_digest, here.artifact_digest),
        "the validation images have": images,
    }
    if problems := [
        f"{here.uri}: {what} the digest {pair[1]} and those on record {pair[0]}"
        for what, pair in pairs.items()
        if pair[0] != pair[1]
    ]:
        raise EvidenceError(problems)


def _left_out(assessment: Assessment) -> dict[str, str]:
    """The analyses of a record that cannot be made again from model and images, and why."""
    unrun = {
        item.analysis: item.failure.message
        for item in assessment.evidence
        if item.failure is not None and item.failure.kind == "not run"
    }
    present = {item.analysis for item in assessment.evidence}
    return unrun | {name: why for name, why in ELSEWHERE.items() if name in present}


def _part(
    assessment: Assessment,
    subject: Subject,
    recorded: Evidence,
    stack: Mapping[str, tuple[str, str]],
) -> Part:
    name = recorded.analysis
    try:
        again = measured_again(subject, assessment.policy, recorded)
    except (PolicyError, AnalysisError) as error:
        return Part(analysis=name, outcome="untold", reasons=error.problems)
    found = differences(recorded, again, analyses.metrics(name) if stack else None)
    if not found:
        return Part(analysis=name, outcome="reproduced")
    if again.failure is not None and recorded.failure is None:
        # Less memory than on record, say, which tells nothing about the record.
        why = f"{name} failed here: {again.failure.message}"
        return Part(analysis=name, outcome="untold", reasons=(*found, why))
    if OWN not in stack:
        return Part(analysis=name, outcome="differs", reasons=found)
    made, here = stack[OWN]
    why = f"the record was made by {OWN} {made} and this is {here}; install {made} to tell"
    return Part(analysis=name, outcome="untold", reasons=(*found, why))

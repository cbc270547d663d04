"""Approvals: the signed statement on a version, read with a ring and held against its record."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from governance.approval import Keyring, Statement, decode, read, unbound
from governance.approval.tags import APPROVAL, RUN
from governance.errors import ApprovalError, SubjectError
from governance.records.assessment import Assessment
from governance.registry.recording import manifest_digest, record_digest
from governance.registry.signing import about, waivers
from governance.registry.versions import ModelVersion, refusals, registered

__all__ = ["disagreements", "statement_on"]


def statement_on(
    version: ModelVersion,
    ring: Keyring,
    now: float,
    tags: Mapping[str, str] | None = None,
) -> tuple[Statement | None, tuple[str, ...]]:
    """The signed statement on a version that can be relied on now, or why none stands.

    Args:
        version: Registered.
        ring: Whose signatures count.
        now: Seconds since 1970.
        tags: Of the version, where they were read already.

    Returns:
        The statement, or None; and what stands in the way: there is none, it expired, or a waiver
        that it rests on did.

    Raises:
        SubjectError: If the version is not registered.
        ApprovalError: If there is a statement and it is forged, malformed, signed with a key that
            does not count, or about another version.
        RegistryError: If MLflow cannot be asked.
    """
    if version.ref is None:
        raise SubjectError(f"{version.uri}: not registered, so it carries no signed statement")
    if tags is None:
        with refusals(f"{version.uri}: reading its approval"):
            tags = registered(version).tags
    if APPROVAL not in tags:
        cure = "a worker that holds a key makes one: governance sweep"
        return None, (f"{version.uri}: carries no signed statement (tag {APPROVAL}); {cure}",)
    try:
        said = _read(tags[APPROVAL], ring, now)
        wrong = unbound(said, **about(version))
    except ApprovalError as error:
        raise ApprovalError(f"{version.uri}: {problem}" for problem in error.problems) from error
    if wrong:
        raise ApprovalError(f"{version.uri}: {problem}" for problem in wrong)
    if said.expires <= now:
        ended = datetime.fromtimestamp(said.expires, UTC).isoformat()
        return None, (f"{version.uri}: its signed statement expired at {ended}; assess it again",)
    standing, problems = waivers(version, ring, now) if said.waivers else ((), ())
    lost = len(set(said.waivers) - {waiver.token for waiver in standing})
    if lost:
        told = f"its approval rests on {lost} waivers that do not stand any more; assess it again"
        return None, tuple(f"{version.uri}: {why}" for why in (told, *problems))
    return said, ()


def _read(token: str, ring: Keyring, now: float) -> Statement:
    """A statement that is in order in all but, perhaps, that it expired."""
    try:
        return read(token, ring, now)
    except ApprovalError:
        said = decode(token)
        if said.expires > now:
            raise
        return read(token, ring, said.expires - 1)


def disagreements(
    version: ModelVersion, said: Statement, assessment: Assessment, folder: Path
) -> Iterator[str]:
    """How a verdict that someone signed differs from the record on the version.

    The record was held against the model's files before, so that they are what was signed.

    Args:
        version: Registered.
        said: As `statement_on` gave it.
        assessment: The record.
        folder: That holds it.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    with refusals(f"{version.uri}: reading its tags"):
        run_id = registered(version).tags.get(RUN)
    identity = assessment.identity
    recorded = {
        "verdict": assessment.decision.verdict,
        "artifact_digest": identity.artifact_digest,
        "model_digest": identity.digest,
        "policy_digest": assessment.policy.digest,
        "validation_digest": assessment.validation.digest,
        "run_id": run_id,
        "assessment_digest": record_digest(folder),
        "manifest": manifest_digest(folder),
    }
    for what, value in recorded.items():
        signed = getattr(said, what)
        if signed != value:
            yield (
                f"{version.uri}: the {what.replace('_', ' ')} that was signed is {signed} and that "
                f"of its record is {value}"
            )

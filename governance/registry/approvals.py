"""Approvals: the signed statement on a version, read from MLflow and held against its record."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from mlflow import MlflowClient

from governance.approval import Keyring, Statement, verdict_claims
from governance.approval.standing import PolicyAccepted, RegisteredVersion, Standing, standing
from governance.approval.tags import RUN, WAIVER
from governance.errors import EvidenceError, SubjectError
from governance.records.assessment import Assessment
from governance.registry.recording import ATTESTATIONS, manifest_digest, record_digest
from governance.registry.signing import authors
from governance.registry.versions import ModelVersion, Room, of_run, refusals, registered

__all__ = ["attested", "disagreements", "standing_of"]


#: What the statements for tools of others may take: one file of 64 MiB.
ROOM = Room(1, 64 * 2**20, EvidenceError)


def standing_of(
    version: ModelVersion,
    ring: Keyring,
    now: float,
    tags: Mapping[str, str] | None = None,
    *,
    policy_accepted: PolicyAccepted | None = None,
    expected: Literal["approved"] | None = None,
) -> Standing:
    """Whether the signed statement on a version in MLflow counts now.

    Args:
        version: Registered.
        ring: Whose signatures count.
        now: Seconds since 1970.
        tags: Tags of the version, where they were read already.
        policy_accepted: Says which policies an approval may rest on; None accepts all.
        expected: Verdict that is needed; None takes whatever was signed.

    Raises:
        SubjectError: If the version is not registered.
        RegistryError: If MLflow cannot be asked.
    """
    if version.ref is None:
        raise SubjectError(f"{version.uri}: not registered, so it carries no signed statement")
    if tags is None:
        with refusals(f"{version.uri}: reading its approval"):
            tags = dict(registered(version).tags)
    # Only waivers depend on who made the version, which takes requests of its own to find out.
    waived = any(key.startswith(WAIVER) for key in tags)
    return standing(
        RegisteredVersion(
            ref=version.ref,
            source=version.source or "",
            tags=tags,
            authors=authors(version) if waived else (),
        ),
        ring,
        now,
        policy_accepted=policy_accepted,
        expected=expected,
    )


def disagreements(
    version: ModelVersion, statement: Statement, assessment: Assessment, folder: Path
) -> Iterator[str]:
    """How a signed verdict differs from the record on its version.

    The record was held against the model's files before, so that they are what was signed.

    Args:
        version: Registered.
        statement: The signed verdict, which counts.
        assessment: The record.
        folder: The record's folder.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    with refusals(f"{version.uri}: reading its tags"):
        run_id = registered(version).tags.get(RUN)
    record, manifest = record_digest(folder), manifest_digest(folder)
    for problem in verdict_claims.disagreements(
        statement, assessment, run_id=run_id, record=record, manifest=manifest
    ):
        yield f"{version.uri}: {problem}"


def attested(version: ModelVersion, run_id: str | None, into: Path) -> str:
    """The statements for tools of others that lie beside a record, a line each.

    Args:
        version: Registered.
        run_id: The run that holds the record.
        into: New folder for the download.

    Returns:
        The lines as they are, unchecked; empty where there are none.

    Raises:
        EvidenceError: If they are no ASCII text.
        RegistryError: If MLflow cannot be asked.
    """
    if run_id is None:
        return ""
    with refusals(f"{version.uri}: looking up what is attested of it"):
        names = {item.path for item in MlflowClient().list_artifacts(run_id)}
    if ATTESTATIONS not in names:
        return ""
    content = of_run(run_id, ATTESTATIONS, into, ROOM).read_bytes()
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        raise EvidenceError(f"{version.uri}: {ATTESTATIONS} is no list of envelopes") from error

"""Recorded: the assessment that an argument of the command line means."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.records.assessment import Assessment
    from reports.approvals import Approvals

__all__ = ["is_folder", "recorded"]


def recorded(
    source: str, keys: Path | None = None
) -> tuple["Assessment", tuple[str, ...], "Approvals | None"]:
    """An assessment, where it contradicts itself, and what is signed about its version.

    Args:
        source: Folder of an assessment, or address of a model with a record.
        keys: Keyring of public keys; without one no signature is looked at.

    Returns:
        The assessment; its contradictions; what is signed, or None where nobody asked.

    Raises:
        ApprovalError: If the keyring cannot be read.
        EvidenceError: If there is no such assessment, or its files are not what they were.
        SubjectError: If there is no such model.
        RegistryError: If MLflow refuses.
    """
    from tempfile import TemporaryDirectory

    from governance.records.assessment import Assessment
    from governance.records.consistency import contradictions

    approvals = None
    if is_folder(source):
        assessment = Assessment.load(Path(source))
    else:
        from governance import registry

        with TemporaryDirectory() as scratch:
            folder = registry.fetch(version := registry.resolve(source), Path(scratch))
            registry.named(version, folder)
            assessment = Assessment.load(folder)
            if keys is not None:
                from governance.cli.signed import signed

                approvals = signed(version, keys, assessment, folder)
    return assessment, tuple(contradictions(assessment)), approvals


def is_folder(source: str) -> bool:
    """Whether an argument is a folder that exists; an address may be longer than a path."""
    return os.path.isdir(source)  # noqa: PTH112 - False where pathlib raises

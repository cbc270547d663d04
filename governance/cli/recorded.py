"""Recorded: the assessment that an argument of the command line means."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.records.assessment import Assessment

__all__ = ["recorded"]


def recorded(source: str) -> tuple["Assessment", tuple[str, ...]]:
    """An assessment from its folder or from the registry, and where it contradicts itself.

    Args:
        source: Folder of an assessment, or address of a model with a record.

    Raises:
        EvidenceError: If there is no such assessment, or its files are not what they were.
        SubjectError: If there is no such model.
        RegistryError: If MLflow refuses.
    """
    from tempfile import TemporaryDirectory

    from governance.records.assessment import Assessment
    from governance.records.consistency import contradictions

    if Path(source).is_dir():
        assessment = Assessment.load(Path(source))
    else:
        from governance import registry

        with TemporaryDirectory() as scratch:
            version = registry.resolve(source)
            folder = registry.fetch(version, Path(scratch))
            registry.named(version, folder)
            assessment = Assessment.load(folder)
    return assessment, tuple(contradictions(assessment))

"""Answers: the exit codes of the command line, and what its commands say and write alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from governance.cli.console import complain

if TYPE_CHECKING:
    from governance.records.assessment import Assessment

__all__ = [
    "INTERNAL",
    "MISMATCH",
    "MISUSE",
    "exit_code",
    "misuse",
    "remove",
    "summary",
    "write",
]

MISUSE, INTERNAL, MISMATCH = 2, 3, 40


def exit_code(assessment: "Assessment") -> int:
    """What the command line answers for the verdict of an assessment."""
    from governance.records.decision import EXIT_CODES

    return EXIT_CODES[assessment.decision.verdict]


def summary(assessment: "Assessment") -> dict[str, Any]:
    """An assessment in the form machines get it."""
    from governance.records.serialisation import to_data

    return {
        "uri": assessment.identity.uri,
        "name": assessment.identity.name,
        "version": assessment.identity.version,
        "verdict": assessment.decision.verdict,
        "exit_code": exit_code(assessment),
        "digest": assessment.digest,
        "model_digest": assessment.identity.digest,
        "policy": {"title": assessment.policy.title, "digest": assessment.policy.digest},
        "findings": [to_data(finding) for finding in assessment.decision.findings],
    }


def write(path: Path, content: bytes) -> None:
    """Write a file that was asked for, or end with misuse."""
    try:
        path.write_bytes(content)
    except OSError as error:
        misuse(f"{path}: cannot be written: {error.strerror}; another file is accepted")


def remove(path: Path) -> None:
    """Remove a file of an earlier run, or end with misuse."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        misuse(f"{path}: cannot be written: {error.strerror}; another file is accepted")


def misuse(problem: str) -> NoReturn:
    """End the command: it was not called as it can be."""
    complain(problem)
    raise typer.Exit(MISUSE)

"""Files that a command was asked to write."""

from pathlib import Path

from governance.cli.console import misuse

__all__ = ["remove", "write"]


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

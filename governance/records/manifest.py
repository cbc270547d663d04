"""Manifest: the files of an assessment, each with its sha256, and how a folder differs from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.errors import EvidenceError
from governance.records.bounded import content_of, digest_of, files_of
from governance.records.serialisation import canonical, parse

__all__ = [
    "LARGEST_FILE",
    "LARGEST_FOLDER",
    "LARGEST_RECORD",
    "MANIFEST",
    "MOST_FILES",
    "Difference",
    "compared",
    "content",
    "parsed",
    "write_manifest",
]

MANIFEST = "manifest.json"

#: Bytes of the record and of the manifest.
LARGEST_RECORD = 32 * 2**20
#: Bytes of a printed report, the largest file there is.
LARGEST_FILE = 256 * 2**20
#: Bytes of all files of a folder.
LARGEST_FOLDER = 2**30
#: Files and folders of an assessment.
MOST_FILES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a folder differs from its manifest: a file `missing`, `extra` or `changed`."""

    path: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}"


def compared(folder: Path) -> tuple[dict[str, str], tuple[Difference, ...]]:
    """sha256 of each file of a folder, and how they differ from its manifest.

    Raises:
        EvidenceError: If there is no manifest that can be read, or a limit is exceeded.
    """
    if not (folder / MANIFEST).is_file():
        raise EvidenceError(
            f"{folder}: no {MANIFEST}, so this is not an assessment; the folder that "
            "`governance assess --out` wrote is accepted"
        )
    found = _found(folder)
    listed = parsed(content(folder, MANIFEST), f"{folder}/{MANIFEST}").get("files")
    if not isinstance(listed, dict):
        raise EvidenceError(f"{folder}/{MANIFEST}: names no files; {{path: sha256}} is needed")
    if len(listed) > MOST_FILES:
        raise EvidenceError(
            f"{folder}/{MANIFEST}: names {len(listed)} files; at most {MOST_FILES} are accepted"
        )
    digests = _digests(folder, found)
    kinds = {
        **{path: "missing" for path in listed if path not in digests},
        **{path: "extra" for path in digests if path not in listed},
        **{path: "changed" for path in listed if digests.get(path, listed[path]) != listed[path]},
    }
    return digests, tuple(Difference(path=path, kind=kinds[path]) for path in sorted(kinds))


def content(folder: Path, path: str, most: int = LARGEST_RECORD) -> bytes:
    """Bytes of a file of a folder.

    Raises:
        EvidenceError: If there is none, or it has more than so many bytes.
    """
    if not (folder / path).is_file():
        raise EvidenceError(f"{folder}: {path!r} is no file of the folder")
    return content_of(folder / path, most, EvidenceError)


def parsed(written: bytes, where: str) -> dict[str, Any]:
    """The object that JSON holds.

    Raises:
        EvidenceError: If it holds none.
    """
    data = parse(written, where)
    if not isinstance(data, dict):
        raise EvidenceError(f"{where}: holds {type(data).__name__}; an object is accepted")
    return data


def write_manifest(folder: Path, schema: int) -> None:
    """Write the manifest of a folder anew, from its files as they are."""
    partial = folder / f".{MANIFEST}"
    files = _digests(folder, _found(folder))
    partial.write_bytes(canonical({"schema": schema, "files": files}))
    partial.replace(folder / MANIFEST)


def _found(folder: Path) -> Mapping[str, int]:
    """Bytes of each file of a folder, by path."""
    return files_of(folder, most=MOST_FILES, largest=LARGEST_FOLDER, error=EvidenceError)


def _digests(folder: Path, found: Iterable[str]) -> dict[str, str]:
    """sha256 of each file of a folder but its manifest, by path."""
    return {
        path: digest_of(folder / path, LARGEST_FILE, EvidenceError)
        for path in found
        if path not in {MANIFEST, f".{MANIFEST}"}
    }

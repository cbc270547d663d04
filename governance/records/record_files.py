"""Record files: pictures and rows put back into a record, from the files beside it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from governance.errors import EvidenceError
from governance.records import table_files
from governance.records.evidence import MOST_CELLS, MOST_PRINTED
from governance.records.manifest import LARGEST_FILE, content
from governance.records.serialisation import canonical

__all__ = ["LARGEST_FIGURE", "RecordFiles", "fill"]

#: Bytes of a picture.
LARGEST_FIGURE = 16 * 2**20


@dataclass(frozen=True, slots=True)
class RecordFiles:
    """The files that the manifest of a folder names, by which a record may refer to them.

    Attributes:
        folder: The folder.
        names: Paths of the files from there.
    """

    folder: Path
    names: frozenset[str]

    def content(self, path: str, most: int) -> bytes:
        """Bytes of one of them.

        Raises:
            EvidenceError: If it is none of them, or has more than so many bytes.
        """
        if path not in self.names:
            raise EvidenceError(f"{self.folder}: {path!r} is no file of the folder")
        return content(self.folder, path, most)


def fill(record: dict[str, Any], files: RecordFiles) -> None:
    """Put the pixels and rows back that stand in a record by their digests.

    Args:
        record: Plain data of the record; changed in place.
        files: The files beside it.

    Raises:
        EvidenceError: If a file is not the one that the record was written with.
        LookupError: Or another error of plain data, if the record is damaged.
    """
    cells = 0
    for item in record["evidence"]:
        measurement = item["measurement"] or {"figures": (), "tables": ()}
        for figure in measurement["figures"]:
            path = str(figure.pop("path"))
            figure["image"] = files.content(path, LARGEST_FIGURE)
            _same(files.folder, path, _sha256(figure["image"]), figure.pop("sha256"))
        for table in measurement["tables"]:
            path, _ = str(table.pop("path")), table.pop("row_count")
            table.setdefault("printed", table["columns"][:MOST_PRINTED])
            table["rows"], digest = _rows(files, path)
            _same(files.folder, path, digest, table.pop("sha256"))
            copy = str(PurePosixPath(path).with_suffix(".csv"))
            csv = files.content(copy, LARGEST_FILE)
            _same(files.folder, copy, _sha256(csv), table.pop("csv_sha256"))
            cells += len(table["rows"]) * len(table["columns"])
            if cells > MOST_CELLS:
                raise EvidenceError(
                    f"{files.folder}: more than {MOST_CELLS} cells are in its tables; fewer are "
                    "accepted"
                )


def _rows(files: RecordFiles, path: str) -> tuple[list[list[Any]], str]:
    """The rows of a table and their digest."""
    try:
        rows = table_files.rows_of(files.content(path, table_files.LARGEST_PARQUET))
        return rows, _sha256(canonical(rows))
    except (ValueError, TypeError) as error:
        raise EvidenceError(f"{files.folder}: {path} cannot be read as a table: {error}") from error


def _same(folder: Path, path: str, digest: str, recorded: object) -> None:
    if digest != recorded:
        raise EvidenceError(f"{folder}/assessment.json: {path} is not the file it was written with")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

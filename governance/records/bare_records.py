"""Bare records: an assessment from the bytes of its record, without pictures and rows."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from governance.errors import EvidenceError
from governance.records.assessment import RECORD, SCHEMA, Assessment
from governance.records.evidence import MOST_PRINTED
from governance.records.serialisation import canonical, from_data, parse
from governance.records.table_files import rows_of

__all__ = ["BareRecord", "columns_of", "from_record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BareRecord:
    """An assessment without pictures and rows, and what these must be.

    Attributes:
        assessment: The assessment.
        digests: sha256 of every picture, and of the rows of every table, by path in the folder.
    """

    assessment: Assessment
    digests: Mapping[str, str]


def from_record(content: bytes) -> BareRecord:
    """The assessment in the bytes of `assessment.json`, without pictures and rows.

    Raises:
        EvidenceError: If they are no record, or of another schema.
    """
    data = parse(content, RECORD)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise EvidenceError(f"{RECORD}: no record of schema {SCHEMA}, which is accepted")
    digests: dict[str, str] = {}
    try:
        for item in data["evidence"]:
            measurement = item["measurement"] or {"figures": (), "tables": ()}
            for figure in measurement["figures"]:
                figure["image"] = b""
                digests[str(figure.pop("path"))] = str(figure.pop("sha256"))
            for table in measurement["tables"]:
                table.setdefault("printed", table["columns"][:MOST_PRINTED])
                table["rows"] = []
                digests[str(table.pop("path"))] = str(table.pop("sha256"))
                for name in ("csv_sha256", "row_count"):
                    del table[name]
    except (KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(f"{RECORD}: evidence is damaged: {error!r}") from error
    return BareRecord(assessment=from_data(Assessment, data, RECORD), digests=digests)


def columns_of(
    content: bytes, names: tuple[str, ...], digest: str
) -> dict[str, tuple[object, ...]]:
    """The columns of a table by name, from its Parquet file.

    Args:
        content: Contents of the file.
        names: Names of the columns.
        digest: sha256 of the rows, as the record has it.

    Raises:
        EvidenceError: If the table is not the one that the record was written with.
    """
    try:
        rows = rows_of(content)
        found = hashlib.sha256(canonical(rows)).hexdigest()
    except ValueError as error:
        raise EvidenceError(f"{RECORD}: a table cannot be read: {error}") from error
    if found != digest:
        raise EvidenceError(f"{RECORD}: a table is not the one it was written with")
    if any(len(row) != len(names) for row in rows):
        raise EvidenceError(f"{RECORD}: a table has other columns than it was written with")
    return dict(zip(names, zip(*rows, strict=True) if rows else ((),) * len(names), strict=True))

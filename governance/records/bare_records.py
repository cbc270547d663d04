"""Bare records: an assessment from the bytes of its record, without pictures and most rows."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from governance.errors import EvidenceError
from governance.records.assessment import RECORD, SCHEMA, Assessment
from governance.records.evidence import MOST_PRINTED
from governance.records.serialisation import canonical, from_data, parse
from governance.records.table_files import rows_of

__all__ = ["from_record"]


def from_record(content: bytes, tables: Mapping[str, bytes] = MappingProxyType({})) -> Assessment:
    """The assessment in the bytes of `assessment.json`, without pictures and rows.

    Args:
        content: Contents of the record.
        tables: Contents of the tables whose rows are wanted, by path in the folder of the record.

    Raises:
        EvidenceError: If they are no record, or of another schema; if a table is not the one that
            the record was written with.
    """
    data = parse(content, RECORD)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise EvidenceError(f"{RECORD}: no record of schema {SCHEMA}, which is accepted")
    try:
        for item in data["evidence"]:
            measurement = item["measurement"] or {"figures": (), "tables": ()}
            for figure in measurement["figures"]:
                figure["image"] = b""
                del figure["path"], figure["sha256"]
            for table in measurement["tables"]:
                table.setdefault("printed", table["columns"][:MOST_PRINTED])
                table["rows"] = _rows(tables.get(str(table["path"])), table["sha256"])
                for name in ("path", "sha256", "csv_sha256", "row_count"):
                    del table[name]
    except (KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(f"{RECORD}: evidence is damaged: {error!r}") from error
    return from_data(Assessment, data, RECORD)


def _rows(content: bytes | None, digest: object) -> list[list[Any]]:
    if content is None:
        return []
    try:
        rows = rows_of(content)
        found = hashlib.sha256(canonical(rows)).hexdigest()
    except ValueError as error:
        raise EvidenceError(f"{RECORD}: a table cannot be read: {error}") from error
    if found != digest:
        raise EvidenceError(f"{RECORD}: a table is not the one it was written with")
    return rows

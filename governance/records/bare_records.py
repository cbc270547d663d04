"""Bare records: an assessment from the bytes of its record alone, without pictures and rows."""

from governance.errors import EvidenceError
from governance.records.assessment import RECORD, SCHEMA, Assessment
from governance.records.evidence import MOST_PRINTED
from governance.records.serialisation import from_data, parse

__all__ = ["from_record"]


def from_record(content: bytes) -> Assessment:
    """The assessment in the bytes of `assessment.json`, without pictures and rows.

    Raises:
        EvidenceError: If they are no record, or of another schema.
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
                table["rows"] = []
                for name in ("path", "sha256", "csv_sha256", "row_count"):
                    del table[name]
    except (KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(f"{RECORD}: evidence is damaged: {error!r}") from error
    return from_data(Assessment, data, RECORD)

"""PDF: the report on A4, tagged for screen readers, with bookmarks, page numbers and its record.

The file is made for PDF/A-3a (archive) and PDF/UA-1 (readers who do not see it), and holds
`assessment.json` as an attachment. The same assessment gives the same bytes where
`SOURCE_DATE_EPOCH` is set and the versions of WeasyPrint, fontTools and Pango are the same; else
only the times inside embedded fonts differ.

Plex has Latin, Greek and Cyrillic letters. Other scripts are printed with the fonts of the machine;
a character that none of these has is printed as its code, such as [U+4E2D], and the first page says
so.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from governance.records.assessment import RECORD, Assessment
from reports.approvals import Approvals
from reports.html import code_point, page
from reports.tagging import finish
from reports.view import view

__all__ = ["to_pdf"]

VARIANT = "pdf/a-3a"
#: What WeasyPrint logs of a character that no font has.
LACKING = re.compile(r"\.notdef glyph rendered .*\(U\+([0-9A-F]{4,6})\)", re.DOTALL)


def to_pdf(
    assessment: Assessment, doubts: Sequence[str] = (), approvals: Approvals | None = None
) -> bytes:
    """The report of an assessment for print and for the archive.

    Args:
        assessment: The assessment as recorded.
        doubts: Where it contradicts itself; if there are any, every page is marked as unverified.
        approvals: What is signed about the version; None where no registry was asked.

    Raises:
        OSError: If the Pango libraries that WeasyPrint needs are not installed.
    """
    arranged = view(assessment, approvals)
    content, lacking = _printed(page(arranged, doubts, paper=True), assessment)
    if lacking:
        coded = page(arranged, doubts, paper=True, lacking=lacking)
        for character in lacking:
            coded = coded.replace(character, f"[{code_point(character)}]")
        content, _ = _printed(coded, assessment)
    return content


def _printed(html: str, assessment: Assessment) -> tuple[bytes, tuple[str, ...]]:
    """The pages, and the characters that no font has."""
    # Here and not above: importing it takes a second and needs Pango, which HTML does without.
    from weasyprint import HTML, Attachment
    from weasyprint.urls import URLFetcher

    created = datetime.fromisoformat(assessment.created)
    fetcher = URLFetcher(allowed_protocols=["data"], allow_redirects=False)
    record = Attachment(
        string=assessment.record, name=RECORD, description="The record that this report prints",
        created=created, modified=created, relationship="Source", url_fetcher=fetcher,
    )  # fmt: skip
    document = HTML(string=html, url_fetcher=fetcher)
    with warnings.catch_warnings(), _lacking() as lacking:
        # WeasyPrint 70 leaves its own colour profile for the interpreter to close.
        warnings.filterwarnings("ignore", "unclosed file .*icc", ResourceWarning)
        content: Any = document.write_pdf(
            pdf_variant=VARIANT,
            pdf_identifier=bytes.fromhex(assessment.digest.removeprefix("sha256:"))[:16],
            attachments=[record],
            finisher=finish,
        )
    return bytes(content), tuple(lacking)


@contextmanager
def _lacking() -> Iterator[dict[str, None]]:
    """Collects the characters that WeasyPrint finds no glyph for, in place of its warnings."""
    found: dict[str, None] = {}

    def kept(record: logging.LogRecord) -> bool:
        match = LACKING.fullmatch(record.getMessage())
        if match:
            found[chr(int(match[1], 16))] = None
        return match is None

    logger = logging.getLogger("weasyprint")
    logger.addFilter(kept)
    try:
        yield found
    finally:
        logger.removeFilter(kept)

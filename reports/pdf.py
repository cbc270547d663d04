"""PDF: the report on A4, tagged for screen readers, with contents, bookmarks and page numbers.

The same assessment gives the same bytes where `SOURCE_DATE_EPOCH` is set and the versions of
WeasyPrint, fontTools and Pango are the same; else only the times inside embedded fonts differ.
"""

import warnings
from collections.abc import Sequence
from typing import Any

from governance.records.assessment import Assessment
from reports.approvals import Approvals
from reports.html import page
from reports.view import view

__all__ = ["to_pdf"]

# Archival with tags. What the file declares of itself is checked by validators, not by the report.
VARIANT = "pdf/a-3a"


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
    # Here and not above: importing it takes a second and needs Pango, which HTML does without.
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher

    arranged = view(assessment, approvals)
    document = HTML(
        string=page(arranged, doubts),
        url_fetcher=URLFetcher(allowed_protocols=["data"], allow_redirects=False),
    )
    with warnings.catch_warnings():
        # WeasyPrint 70 leaves its own colour profile for the interpreter to close.
        warnings.filterwarnings("ignore", "unclosed file .*icc", ResourceWarning)
        content: Any = document.write_pdf(
            pdf_variant=VARIANT,
            pdf_identifier=bytes.fromhex(arranged.digest.removeprefix("sha256:"))[:16],
        )
    return bytes(content)

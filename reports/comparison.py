"""Comparison: two versions held against each other, on one page that can be sent around."""

from governance.errors import EvidenceError
from governance.records.assessment import Assessment
from governance.records.policy import DRIFT
from reports.annex import annex_section
from reports.findings import findings
from reports.html import environment, style

__all__ = ["to_html"]


def to_html(assessment: Assessment) -> str:
    """The comparison with the version before, from the assessment that holds it.

    Raises:
        EvidenceError: If it holds none.
    """
    evidence = next((item for item in assessment.evidence if item.analysis == DRIFT), None)
    if evidence is None or assessment.baseline is None:
        raise EvidenceError(
            f"{assessment.identity.uri}: holds no comparison; one of `governance compare`, or an "
            "assessment under a policy with [drift], is accepted"
        )
    template = environment().get_template("comparison.html.j2")
    return template.render(
        assessment=assessment,
        other=assessment.baseline,
        item=annex_section(
            assessment, evidence, 1, findings(assessment), printed=frozenset({f"{DRIFT}.answers"})
        ),
        style=style(),
    )

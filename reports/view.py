"""View: an assessment arranged in the order in which a reader asks.

Decision, findings and scope, then results, reasons, limits and the annex. Values are selected,
sorted and cut to what fits on a page, never computed anew; the one exception is the plain
difference between two versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from governance.records.assessment import Assessment
from governance.records.decision import Verdict
from governance.records.numbers import count
from governance.records.policy import DRIFT
from reports.annex import AnnexSection, annex_sections
from reports.approvals import Approvals
from reports.controls import Controls, controls
from reports.decision_page import DecisionPage, decision_page
from reports.finding_cards import SEVERITY, FindingCard, Topic, finding_cards, topics
from reports.findings import OPEN, FindingText
from reports.findings import findings as texts_of
from reports.prose import describe
from reports.reasons import ELSEWHERE, Reason, reasons
from reports.results import Results, results
from reports.scope import Scope, scope
from reports.turned_images import FIGURE

__all__ = ["MEANINGS", "View", "one_answer", "view"]

#: What a verdict says, for someone who reads nothing else.
MEANINGS: Mapping[Verdict, str] = MappingProxyType(
    {
        "approved": "Every blocking and every review expectation of the policy is met.",
        "rejected": "A blocking expectation of the policy was measured and is not met.",
        "review": "An expectation that asks for a person's judgement is not met or not measured.",
        "undetermined": "A blocking expectation could not be measured: "
        "the evidence supports no verdict.",
    }
)

#: Letters of a name, and of a title, that fit in a line.
LONG_NAME, LONG_TITLE = 70, 90

FIRST = "performance"

# The report stops here; the record and the evidence files hold the rest.
MOST_FINDINGS = 200

#: Start of the names of figures that are one misread image.
MISREAD = "misread_"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the report for the list on its first page."""

    letter: str
    title: str
    anchor: str


PARTS = (
    Part("B", "Findings", "b"),
    Part("C", "Scope", "c"),
    Part("D", "Results", "d"),
    Part("E", "Reasons", "e"),
    Part("F", "Limits", "f"),
    Part("", "Annex", "annex"),
)


@dataclass(frozen=True, slots=True)
class View:
    """An assessment in the order of the report.

    Attributes:
        assessment: The assessment as given.
        digest: Digest of the assessment.
        name: Name of the model with its version, for headings.
        short_name: The same for running lines, without the middle of a very long name.
        uri: Place of the model.
        policy: Title of the policy.
        digests: Kind and digest of what the report rests on.
        decision: Part A.
        cards: Part B, a card for each open or waived finding.
        cards_left: Number of open findings without a card.
        topics: All requirements at a glance, by analysis.
        scope: Part C.
        controls: What the assessment says to controls of laws, standards and guidance.
        told: All findings in words, open ones first.
        results: Part D.
        reasons: Part E.
        parts: Parts B to F and the annex.
        anchors: Where each analysis is told.
        titles: Title of each analysis.
        one_answer: That the model answers every image alike; empty if it does not.
    """

    assessment: Assessment
    digest: str
    name: str
    short_name: str
    uri: str
    policy: str
    digests: tuple[tuple[str, str], ...]
    decision: DecisionPage
    cards: tuple[FindingCard, ...]
    cards_left: int
    topics: tuple[Topic, ...]
    scope: Scope
    controls: Controls
    told: tuple[FindingText, ...]
    results: Results
    reasons: tuple[Reason, ...]
    parts: tuple[Part, ...]
    anchors: Mapping[str, str]
    titles: Mapping[str, str]
    one_answer: str

    #: What a miss of each severity does.
    severity: ClassVar[Mapping[str, str]] = SEVERITY

    #: Requirements that the annex prints.
    most_told: ClassVar[int] = MOST_FINDINGS

    def annex(self, paper: bool) -> tuple[AnnexSection, ...]:  # noqa: FBT001 - a template asks
        """What the annex tells of each analysis; less of it on paper."""
        printed = [f"{item.analysis}.{item.figure.name}" for item in self.reasons if item.figure]
        if self.results.turned is not None and self.results.turned.figure is not None:
            printed.append(f"{DRIFT}.{FIGURE}")
        # Pictures of misread images stand on the cards of part B.
        printed += [
            f"{item.analysis}.{figure.name}"
            for item in self.assessment.evidence
            if item.measurement is not None
            for figure in item.measurement.figures
            if figure.name.startswith(MISREAD)
        ]
        return annex_sections(self.assessment, self.told, paper=paper, printed=printed)

    @property
    def findings_title(self) -> str:
        """How many requirements are open, for the heading of part B."""
        total = len(self.assessment.decision.findings)
        left = sum(item.outcome in OPEN for item in self.assessment.decision.findings)
        if not total:
            return "nothing is required"
        verb = "is" if left == 1 else "are"
        return f"{count(left)} of {count(total)} requirements {verb} open" if left else "none open"


def view(assessment: Assessment, approvals: Approvals | None = None) -> View:
    """The assessment arranged for a report.

    Args:
        assessment: The assessment as recorded.
        approvals: What is signed about the version; None where no registry was asked.
    """
    told = texts_of(assessment)
    cards, cards_left = finding_cards(assessment, told)
    anchors = {
        item.analysis: "d" if item.analysis in ELSEWHERE else f"reason-{item.analysis}"
        for item in assessment.evidence
    }
    name = _name(assessment)
    return View(
        assessment=assessment,
        digest=assessment.digest,
        name=name,
        short_name=shortened(name, LONG_NAME),
        uri=assessment.identity.uri,
        policy=shortened(assessment.policy.title, LONG_TITLE),
        digests=_digests(assessment),
        decision=decision_page(assessment, told, approvals),
        cards=cards,
        cards_left=cards_left,
        topics=topics(assessment, told),
        scope=scope(assessment),
        controls=controls(assessment, approvals.policy_fixed if approvals else None),
        told=told,
        results=results(assessment, told),
        reasons=reasons(assessment, told),
        parts=PARTS,
        anchors=anchors,
        titles={
            item.analysis: describe(item.analysis, item.about).title for item in assessment.evidence
        },
        one_answer=one_answer(assessment),
    )


def _name(assessment: Assessment) -> str:
    identity = assessment.identity
    name = identity.name or identity.uri
    return f"{name}, version {identity.version}" if identity.version else name


def shortened(name: str, longest: int) -> str:
    """A name for one line: of a very long one the two ends, and how much is left out."""
    if len(name) <= longest:
        return name
    left = longest - 30
    return f"{name[:left]} [{count(len(name) - left - 12)} characters] {name[-12:]}"


def _digests(assessment: Assessment) -> tuple[tuple[str, str], ...]:
    return (
        ("model", assessment.identity.digest),
        ("images", assessment.validation.digest),
        ("policy", assessment.policy.digest),
        ("assessment", assessment.digest),
    )


def one_answer(assessment: Assessment) -> str:
    """The sentence that all images are answered with one class; empty if they are not.

    Such a model may look perfect in everything that asks how its answers depend on the image.
    """
    measured = (item.measurement for item in assessment.evidence if item.analysis == FIRST)
    for table in (table for item in measured if item for table in item.tables):
        if {"class", "named"} <= set(table.columns):
            place, times = table.columns.index("class"), table.columns.index("named")
            named = [row for row in table.rows if isinstance(row[times], int) and row[times]]
            if len(named) == 1 and len(assessment.validation.class_names) > 1:
                images = count(assessment.validation.images)
                return f"All {images} images are answered with class {named[0][place]}."
    return ""

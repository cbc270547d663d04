"""View: an assessment arranged in the order in which a reader asks.

Decision, findings and scope, then results, reasons, limits and the annex. Values are selected,
sorted and cut to what fits on a page, never computed anew; the one exception is the plain
difference between two versions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from governance.records.assessment import Assessment
from governance.records.decision import Finding, Verdict
from governance.records.evidence import Evidence
from governance.records.numbers import count
from governance.records.severities import SEVERITIES
from reports.approvals import Approvals
from reports.controls import Controls, controls
from reports.decision_page import DecisionPage, decision_page
from reports.finding_cards import SEVERITY, FindingCard, Topic, finding_cards, topics
from reports.findings import findings as texts_of
from reports.gaps import Gap, uncovered, unmeasured, withdrawn
from reports.prose import describe
from reports.scope import Scope, scope
from reports.sections import FIRST, Change, Section, changes, section

__all__ = ["MEANINGS", "Chapter", "Part", "View", "one_answer", "ordered", "view"]

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

DATA = "data_quality"

# The report stops here; the record and the evidence files hold the rest.
MOST_FINDINGS = 200
MOST_CHANGES = 60

OPEN = frozenset({"unmet", "missing"})
CLOSED = ("waived", "inapplicable", "met")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A numbered section of the report, under its part.

    Attributes:
        number: Number, counted through the report.
        part: Letter of the part, or `annex`.
        title: Title of the section.
        content: Name of its template, or the evidence of its analysis.
    """

    number: int
    part: str
    title: str
    content: str | Section

    @property
    def anchor(self) -> str:
        """Name by which links lead to it."""
        return f"section-{self.number}"


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
    Part("F", "Limits and sign-off", "f"),
    Part("", "Annex, own numbering", "annex"),
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
        parts: Parts B to F and the annex.
        anchors: Anchor of the section of each analysis.
        titles: Title of each analysis.
        one_answer: That the model answers every image alike; empty if it does not.
        withdrawn: Analyses whose result must not be relied on.
        unmeasured: Analyses without a result.
        uncovered: Subjects that no analysis here is about.
        findings: All findings that are printed, the gravest first.
        data: Section on the quality of the data, where it was examined.
        chapters: Numbered sections.
        changes: Metrics beside those of the baseline.
        unlisted: Number of findings and of changes that are not printed, by name of the section.
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
    parts: tuple[Part, ...]
    anchors: Mapping[str, str]
    titles: Mapping[str, str]
    one_answer: str
    withdrawn: tuple[Gap, ...]
    unmeasured: tuple[Gap, ...]
    uncovered: tuple[Gap, ...]
    findings: tuple[Finding, ...]
    data: Section | None
    chapters: tuple[Chapter, ...]
    changes: tuple[Change, ...]
    unlisted: Mapping[str, int]

    #: What a miss of each severity does.
    severity: ClassVar[Mapping[str, str]] = SEVERITY

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
    sections = {
        item.analysis: section(assessment, item) for item in _in_reading_order(assessment.evidence)
    }
    data = sections.pop(DATA, None)
    chapters = _chapters(sections)
    findings = ordered(assessment.decision.findings)
    told = texts_of(assessment)
    cards, cards_left = finding_cards(assessment, told)
    compared = changes(assessment)
    anchors = {
        item.content.evidence.analysis: item.anchor
        for item in chapters
        if isinstance(item.content, Section)
    }
    anchors[DATA] = next(item.anchor for item in chapters if item.content == "data")
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
        parts=PARTS,
        anchors=anchors,
        titles={
            item.analysis: describe(item.analysis, item.about).title for item in assessment.evidence
        },
        one_answer=one_answer(assessment),
        withdrawn=withdrawn(assessment),
        unmeasured=unmeasured(assessment),
        uncovered=uncovered(assessment),
        findings=findings[:MOST_FINDINGS],
        data=data,
        chapters=chapters,
        changes=compared[:MOST_CHANGES],
        unlisted={
            "findings": max(0, len(findings) - MOST_FINDINGS),
            "changes": max(0, len(compared) - MOST_CHANGES),
        },
    )


def _chapters(sections: Mapping[str, Section]) -> tuple[Chapter, ...]:
    """The sections of parts D to F and of the annex, in order."""
    contents: list[tuple[str, str, str | Section]] = [
        *(("D", item.description.title, item) for name, item in sections.items() if name == FIRST),
        ("D", "Data", "data"),
        ("D", "Comparison with the baseline", "baseline"),
        *(("E", item.description.title, item) for name, item in sections.items() if name != FIRST),
        ("F", "Limits", "limits"),
        ("annex", "Findings in full", "findings"),
        ("annex", "Controls of laws, standards and guidance", "controls"),
        ("annex", "Environment", "environment"),
    ]
    return tuple(
        Chapter(number, part, title, content)
        for number, (part, title, content) in enumerate(contents, start=1)
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


def _in_reading_order(evidence: Iterable[Evidence]) -> list[Evidence]:
    return sorted(evidence, key=lambda item: item.analysis != FIRST)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings, the gravest first: open, waived, inapplicable, met.

    Then by severity; then as in the policy.
    """
    return tuple(
        sorted(
            findings,
            key=lambda item: (
                CLOSED.index(item.outcome) if item.outcome not in OPEN else -1,
                tuple(SEVERITIES).index(item.expectation.severity),
                item.outcome == "missing",
            ),
        )
    )

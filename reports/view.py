"""View: an assessment arranged in the order in which a reader asks.

Verdict, what was not assessed, then the sections. Values are selected, sorted and cut to what fits
on a page, never computed anew; the one exception is the plain difference between two versions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from governance.records.assessment import Assessment
from governance.records.decision import Finding, Verdict
from governance.records.evidence import Evidence, Interval
from governance.records.numbers import count
from governance.records.severities import SEVERITIES
from reports.gaps import Gap, uncovered, unmeasured, withdrawn
from reports.grid import Grid, grid
from reports.prose import Description, describe

__all__ = [
    "MEANINGS",
    "Change",
    "Chapter",
    "Row",
    "Section",
    "View",
    "changes",
    "one_answer",
    "ordered",
    "section",
    "view",
]

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

DATA = "data_quality"
FIRST = "performance"

# The report stops here; the record and the evidence files hold the rest.
MOST_METRICS = 60
MOST_FINDINGS = 200
MOST_CLASSES = 60
MOST_FAMILIES = 4

OPEN = frozenset({"unmet", "missing"})
CLOSED = ("waived", "inapplicable", "met")


@dataclass(frozen=True, slots=True)
class Row:
    """A metric with its interval and what the policy expects of it."""

    name: str
    value: float | None
    interval: Interval | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The evidence of one analysis with its metrics arranged.

    Attributes:
        evidence: Evidence of the analysis.
        description: What the analysis says about itself.
        rows: Metrics of the model as a whole.
        rows_left: Number of such metrics that are not printed.
        families: Names of the metrics that exist once per class, such as `recall`.
        classes: Class name and a row for each family, in the order of the model's outputs.
        classes_left: Number of classes that are not printed.
        grids: Tables, cut to the page.
        findings: Findings on the metrics of this analysis.
    """

    evidence: Evidence
    description: Description
    rows: tuple[Row, ...]
    rows_left: int
    families: tuple[str, ...]
    classes: tuple[tuple[str, tuple[Row | None, ...]], ...]
    classes_left: int
    grids: tuple[Grid, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A metric of the baseline beside the same metric of this version."""

    analysis: str
    name: str
    old: float | None
    old_interval: Interval | None
    new: float | None
    new_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Chapter:
    """A numbered section of the report; `content` names its template or holds its analysis."""

    number: int
    title: str
    content: str | Section


@dataclass(frozen=True, slots=True)
class View:
    """An assessment in the order of the report.

    Attributes:
        assessment: The assessment as given.
        digest: Digest of the assessment.
        name: Name of the model with its version, for headings.
        meaning: What the verdict says.
        one_answer: That the model answers every image alike; empty if it does not.
        withdrawn: Analyses whose result must not be relied on.
        unmeasured: Analyses without a result.
        uncovered: Subjects that no analysis here is about.
        attention: Findings that are not met, the gravest first.
        findings: All findings that are printed, the gravest first.
        data: Section on the quality of the data, where it was examined.
        chapters: Numbered sections.
        changes: Metrics beside those of the baseline.
        unlisted: Number of findings and of changes that are not printed, by name of the section.
    """

    assessment: Assessment
    digest: str
    name: str
    meaning: str
    one_answer: str
    withdrawn: tuple[Gap, ...]
    unmeasured: tuple[Gap, ...]
    uncovered: tuple[Gap, ...]
    attention: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    data: Section | None
    chapters: tuple[Chapter, ...]
    changes: tuple[Change, ...]
    unlisted: Mapping[str, int]

    @property
    def met(self) -> str:
        """How many expectations of each severity are met, in words."""
        return ", ".join(
            f"{count(self.tally('met', name))} {item.word}" for name, item in SEVERITIES.items()
        )

    def tally(self, outcome: str, severity: str | None = None) -> int:
        """How many findings have an outcome, of one severity or of all."""
        return sum(
            item.outcome == outcome and severity in {None, item.expectation.severity}
            for item in self.assessment.decision.findings
        )


def view(assessment: Assessment) -> View:
    """The assessment arranged for a report."""
    identity = assessment.identity
    name = identity.name or identity.uri
    sections = {
        item.analysis: section(assessment, item) for item in _in_reading_order(assessment.evidence)
    }
    data = sections.pop(DATA, None)
    contents: list[tuple[str, str | Section]] = [
        ("Data", "data"),
        *((item.description.title, item) for item in sections.values()),
        ("Comparison with the baseline", "baseline"),
        ("Findings in full", "findings"),
        ("Environment", "environment"),
        ("Limits", "limits"),
    ]
    findings = ordered(assessment.decision.findings)
    compared = changes(assessment)
    return View(
        assessment=assessment,
        digest=assessment.digest,
        name=f"{name}, version {identity.version}" if identity.version else name,
        meaning=MEANINGS[assessment.decision.verdict],
        one_answer=one_answer(assessment),
        withdrawn=withdrawn(assessment),
        unmeasured=unmeasured(assessment),
        uncovered=uncovered(assessment),
        attention=tuple(item for item in findings if item.outcome in OPEN),
        findings=findings[:MOST_FINDINGS],
        data=data,
        chapters=tuple(
            Chapter(number, title, content)
            for number, (title, content) in enumerate(contents, start=1)
        ),
        changes=compared[:MOST_METRICS],
        unlisted={
            "findings": max(0, len(findings) - MOST_FINDINGS),
            "changes": max(0, len(compared) - MOST_METRICS),
        },
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


def section(assessment: Assessment, evidence: Evidence) -> Section:
    """The evidence of one analysis arranged for a report."""
    findings = tuple(
        item
        for item in assessment.decision.findings
        if item.expectation.metric.startswith(f"{evidence.analysis}.")
    )
    measurement = evidence.measurement
    rows = {item.name: item for item in _rows(evidence, findings)}
    families = _families(rows, assessment.validation.class_names)
    known = set(assessment.validation.class_names)
    whole = [
        row
        for name, row in rows.items()
        if name.partition(".")[0] not in families or name.partition(".")[2] not in known
    ]
    names = assessment.validation.class_names if families else ()
    return Section(
        evidence=evidence,
        description=describe(evidence.analysis, evidence.about),
        rows=tuple(whole[:MOST_METRICS]),
        rows_left=max(0, len(whole) - MOST_METRICS),
        families=families,
        classes=tuple(
            (name, tuple(rows.get(f"{family}.{name}") for family in families))
            for name in names[:MOST_CLASSES]
        ),
        classes_left=max(0, len(names) - MOST_CLASSES),
        grids=tuple(grid(table) for table in measurement.tables) if measurement else (),
        findings=findings,
    )


def _rows(evidence: Evidence, findings: Sequence[Finding]) -> list[Row]:
    if evidence.measurement is None:
        return []
    intervals = evidence.measurement.intervals
    return [
        Row(
            name=name,
            value=value,
            interval=intervals.get(name),
            findings=tuple(
                item
                for item in findings
                if item.expectation.metric == f"{evidence.analysis}.{name}"
            ),
        )
        for name, value in evidence.measurement.metrics.items()
    ]


def _families(rows: Mapping[str, Row], class_names: Sequence[str]) -> tuple[str, ...]:
    known = set(class_names)
    families = dict.fromkeys(
        name.partition(".")[0] for name in rows if name.partition(".")[2] in known
    )
    return tuple(families)[:MOST_FAMILIES]


def changes(assessment: Assessment) -> tuple[Change, ...]:
    """Metrics that this version or its baseline has, by analysis; those of single classes last."""
    baseline = assessment.baseline
    if baseline is None:
        return ()
    new, intervals = assessment.metrics, assessment.intervals
    names = [*new, *(name for name in sorted(baseline.metrics) if name not in new)]
    analyses = list(dict.fromkeys(name.partition(".")[0] for name in names))
    analyses.sort(key=lambda name: name != FIRST)
    per_class = set(assessment.validation.class_names)
    names.sort(
        key=lambda name: (
            analyses.index(name.partition(".")[0]),
            name.split(".", 2)[-1] in per_class,
        )
    )
    return tuple(
        Change(
            analysis=name.partition(".")[0],
            name=name.partition(".")[2],
            old=baseline.metrics.get(name),
            old_interval=baseline.intervals.get(name),
            new=new.get(name),
            new_interval=intervals.get(name),
        )
        for name in names
    )

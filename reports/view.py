"""View: an assessment arranged in the order in which a reader asks.

Verdict, what was not assessed, then the sections. Values are selected, sorted and cut to what fits
on a page, never computed anew; the one exception is the plain difference between two versions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from governance.assessment import Assessment
from governance.evidence import Cell, Evidence, Interval, Table
from governance.policy import Finding, Verdict
from reports.numbers import cell
from reports.prose import Description, describe

__all__ = [
    "MEANINGS",
    "Change",
    "Column",
    "Entry",
    "Gap",
    "Grid",
    "Row",
    "Section",
    "View",
    "changes",
    "grid",
    "ordered",
    "section",
    "uncovered",
    "unmeasured",
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

# Subjects which no report of this kind answers, each with the analyses that would.
SUBJECTS: tuple[tuple[str, str, frozenset[str]], ...] = (
    (
        "Intended purpose and use",
        "whether the task, the users and the setting suit such a model is for people to decide",
        frozenset(),
    ),
    (
        "Fairness across groups",
        "the validation images carry classes, not attributes of people or groups",
        frozenset(),
    ),
    (
        "Adversarial and corrupted inputs",
        "no search for, and no bound on, inputs made to mislead the model",
        frozenset({"verified_perturbation"}),
    ),
    (
        "Operation",
        "drift, monitoring and behaviour on inputs unlike the validation images",
        frozenset(),
    ),
    (
        "Training data",
        "origin, consent, annotation and overlap with the validation images",
        frozenset(),
    ),
    (
        "Security of the supply chain",
        "the origin of the model's files and of the software that runs them",
        frozenset(),
    ),
)

DATA = "data_quality"
FIRST = "performance"

# The report stops here; the record and the evidence files hold the rest.
MOST_ROWS = 200
MOST_METRICS = 60
MOST_FINDINGS = 200
MOST_CLASSES = 60
MOST_COLUMNS = 12
MOST_FAMILIES = 4

OPEN = frozenset({"unmet", "missing"})
SEVERITIES = ("block", "review", "warn")

# A table of fewer characters per row than this is set at its natural width.
FULL_WIDTH = 84
MANY_COLUMNS = 7
NARROWEST, WIDEST, WIDEST_OF_MANY = 5, 34, 22


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that this assessment says nothing about, and why."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """A metric with its interval and what the policy expects of it."""

    name: str
    value: float | None
    interval: Interval | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a printed table: its share of the width in percent, and whether it is numeric."""

    name: str
    width: float
    numeric: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """The part of a table that fits on the page.

    Attributes:
        name: Of the table: its file among the evidence.
        caption: What a row is.
        columns: Those printed.
        rows: Those printed, as text.
        full: Whether it needs the whole width of the page.
        dense: Whether it has so many columns that the type must be small.
        rows_left: How many rows are not printed.
        columns_left: How many columns are not printed.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    full: bool
    dense: bool
    rows_left: int
    columns_left: int


@dataclass(frozen=True, slots=True)
class Section:
    """What an analysis found, with its metrics arranged.

    Attributes:
        evidence: Of the analysis.
        description: Of the analysis, by itself.
        rows: Metrics of the model as a whole.
        rows_left: How many such metrics are not printed.
        families: Names of the metrics that exist once per class, such as `recall`.
        classes: Class name and a row for each family, in the order of the model's outputs.
        classes_left: How many classes are not printed.
        grids: Tables.
        findings: Of the policy on this analysis.
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
class Entry:
    """A numbered section of the report; `content` names its template or holds its analysis."""

    number: int
    title: str
    content: str | Section


@dataclass(frozen=True, slots=True)
class View:
    """An assessment in the order of the report.

    Attributes:
        assessment: As given.
        digest: Of the assessment.
        name: Of the model with its version, for headings.
        meaning: Of the verdict.
        unmeasured: Analyses without a result.
        uncovered: Subjects that no analysis here is about.
        attention: Findings that are not met, the gravest first.
        findings: All findings that are printed, the gravest first.
        data: Section on the quality of the data, where it was examined.
        entries: Numbered sections.
        changes: Metrics beside those of the baseline.
        unlisted: How many findings and changes are not printed, by name of the section.
    """

    assessment: Assessment
    digest: str
    name: str
    meaning: str
    unmeasured: tuple[Gap, ...]
    uncovered: tuple[Gap, ...]
    attention: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    data: Section | None
    entries: tuple[Entry, ...]
    changes: tuple[Change, ...]
    unlisted: Mapping[str, int]

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
        unmeasured=unmeasured(assessment),
        uncovered=uncovered(assessment),
        attention=tuple(item for item in findings if item.outcome in OPEN),
        findings=findings[:MOST_FINDINGS],
        data=data,
        entries=tuple(
            Entry(number, title, content)
            for number, (title, content) in enumerate(contents, start=1)
        ),
        changes=compared[:MOST_METRICS],
        unlisted={
            "findings": max(0, len(findings) - MOST_FINDINGS),
            "changes": max(0, len(compared) - MOST_METRICS),
        },
    )


def _in_reading_order(evidence: Iterable[Evidence]) -> list[Evidence]:
    return sorted(evidence, key=lambda item: item.analysis != FIRST)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings, the gravest first: open, waived, met; then by severity; then as in the policy."""
    return tuple(
        sorted(
            findings,
            key=lambda item: (
                ("waived", "met").index(item.outcome) if item.outcome not in OPEN else -1,
                SEVERITIES.index(item.expectation.severity),
                item.outcome == "missing",
            ),
        )
    )


def unmeasured(assessment: Assessment) -> tuple[Gap, ...]:
    """Analyses that failed, and those that the policy asks for and that were not run."""
    present = {item.analysis for item in assessment.evidence}
    metrics = (item.metric.partition(".")[0] for item in assessment.policy.expectations)
    asked = dict.fromkeys([*assessment.policy.analyses, *metrics])
    failed = [
        Gap(item.analysis, f"the analysis failed ({item.failure.kind}): {item.failure.message}")
        for item in assessment.evidence
        if item.failure is not None
    ]
    absent = [
        Gap(name, "the policy asks for it; it was not run") for name in asked if name not in present
    ]
    return (*failed, *absent)


def uncovered(assessment: Assessment) -> tuple[Gap, ...]:
    """Subjects on which nothing was measured, whatever the policy asks for."""
    measured = {item.analysis for item in assessment.evidence if item.measurement is not None}
    return tuple(
        Gap(subject, reason) for subject, reason, cover in SUBJECTS if not cover & measured
    )


def section(assessment: Assessment, evidence: Evidence) -> Section:
    """The evidence of one analysis arranged for a report."""
    findings = tuple(
        item
        for item in assessment.decision.findings
        if item.expectation.metric.startswith(f"{evidence.analysis}.")
    )
    measurement = evidence.measurement
    metrics = dict(measurement.metrics) if measurement else {}
    rows = {
        name: Row(
            name=name,
            value=value,
            interval=measurement.intervals.get(name) if measurement else None,
            findings=tuple(
                item
                for item in findings
                if item.expectation.metric == f"{evidence.analysis}.{name}"
            ),
        )
        for name, value in metrics.items()
    }
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


def _families(rows: Mapping[str, Row], class_names: Sequence[str]) -> tuple[str, ...]:
    known = set(class_names)
    found = dict.fromkeys(
        name.partition(".")[0] for name in rows if name.partition(".")[2] in known
    )
    return tuple(found)[:MOST_FAMILIES]


def grid(table: Table) -> Grid:
    """The part of a table that fits on the page, with widths in proportion to what is in it."""
    shown = min(len(table.rows) if table.shown is None else table.shown, MOST_ROWS)
    columns = table.columns[:MOST_COLUMNS]
    cells = [row[: len(columns)] for row in table.rows[:shown]]
    texts = [tuple(cell(item) for item in row) for row in cells]
    widest = WIDEST_OF_MANY if len(columns) > MANY_COLUMNS else WIDEST
    sizes = [
        _size(name, [row[index] for row in texts], widest) for index, name in enumerate(columns)
    ]
    return Grid(
        name=table.name,
        caption=table.caption,
        columns=tuple(
            Column(name, round(100 * size / sum(sizes), 2), _numeric(row[index] for row in cells))
            for index, (name, size) in enumerate(zip(columns, sizes, strict=True))
        ),
        rows=tuple(texts),
        full=sum(sizes) > FULL_WIDTH,
        dense=len(columns) > MANY_COLUMNS,
        rows_left=len(table.rows) - len(texts),
        columns_left=len(table.columns) - len(columns),
    )


def _size(name: str, texts: Iterable[str], widest: int) -> int:
    # A column is as wide as its longest word of the heading and its longest cell, within reason.
    word = max((len(part) for part in name.replace("_", " ").split()), default=0)
    return min(widest, max(NARROWEST, word, *(len(text) for text in texts), 0)) + 3


def _numeric(cells: Iterable[Cell]) -> bool:
    found = [item for item in cells if item is not None]
    return bool(found) and all(
        isinstance(item, int | float) and not isinstance(item, bool) for item in found
    )


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

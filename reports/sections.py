"""Sections: the evidence of one analysis with its metrics arranged, and changes since a baseline.

Values are selected, sorted and cut to what fits on a page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from governance.records.assessment import Assessment
from governance.records.decision import Finding
from governance.records.evidence import Evidence, Interval
from reports.grid import Grid, grid
from reports.prose import Description, describe

__all__ = ["FIRST", "Change", "Row", "Section", "changes", "section"]

#: The analysis that is told first.
FIRST = "performance"

# The report stops here; the record and the evidence files hold the rest.
MOST_METRICS = 60
MOST_CLASSES = 60
MOST_FAMILIES = 4


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

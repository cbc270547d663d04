"""Annex: every requirement, measure, method and table of an assessment, once each.

Paper keeps the tables that are short, and of the measures of classes the worst classes. The page on
the screen keeps the first rows of long tables, which their analyses put in the order of their
weight, and the record keeps all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from governance.records.assessment import Assessment
from governance.records.evidence import Evidence, Figure, Interval
from reports.amounts import amount, change, span
from reports.findings import FindingText, by_metric
from reports.grid import Grid, grid
from reports.metric_texts import MetricTexts, metric_texts
from reports.prose import Description, Part, describe

__all__ = ["AnnexSection", "ByClass", "Measure", "annex_section", "annex_sections"]

MOST_MEASURES = 60
MOST_FAMILIES = 4
#: On paper and on the screen.
MOST_CLASSES = {True: 12, False: 200}
#: Rows of a table that paper has room for.
SHORT = 12
#: Letters from which a cell is a sentence.
SENTENCE = 40
#: Headings of a description that the parts before the annex take the place of on paper.
TOLD = frozenset({"Purpose"})
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric of an analysis with its meaning, its value and that of the baseline, in words."""

    metric: str
    name: str
    meaning: str
    value: str
    interval: str
    method: str
    before: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByClass:
    """Measures of single classes, the worst class of the first measure on top.

    Attributes:
        heads: Human names of the measures.
        metrics: Their names, as in `recall.{class}`.
        rows: Class, and value and interval of each measure.
        left: Number of classes that are not printed.
    """

    heads: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnexSection:
    """All about one analysis that the parts before do not tell.

    Attributes:
        number: From 1.
        evidence: Evidence of the analysis.
        about: What the analysis says of itself.
        parts: How it measures, and its limits.
        measures: Metrics of the model as a whole.
        measures_left: Number of these that are not printed.
        by_class: Metrics of single classes; None where there are none.
        notes: What the analysis must have printed beside its numbers, unless a table says it.
        grids: Tables of the evidence that are printed.
        kept: Names of the other tables.
        figures: Figures of the evidence; none on paper, but for those that no part printed.
        struck: Whether the numbers must not be relied on.
    """

    number: int
    evidence: Evidence
    about: Description
    parts: tuple[Part, ...]
    measures: tuple[Measure, ...]
    measures_left: int
    by_class: ByClass | None
    notes: tuple[str, ...]
    grids: tuple[Grid, ...]
    kept: tuple[str, ...]
    figures: tuple[Figure, ...]
    struck: bool


def annex_sections(
    assessment: Assessment, told: Sequence[FindingText], *, paper: bool, printed: Iterable[str] = ()
) -> tuple[AnnexSection, ...]:
    """What the annex tells of each analysis, in the order of the record.

    Args:
        assessment: The assessment as recorded.
        told: Its findings in words.
        paper: Whether it is printed, where long tables and secondary figures are left out.
        printed: Figures and tables that an earlier part shows, as `analysis.name`.
    """
    known = frozenset(printed)
    return tuple(
        annex_section(assessment, item, number, told, paper=paper, printed=known)
        for number, item in enumerate(assessment.evidence, start=1)
    )


def annex_section(
    assessment: Assessment,
    evidence: Evidence,
    number: int,
    told: Sequence[FindingText],
    *,
    paper: bool = False,
    printed: frozenset[str] = frozenset(),
) -> AnnexSection:
    """What the annex tells of an analysis; tables and figures printed elsewhere are left out."""
    measurement = evidence.measurement
    values = {} if measurement is None else dict(measurement.metrics)
    classes = set(assessment.validation.class_names)
    families = [
        family
        for family in dict.fromkeys(name.partition(".")[0] for name in values)
        if any(f"{family}.{name}" in values for name in classes)
    ][:MOST_FAMILIES]
    whole = [
        name
        for name in (*values, *_gone(assessment, evidence, values))
        if name.partition(".")[0] not in families or name.partition(".")[2] not in classes
    ]
    tables = () if measurement is None else measurement.tables
    before = f"{evidence.analysis}.{{}}".format
    grids = [grid(table) for table in tables if before(table.name) not in printed]
    kept = [item for item in grids if item.rows or not item.rows_left]
    kept = [item for item in kept if not paper or len(item.rows) <= SHORT]
    figures = () if measurement is None or paper else measurement.figures
    bounds = by_metric(told)
    about = describe(evidence.analysis, evidence.about)
    return AnnexSection(
        number=number,
        evidence=evidence,
        about=about,
        parts=tuple(item for item in about.parts if not (paper and item.heading in TOLD)),
        measures=tuple(
            _measure(assessment, evidence, name, bounds) for name in whole[:MOST_MEASURES]
        ),
        measures_left=max(0, len(whole) - MOST_MEASURES),
        by_class=_by_class(assessment, evidence, families, MOST_CLASSES[paper]),
        notes=_notes(evidence),
        grids=tuple(kept),
        kept=tuple(item.name for item in grids if item not in kept),
        figures=tuple(item for item in figures if before(item.name) not in printed),
        struck=bool(measurement and measurement.withdrawn),
    )


def _notes(evidence: Evidence) -> tuple[str, ...]:
    """Notes that no table repeats as a sentence in a cell."""
    if evidence.measurement is None:
        return ()
    said = {
        cell
        for table in evidence.measurement.tables
        if len(table.rows) <= SHORT
        for row in table.rows
        for cell in row
        if isinstance(cell, str) and len(cell) >= SENTENCE
    }
    return tuple(
        note for note in evidence.measurement.notes if not any(cell in note for cell in said)
    )


def _gone(
    assessment: Assessment, evidence: Evidence, values: Mapping[str, float | None]
) -> list[str]:
    """Metrics that the baseline had and this version has not; none where nothing was measured."""
    if assessment.baseline is None or not values:
        return []
    start = f"{evidence.analysis}."
    mine = (name for name in assessment.baseline.metrics if name.startswith(start))
    return sorted({name.removeprefix(start) for name in mine} - set(values))


def _measure(
    assessment: Assessment, evidence: Evidence, name: str, bounds: Mapping[str, FindingText]
) -> Measure:
    metric = f"{evidence.analysis}.{name}"
    texts, measurement = metric_texts(metric), evidence.measurement
    value = None if measurement is None else measurement.metrics.get(name)
    interval = None if measurement is None else measurement.intervals.get(name)
    baseline = None if assessment.baseline is None else assessment.baseline.metrics.get(metric)
    apart = _apart(bounds.get(metric))
    return Measure(
        metric=name,
        name=texts.name,
        meaning=_meaning(texts),
        value=NOT_MEASURED if value is None else _aligned(value, texts.unit, apart),
        interval="" if interval is None else span(interval, texts.unit, apart),
        method="" if interval is None else _method(interval),
        before="" if baseline is None else _aligned(baseline, texts.unit),
        change="" if baseline is None or value is None else _change(value - baseline, texts.unit),
    )


def _aligned(value: float, unit: str, apart: tuple[float | None, ...] = ()) -> str:
    """A value for a column, where shares have one decimal each."""
    return amount(value, unit, apart, decimals=1 if unit in {"percent", "points"} else 0)


def _change(value: float, unit: str) -> str:
    return change(value, unit) if value else "0"


def _apart(finding: FindingText | None) -> tuple[float | None, ...]:
    if finding is None:
        return ()
    expectation = finding.record.expectation
    return (expectation.at_least, expectation.at_most)


def _meaning(texts: MetricTexts) -> str:
    better = {"higher": "; more is better", "lower": "; less is better"}.get(texts.better or "", "")
    return f"Whether {texts.whether.replace('{class}', 'the class')}{better}."


def _method(interval: Interval) -> str:
    level = f"{interval.level:.0%}".replace("%", "\u202f%")
    return f"{interval.method}, {level}, n\u00a0=\u00a0{interval.n:,}"


def _by_class(
    assessment: Assessment, evidence: Evidence, families: Sequence[str], most: int
) -> ByClass | None:
    measurement, names = evidence.measurement, assessment.validation.class_names
    if measurement is None or not families:
        return None
    first = metric_texts(f"{evidence.analysis}.{families[0]}.{names[0]}")
    sense = -1 if first.better == "lower" else 1

    def rank(name: str) -> tuple[bool, float]:
        value = measurement.metrics.get(f"{families[0]}.{name}")
        return value is None, 0.0 if value is None else sense * value

    shown = sorted(names, key=rank)[:most]
    units = [metric_texts(f"{evidence.analysis}.{item}.{names[0]}") for item in families]
    rows = tuple(
        (
            name,
            tuple(
                _cell(
                    measurement.metrics.get(f"{family}.{name}"),
                    measurement.intervals.get(f"{family}.{name}"),
                    texts.unit,
                )
                for family, texts in zip(families, units, strict=True)
            ),
        )
        for name in shown
    )
    return ByClass(
        heads=tuple(texts.name.replace("{class}", "the class") for texts in units),
        metrics=tuple(families),
        rows=rows,
        left=len(names) - len(shown),
    )


def _cell(value: float | None, interval: Interval | None, unit: str) -> tuple[str, str]:
    if value is None:
        return NOT_MEASURED, ""
    return _aligned(value, unit), "" if interval is None else span(interval, unit)

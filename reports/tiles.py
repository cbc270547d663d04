"""Tiles: the three headline numbers of a report, each on its scale."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from governance.records.assessment import Assessment
from governance.records.decision import Finding
from governance.records.evidence import Interval
from governance.records.policy import Expectation
from reports.amounts import amount, bound, change, span
from reports.class_names import class_of, named, noun_of
from reports.findings import FindingText, by_metric
from reports.metric_texts import metric_texts
from reports.prose import printable
from reports.scales import Arrow, Scale, arrow, lowest_share, tile_scale

__all__ = ["Tile", "asked_of_each", "tiles"]

ACCURACY, WORST = "performance.accuracy", "performance.recall_worst"
RECALL, SHORT_CLASSES = "performance.recall.", "performance.classes_short"
#: Letters of a name that fits above a mark.
SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One of the three headline numbers.

    Attributes:
        title: Name of the number, with its class.
        outcome: Outcome of the requirement on it; empty where there is none.
        word: The outcome in words.
        value: The number with its unit.
        scale: The number on its scale; None where there is no requirement.
        arrow: The change on its scale; None on the other tiles.
        notes: At most two lines below.
    """

    title: str
    outcome: str
    word: str
    value: str
    scale: Scale | None = None
    arrow: Arrow | None = None
    notes: tuple[str, ...] = ()


def tiles(assessment: Assessment, told: Sequence[FindingText]) -> tuple[Tile, ...]:
    """All images, the lowest class, and the change of that class since the baseline.

    Args:
        assessment: The assessment as recorded.
        told: Its findings in words.
    """
    required = by_metric(told)
    worst = class_of(assessment, WORST, metric_texts(WORST))
    shares = [assessment.metrics.get(name) for name in (ACCURACY, WORST)]
    lowest_class = required.get(WORST) or asked_of_each(assessment, required.get(SHORT_CLASSES))
    for name, item in ((ACCURACY, required.get(ACCURACY)), (WORST, lowest_class)):
        interval = assessment.intervals.get(name)
        shares += [] if interval is None else [interval.low]
        shares += [] if item is None else [item.record.expectation.at_least, item.before]
    lowest = lowest_share(shares)
    noun = noun_of(assessment)
    name = "Lowest class" if worst is None else f"Lowest: {named(worst, noun)}"
    return (
        _tile(assessment, required.get(ACCURACY), ACCURACY, "All images right", lowest),
        _tile(assessment, lowest_class, WORST, name, lowest),
        _change(assessment, worst, lowest),
    )


def _tile(
    assessment: Assessment, item: FindingText | None, metric: str, title: str, lowest: float
) -> Tile:
    value, interval = assessment.metrics.get(metric), assessment.intervals.get(metric)
    if value is None:
        return Tile(title=title, outcome="missing", word="not measured", value="not measured")
    apart = () if item is None else _limits(item)
    notes = [] if interval is None else [_of_images(interval, apart)]
    if item is not None and item.baseline:
        notes.append(item.baseline.rstrip(".").replace(" had ", ": "))
    return Tile(
        title=title,
        outcome="" if item is None else item.outcome,
        word="no bound set" if item is None else item.word,
        value=amount(value, "percent", apart, decimals=1),
        scale=None if item is None else tile_scale(item, lowest, item.before),
        notes=tuple(notes),
    )


def asked_of_each(assessment: Assessment, short: FindingText | None) -> FindingText | None:
    """The requirement on classes that fall short, as one on the lowest of them, for its tile."""
    value, interval = assessment.metrics.get(WORST), assessment.intervals.get(WORST)
    parameters = next(
        (e.parameters for e in assessment.evidence if e.analysis == "performance"), {}
    )
    asked = parameters.get("class_recall")
    if short is None or value is None or not isinstance(asked, int | float):
        return None
    expectation = Expectation(metric=WORST, at_least=float(asked))
    record = Finding(
        expectation=expectation, observed=value, interval=interval, outcome=short.outcome, reason=""
    )
    return replace(
        short, metric=WORST, record=record, value=amount(value, "percent", (asked,)),
        requirement=f"{bound(asked, 'percent')} asked",
        interval="" if interval is None else span(interval, "percent", (asked,)),
        before=_before(assessment, short.class_name),
    )  # fmt: skip


def _before(assessment: Assessment, name: str | None) -> float | None:
    baseline = assessment.baseline
    return None if baseline is None else baseline.metrics.get(f"{RECALL}{name}")


def _limits(item: FindingText) -> tuple[float | None, ...]:
    return (item.record.expectation.at_least, item.record.expectation.at_most)


def _of_images(interval: Interval, apart: Sequence[float | None]) -> str:
    return f"{span(interval, 'percent', apart)} of {interval.n:,} images"


def _change(assessment: Assessment, worst: str | None, lowest: float) -> Tile:
    """What changed since the baseline in the lowest class, or in all images."""
    baseline = assessment.baseline
    if baseline is None:
        return Tile(
            title="Change", outcome="inapplicable", word="not applicable", value="\N{EN DASH}",
            arrow=arrow(None, None, lowest), notes=("No version to compare with",),
        )  # fmt: skip
    noun = noun_of(assessment)
    choices = [(ACCURACY, "Change: all images")]
    if worst is not None:
        choices.insert(0, (f"{RECALL}{worst}", f"Change: {named(worst, noun)}"))
    for metric, title in choices:
        old, new = baseline.metrics.get(metric), assessment.metrics.get(metric)
        if old is not None and new is not None:
            notes = [f"From {amount(old, 'percent')} to {amount(new, 'percent')}"]
            if baseline.validation_digest != assessment.validation.digest:
                notes.append("Measured on other images")
            elif metric != ACCURACY:
                notes.append(_whole_change(assessment))
            return Tile(
                title=title,
                outcome="",
                word="no bound set",
                value=change(new - old, "percent"),
                arrow=arrow(old, new, lowest, _versions(assessment)),
                notes=tuple(item for item in notes if item),
            )
    return Tile(title="Change", outcome="missing", word="not measured", value="not measured")


def _versions(assessment: Assessment) -> tuple[str, str]:
    """Names of the baseline and of this version, where they are short."""
    old = assessment.baseline.identity.version if assessment.baseline else None
    names = [
        f"version {printable(item)}" if item else "" for item in (old, assessment.identity.version)
    ]
    return (names[0], names[1]) if all(len(item) <= SHORT for item in names) else ("", "")


def _whole_change(assessment: Assessment) -> str:
    old = assessment.baseline.metrics.get(ACCURACY) if assessment.baseline else None
    new = assessment.metrics.get(ACCURACY)
    return "" if old is None or new is None else f"All images: {change(new - old, 'percent')}"

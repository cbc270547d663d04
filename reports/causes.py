"""Causes: what the evidence points to where a requirement is not met, and no more than that.

A cause is only claimed where an analysis measured it; else the sentence begins with "Cannot tell".
"""

from collections.abc import Iterator

from governance.records.assessment import Assessment
from governance.records.decision import Finding
from reports.amounts import amount
from reports.class_names import named, table_of
from reports.metric_texts import MetricTexts

__all__ = ["ABOUT_RECALL", "cause"]

UNKNOWN = "Cannot tell."
#: Metrics that speak of the misread images of a class.
ABOUT_RECALL = ("performance.recall", "performance.classes_short")
#: Share of the misread images from which one other class is named as what they are taken for.
MOSTLY = 0.6
#: Misread images from which their spread over classes says anything.
LEAST = 5


def cause(
    assessment: Assessment, finding: Finding, texts: MetricTexts, name: str | None, noun: str
) -> str:
    """What the evidence points to, in sentences.

    Args:
        assessment: The assessment as recorded.
        finding: One that is not met or not measured.
        texts: Those of its metric.
        name: Class that the metric is about; None for none.
        noun: Noun for a class.
    """
    if finding.outcome == "missing":
        return _left_open(assessment, finding)
    hints = [*_hints(assessment, finding.expectation.metric, name, noun)]
    if texts.points_to:
        hints.append(texts.points_to.replace("{class}", named(name, noun)))
    return " ".join([UNKNOWN, *hints])


def _left_open(assessment: Assessment, finding: Finding) -> str:
    """What an analysis says that it could not answer, and why."""
    analysis = finding.expectation.metric.partition(".")[0]
    for item in assessment.evidence:
        if item.analysis == analysis and item.measurement is not None:
            return " ".join(
                f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in item.measurement.unanswered
            )
    return ""


def _hints(assessment: Assessment, metric: str, name: str | None, noun: str) -> Iterator[str]:
    if name is None or not metric.startswith(ABOUT_RECALL):
        return
    gap = f"layer_prediction.lens_probe_gap.{name}"
    interval, value = assessment.intervals.get(gap), assessment.metrics.get(gap)
    if interval is not None and value is not None and interval.low > 0:
        yield (
            f"The layers see more of {named(name, noun)} than the answer names "
            f"({amount(value, 'points')}), which points to the training images."
        )
    yield from _taken_for(assessment, name, noun)


def _taken_for(assessment: Assessment, name: str, noun: str) -> Iterator[str]:
    table = table_of(assessment, "performance", "confusions")
    if table is None or not {"class", "named", "images"} <= set(table.columns):
        return
    places = [table.columns.index(column) for column in ("class", "named", "images")]
    taken = {
        str(row[places[1]]): row[places[2]]
        for row in table.rows
        if row[places[0]] == name and isinstance(row[places[2]], int)
    }
    misread = sum(count for count in taken.values() if isinstance(count, int))
    if misread < LEAST:
        return
    other, most = max(taken.items(), key=lambda item: item[1] if isinstance(item[1], int) else 0)
    if isinstance(most, int) and most >= MOSTLY * misread:
        yield f"{most} of the {misread} misread images are taken for {named(other, noun)}."
    else:
        yield (
            f"The {misread} misread images go to {len(taken)} other classes, not to one look-alike."
        )

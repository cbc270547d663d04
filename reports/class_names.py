"""Class names in sentences: which class a number is about, and its untrusted name made harmless."""

import re

from governance.records.assessment import Assessment
from governance.records.evidence import Table
from governance.records.policy import CLASS
from reports.metric_texts import MetricTexts
from reports.prose import printable

__all__ = ["CLASS_NOUN", "class_of", "named", "noun_of", "table_of"]

#: Noun of a class where its owner states none.
CLASS_NOUN = "class"
#: A name that reads as one within a sentence; any other one is quoted.
PLAIN = re.compile(r"[^\W_][\w.+-]*")
LONG, LONGEST_PLAIN, KEPT = 60, 24, 40


def class_of(assessment: Assessment, metric: str, texts: MetricTexts) -> str | None:
    """The class that a metric is about: the one it names, or the one with the worst value.

    Args:
        assessment: The assessment as recorded.
        metric: Full name of the metric.
        texts: Its texts.

    Returns:
        None where the metric is about no single class, or the record does not tell which.
    """
    names = assessment.validation.class_names
    stem, _, name = metric.rpartition(".")
    if "." in stem and name in names:
        return name
    analysis = metric.partition(".")[0]
    family, mark, end = texts.found_at.partition(CLASS)
    if mark:
        values = {name: assessment.metrics.get(f"{analysis}.{family}{name}{end}") for name in names}
        known = {name: value for name, value in values.items() if value is not None}
    else:
        known = _column(assessment, analysis, *texts.found_at.partition(".")[::2])
    if not known:
        return None
    worst = min if texts.better == "higher" or texts.lowest_of_class else max
    return worst(known, key=lambda item: known[item])


def _column(assessment: Assessment, analysis: str, table: str, column: str) -> dict[str, float]:
    """The values of a column by the class of their row."""
    found = table_of(assessment, analysis, table)
    if found is None or not {"class", column} <= set(found.columns):
        return {}
    place, value = found.columns.index("class"), found.columns.index(column)
    known = set(assessment.validation.class_names)
    return {
        str(row[place]): float(row[value])  # type: ignore[arg-type]  # a number, as asked for
        for row in found.rows
        if row[place] in known and isinstance(row[value], int | float)
    }


def table_of(assessment: Assessment, analysis: str, name: str) -> Table | None:
    """A table among the evidence that may be relied on; None where there is none of that name."""
    for item in assessment.evidence:
        measurement = item.measurement
        if item.analysis == analysis and measurement is not None and not measurement.withdrawn:
            return next((table for table in measurement.tables if table.name == name), None)
    return None


def noun_of(assessment: Assessment) -> str:
    """The noun of a class, as the model's owner states it."""
    card = assessment.policy.card
    return CLASS_NOUN if card is None or card.class_noun is None else card.class_noun


def named(name: str | None, noun: str = CLASS_NOUN) -> str:
    """A class within a sentence, such as "class 8" or "the digit 8".

    Plain names stand as they are and all others in quotation marks, since a class name is text of
    strangers and may read like part of the sentence. Very long ones are told by their beginning
    and their length.
    """
    if name is None:
        return f"one {noun}"
    called = noun if noun == CLASS_NOUN else f"the {printable(noun)}"
    shown = " ".join(printable(name).split())
    if len(shown) > LONG:
        shown = f"{shown[:KEPT]} [{len(name)} characters]"
    if len(shown) <= LONGEST_PLAIN and PLAIN.fullmatch(shown):
        return f"{called} {shown}"
    inner = shown.replace("“", "'").replace("”", "'")  # so that the quotation ends where it ends
    return f"{called} “{inner}”"

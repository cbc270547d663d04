"""Metric texts: what each metric means to someone who reads a report, from `metrics.toml`.

The texts stand here and not in the analyses since a report must be printable without them. A test
holds that every metric of the analyses has its texts. A metric of another distribution is named
after its id.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from governance.records.policy import CLASS

__all__ = ["MetricTexts", "all_metric_texts", "metric_texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTexts:
    """The standing texts of a metric; those that hold `{class}`, `{value}`, `{hits}` are filled in.

    Attributes:
        name: Human name, as it stands in a heading.
        better: Which way is better; None where it is not known.
        unit: One of `reports.amounts.UNITS`.
        whether: The question, as a clause after "whether".
        says: The measured value in a clause.
        title: What is wrong where the requirement is not met.
        consequence: What remains a risk if such a version is released; empty if not stated.
        remedy: What to do, as instructions; empty if not stated.
        points_to: What a miss points to, where that follows from the measurement; else empty.
        lowest_of_class: Whether the class is the one of the lowest value, though less of the metric
            itself is better.
        weak: Value from which the evidence is called weak; None where none is.
        found_at: Where the class of the metric stands: `metric.{class}` or `table.column`.
    """

    name: str
    better: Literal["higher", "lower"] | None
    unit: str
    whether: str
    says: str
    title: str
    consequence: str = ""
    remedy: str = ""
    points_to: str = ""
    lowest_of_class: bool = False
    weak: float | None = None
    found_at: str = ""


def metric_texts(metric: str) -> MetricTexts:
    """The texts of a metric by its full name, such as `performance.recall.8`."""
    known = all_metric_texts()
    if metric in known:
        return known[metric]
    for pattern, texts in known.items():
        start, mark, end = pattern.partition(CLASS)
        if mark and metric.startswith(start) and metric.endswith(end):
            return texts
    return _unknown(metric)


@cache
def all_metric_texts() -> Mapping[str, MetricTexts]:
    """The texts of all metrics of this distribution, by full name."""
    content = (files("reports") / "metrics.toml").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            f"{analysis}.{name}": _texts(entry)
            for analysis, entries in tomllib.loads(content).items()
            for name, entry in entries.items()
        }
    )


def _texts(entry: Mapping[str, Any]) -> MetricTexts:
    left = dict(entry)
    return MetricTexts(found_at=left.pop("class", ""), **left)


def _unknown(metric: str) -> MetricTexts:
    analysis, _, name = metric.partition(".")
    # What a metric of another distribution is called may hold anything; braces would be slots.
    name = name.replace("{", "(").replace("}", ")").replace("_", " ").strip() or metric
    called = f"{name} ({analysis.replace('_', ' ')})".replace("{", "(").replace("}", ")")
    return MetricTexts(
        name=called[:1].upper() + called[1:],
        better=None,
        unit="number",
        whether=f"the requirement on {called} is met",
        says=f"{called} is {{value}}",
        title=f"{called} is {{value}}",
    )

"""Measurement: a comparison as evidence with metrics that a policy can name."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from governance.drift.answers import Comparison
from governance.drift.flips import showable
from governance.records.evidence import Figure, Interval, Measurement, Metric
from governance.records.wording import missing

__all__ = ["METRICS", "to_measurement"]

FLIPPED = ("newly_wrong_share", "newly_right_share", "classes_worse")

#: Metrics that a policy may name as `drift.<name>`.
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "distance": Metric(
            meaning="Mean distance (1 - rank correlation) of the heat maps to those of the "
            "previous version and of the reference runs, on the same images.",
            better="lower",
            highest=2.0,
        ),
        "upper": Metric(
            meaning="Upper end of the one-sided 95 % interval of `distance`.",
            better="lower",
            highest=None,
        ),
        "excess": Metric(
            meaning="Metric `upper` divided by the tolerance; above 1, equivalence is not shown.",
            better="lower",
            highest=None,
        ),
        "drifted": Metric(
            meaning="1 if the verdict is DRIFT, else 0, which alone does not show equivalence. "
            "Missing if drift could not have been found (neither a tolerance nor enough reference "
            "runs), or if a statistic that the policy names was not measured.",
            better="lower",
        ),
        "p": Metric(
            meaning="P-value of the rank test that the version is one more harmless run; missing "
            "with fewer than 4 reference runs.",
            better="higher",
        ),
        "changed_reason_share": Metric(
            meaning="Share of the images that both versions answer rightly whose heat map moved "
            "beyond the noise limit.",
            better="lower",
        ),
        "rules_held": Metric(
            meaning="Share of the previous version's recorded rules that still hold.",
            better="higher",
        ),
        "matched_correlation": Metric(
            meaning="Median correlation of the filters matched between the versions; below 0.6 "
            "they are not comparable.",
            better="higher",
            lowest=-1.0,
        ),
        "to_first": Metric(
            meaning="Mean distance of the heat maps to those of the version that was approved "
            "first.",
            better="lower",
            highest=2.0,
        ),
        "to_first_upper": Metric(
            meaning="Upper end of the one-sided 95 % interval of `to_first`.",
            better="lower",
            highest=None,
        ),
        "false_alarm_rate": Metric(
            meaning="Share of the reference runs that would be called drifted if they were the new "
            "version (leave-one-out).",
            better="lower",
        ),
        "references": Metric(
            meaning="Number of reference runs behind the answers.", better="higher", highest=None
        ),
        "accuracy_change": Metric(
            meaning="Accuracy of the new version minus that of the previous one.",
            better="higher",
            lowest=-1.0,
        ),
        "newly_wrong_share": Metric(
            meaning="Share of all images that the previous version answers rightly and the new one "
            "does not (negative flips).",
            better="lower",
        ),
        "newly_right_share": Metric(
            meaning="Share of all images that the new version answers rightly and the previous one "
            "does not (positive flips).",
            better="higher",
        ),
        "classes_worse": Metric(
            meaning="Number of classes on which the new version is shown to be worse: p of "
            "McNemar's exact test at most 0.05, adjusted for all classes.",
            better="lower",
            highest=None,
        ),
    }
)


def to_measurement(
    comparison: Comparison,
    figures: Sequence[Figure] = (),
    *,
    withdrawn: Sequence[str] = (),
) -> Measurement:
    """A comparison as a measurement with the metrics of `METRICS`.

    Args:
        comparison: Comparison of two versions.
        figures: Figures of the comparison (`governance.drift.pictures.pictures`).
        withdrawn: Reasons why it must not be relied on, such as a failed self-test.
    """
    answers = (
        comparison.identity, comparison.exchangeability, comparison.equivalence,
        comparison.to_first,
    )  # fmt: skip
    return Measurement(
        metrics=_values(comparison),
        intervals=_intervals(comparison),
        figures=tuple(figures),
        tables=comparison.tables,
        notes=(
            f"{comparison.verdict}: {' '.join(comparison.reasons)}",
            *([comparison.flips.words] if comparison.flips else ()),
            *(answer.words for answer in answers if answer),
            *_undefined(comparison),
            comparison.false_alarms.words,
            *comparison.notes,
        ),
        withdrawn=tuple(withdrawn),
    )


def _values(comparison: Comparison) -> dict[str, float | None]:
    first, tolerance = comparison.to_first, comparison.tolerance
    before, after = comparison.beside.get("performance.accuracy", (None, None))
    return {
        "distance": comparison.distance,
        "upper": comparison.upper,
        "excess": comparison.upper / tolerance if tolerance else None,
        "drifted": _drifted(comparison),
        "p": comparison.exchangeability.p,
        "changed_reason_share": comparison.reason_share,
        "rules_held": comparison.rules_held,
        "matched_correlation": comparison.matching.correlation,
        "to_first": first.statistic if first else None,
        "to_first_upper": first.interval.high if first and first.interval else None,
        "false_alarm_rate": comparison.false_alarms.rate,
        "references": float(len(comparison.references)),
        "accuracy_change": None if before is None or after is None else after - before,
        **_flipped(comparison),
    }


def _flipped(comparison: Comparison) -> dict[str, float | None]:
    """Shares of newly wrong and newly right images, and classes that are worse.

    They are missing where a record lacks the answer to every image: shares of the images that
    happen to have heat maps are others.
    """
    found = comparison.flips
    if found is None or not found.everything:
        return dict.fromkeys(FLIPPED)
    wrong, right = len(found.turned.wrong), len(found.turned.right)
    n = found.turned.n
    worse = float(len(found.worse)) if showable(found.turned) else None
    return dict(zip(FLIPPED, (wrong / n, right / n, worse), strict=True))


def _drifted(comparison: Comparison) -> float | None:
    """1 for DRIFT, 0 if drift would have been found; None if that is unknown."""
    if comparison.verdict == "DRIFT":
        return 1.0
    shown = comparison.testable or comparison.verdict == "EQUIVALENT"
    return 0.0 if shown and not comparison.unmeasured else None


def _undefined(comparison: Comparison) -> Iterator[str]:
    """Why metrics are unknown, where they are."""
    if comparison.flips is None or not comparison.flips.everything:
        yield missing(list(FLIPPED), "a record does not hold the answer to every image")
    elif not showable(comparison.flips.turned):
        yield missing(["classes_worse"], "every class has too few images to be shown to be worse")
    if _drifted(comparison) is not None:
        return
    if comparison.unmeasured:
        why = f"these statistics were not measured: {', '.join(comparison.unmeasured)}"
        yield missing(["drifted"], why)
        return
    count = len(comparison.references)
    why = (
        f"no tolerance is declared and {count} reference runs are too few for a p-value of alpha: "
        "drift could not have been found"
    )
    yield missing(["drifted"], why)


def _intervals(comparison: Comparison) -> dict[str, Interval]:
    first = comparison.to_first
    intervals = {
        "distance": comparison.equivalence.interval,
        "changed_reason_share": comparison.reason_interval,
        "rules_held": comparison.rules_interval,
        "to_first": first.interval if first else None,
        "false_alarm_rate": comparison.false_alarms.interval,
    }
    if comparison.flips and comparison.flips.everything:
        intervals["newly_wrong_share"] = comparison.flips.wrong
        intervals["newly_right_share"] = comparison.flips.right
    return {name: item for name, item in intervals.items() if item}

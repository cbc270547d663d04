"""Lineage: the recorded versions and runs that a version is compared with, and their history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from governance.records.assessment import Assessment, Baseline
from governance.records.evidence import Interval
from governance.records.serialisation import to_data

__all__ = ["Entry", "History", "Lineage", "Measured"]

#: A value with its interval, either of them missing.
Measured = tuple[float | None, Interval | None]
ACCURACY = "performance.accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What went before a version, as it was recorded.

    Attributes:
        previous: The version it would replace; None where there is none.
        first: The version that was approved first; None where that is `previous`, or not known.
        references: Harmless runs recorded with `previous`, of the kind that the policy asks for.
        planted: A copy of `previous` with a fault planted on purpose, recorded by `governance drift
            selftest`; a detector that does not find it must not gate.
        data: Names and digests of the data sets that the training run of the version logged.
        unknown: Why nothing can be said about earlier versions; None where MLflow was asked.
    """

    previous: Assessment | None = None
    first: Assessment | None = None
    references: tuple[Assessment, ...] = ()
    planted: Assessment | None = None
    data: tuple[tuple[str, str], ...] = ()
    unknown: str | None = None

    @property
    def baseline(self) -> Baseline | None:
        """The previous version, as an assessment keeps it."""
        found = self.previous
        if found is None:
            return None
        return Baseline(
            identity=found.identity,
            assessment_digest=found.digest,
            validation_digest=found.validation.digest,
            verdict=found.decision.verdict,
            metrics=found.metrics,
            intervals=found.intervals,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version in the history of a registered model.

    Attributes:
        version: Its number.
        verdict: Of its record; its status where it has none to be relied on.
        created: When it was assessed; empty where it was not.
        digest: Of its record.
        metrics: Of its record, by full name.
        intervals: Of those metrics that have one.
        to_previous: Mean map distance to the version before that could be compared.
        to_first: Mean map distance to the first version that could be compared.
        drift: What was said of its drift when it was assessed, such as `DRIFT`.
        problems: Why something of this is missing.
    """

    version: str
    verdict: str
    created: str = ""
    digest: str = ""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    to_previous: Measured = (None, None)
    to_first: Measured = (None, None)
    drift: str = ""
    problems: tuple[str, ...] = ()

    def measured(self, name: str) -> Measured:
        """A metric of the record with its interval."""
        return self.metrics.get(name), self.intervals.get(name)

    @property
    def accuracy(self) -> Measured:
        """Of the record."""
        return self.measured(ACCURACY)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The versions of a registered model, the oldest first."""

    name: str
    entries: tuple[Entry, ...]

    def summary(self) -> dict[str, Any]:
        """Plain data for machines."""
        data: dict[str, Any] = to_data(self)
        return data

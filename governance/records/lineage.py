"""Lineage: the recorded versions and runs that a version is compared with, and their history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from governance.records.assessment import Assessment, Baseline
from governance.records.evidence import Interval
from governance.records.serialisation import to_data

__all__ = ["History", "HistoryEntry", "Lineage", "Measured"]

#: A value with its interval, either of them missing.
Measured = tuple[float | None, Interval | None]
ACCURACY = "performance.accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The records that a version is compared with.

    Attributes:
        previous: Record of the version that this one would replace; None if there is none.
        first: Record of the version that was approved first; None if that is `previous`, or if it
            is not known.
        references: Records of the reference runs of `previous`, of the kind that the policy names.
        planted: Record of a copy of `previous` with a test fault, made by `governance drift
            selftest`. If the comparison does not find that fault, its evidence is withdrawn.
        data: Names and digests of the data sets that the version's training run logged.
        unknown: Reason why nothing is known about earlier versions; None if MLflow was asked.
    """

    previous: Assessment | None = None
    first: Assessment | None = None
    references: tuple[Assessment, ...] = ()
    planted: Assessment | None = None
    data: tuple[tuple[str, str], ...] = ()
    unknown: str | None = None

    @property
    def baseline(self) -> Baseline | None:
        """The previous version in the form that an assessment keeps."""
        previous = self.previous
        if previous is None:
            return None
        return Baseline(
            identity=previous.identity,
            assessment_digest=previous.digest,
            validation_digest=previous.validation.digest,
            verdict=previous.decision.verdict,
            metrics=previous.metrics,
            intervals=previous.intervals,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One version in the history of a registered model.

    Attributes:
        version: Number of the version.
        verdict: Verdict of its record; its status if it has no record that can be relied on.
        created: Time of its assessment; empty if it was not assessed.
        digest: Digest of its record.
        metrics: Metrics of its record, by full name.
        intervals: Interval of each metric that has one, by full name.
        to_previous: Mean heat map distance to the nearest earlier version that could be compared.
        to_first: Mean heat map distance to the first version that could be compared.
        drift: Answer of the comparison when the version was assessed, such as `DRIFT`.
        problems: Reasons why something of this is missing, a sentence each.
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
        """Accuracy of the record with its interval."""
        return self.measured(ACCURACY)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The versions of a registered model, the oldest first.

    Attributes:
        name: Name of the registered model.
        entries: The first version and the newest ones.
        left_out: Number of versions between these that were not read.
    """

    name: str
    entries: tuple[HistoryEntry, ...]
    left_out: int = 0

    def summary(self) -> dict[str, Any]:
        """Plain data for machines."""
        data: dict[str, Any] = to_data(self)
        return data

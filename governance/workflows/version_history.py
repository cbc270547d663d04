"""Version history: what was measured of each version of a model, and how far versions moved.

Everything comes from the recorded assessments; a record that is not to be relied on leaves a gap,
and the reason stands beside it.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from governance import drift, registry
from governance.drift.version import MAPS
from governance.errors import EvidenceError
from governance.records.assessment import Assessment
from governance.records.evidence import Figure
from governance.records.lineage import History, HistoryEntry, Measured
from governance.records.policy import DRIFT

__all__ = ["LAST", "MOST_LAST", "PLOTTED", "log", "plots", "read_history"]

#: Versions that are read, the newest, besides the first; and as many as may be asked for.
LAST, MOST_LAST = 30, 1000

#: Plotted beside accuracy and drift where two versions have them.
PLOTTED = (
    "performance.accuracy",
    "performance.recall_worst",
    "layer_prediction.lens_probe_gap",
    "drift.changed_reason_share",
)
PREVIOUS, FIRST = "history.drift_to_previous", "history.drift_to_first"


def read_history(name: str, last: int = LAST) -> History:
    """Read the history of a registered model from the records of its versions.

    Args:
        name: Name of the registered model.
        last: Number of versions that are read, the newest; the first one is read besides them.

    Raises:
        SubjectError: If there is no such model.
        RegistryError: If MLflow cannot be asked.
    """
    versions = registry.all_versions(name)
    left_out = max(0, len(versions) - 1 - last)
    entries: list[HistoryEntry] = []
    first: Assessment | None = None
    before: Assessment | None = None
    for place, (version, status) in enumerate((*versions[:1], *versions[1 + left_out :])):
        if place == 1 and left_out:
            before = None  # the version before this one is not read
        number, said = version.registered_as.version, status or "no assessment"
        if registry.awaited(version) is not None:
            entries.append(HistoryEntry(version=number, verdict=said))
            continue
        try:
            found = registry.recorded(version)
        except EvidenceError as error:
            entries.append(
                HistoryEntry(version=number, verdict=f"{said}, not to be relied on",
                      problems=error.problems)
            )  # fmt: skip
            continue
        entries.append(_entry(number, found, first, before))
        if any(item.analysis == MAPS and item.measurement for item in found.evidence):
            first, before = first or found, found
    return History(name=name, entries=tuple(entries), left_out=left_out)


def _entry(
    number: str, found: Assessment, first: Assessment | None, before: Assessment | None
) -> HistoryEntry:
    entry = HistoryEntry(
        version=number,
        verdict=found.decision.verdict,
        created=found.created,
        digest=found.digest,
        metrics=found.metrics,
        intervals=found.intervals,
        drift=_said(found),
    )
    if first is None or not any(item.analysis == MAPS for item in found.evidence):
        return entry
    to_first, other = _distance(first, found)
    if before is None:
        return replace(entry, to_first=to_first, problems=other)
    previous, why = (to_first, other) if before is first else _distance(before, found)
    problems = dict.fromkeys((*why, *other))
    return replace(entry, to_previous=previous, to_first=to_first, problems=tuple(problems))


def _said(found: Assessment) -> str:
    """Verdict of the drift evidence in one word; empty if there is none."""
    for evidence in found.evidence:
        if evidence.analysis != DRIFT:
            continue
        if evidence.measurement is None:
            return evidence.failure.kind if evidence.failure else ""
        if evidence.measurement.withdrawn:
            return "withdrawn"
        table = next((item for item in evidence.measurement.tables if item.name == "answers"), None)
        return str(table.rows[0][1]) if table and table.rows else ""
    return ""


def _distance(old: Assessment, new: Assessment) -> tuple[Measured, tuple[str, ...]]:
    try:
        found = drift.compare(old, new, seed=new.policy.seed)
    except EvidenceError as error:
        return (None, None), error.problems
    return (found.distance, found.equivalence.interval), ()


def log(found: History) -> str:
    """Log a history to MLflow, as metrics whose step is the number of the version.

    Returns:
        The id of the run.

    Raises:
        RegistryError: If MLflow refuses.
    """
    entries = [entry for entry in found.entries if entry.digest]
    return registry.log_versions(
        found.name,
        {entry.version: _numbers(entry) for entry in entries},
        {entry.version: entry.digest for entry in entries},
    )


def _numbers(entry: HistoryEntry) -> dict[str, Measured]:
    return {name: entry.measured(name) for name in entry.metrics} | _drifts(entry)


def _drifts(entry: HistoryEntry) -> dict[str, Measured]:
    return {PREVIOUS: entry.to_previous, FIRST: entry.to_first}


def plots(found: History) -> tuple[Figure, ...]:
    """Plots of the history: drift, and each metric that two versions or more have."""
    drifts = {"to the previous version": PREVIOUS, "to the first version": FIRST}
    drawn = [_plot("drift", "mean map distance", found, drifts)]
    drawn += [_plot(name.replace(".", "_"), name, found, {name: name}) for name in PLOTTED]
    return tuple(figure for figure in drawn if figure is not None)


def _plot(name: str, axis: str, found: History, lines: Mapping[str, str]) -> Figure | None:
    """Lines over the versions with intervals; None if fewer than two points are known."""
    values, bands, known = {}, {}, set()
    for label, key in lines.items():
        points = [_numbers(entry).get(key, (None, None)) for entry in found.entries]
        known |= {place for place, (value, _) in enumerate(points) if value is not None}
        numbers = [math.nan if value is None else value for value, _ in points]
        values[label] = numbers
        bands[label] = (
            [ends.low if ends else numbers[place] for place, (_, ends) in enumerate(points)],
            [ends.high if ends else numbers[place] for place, (_, ends) in enumerate(points)],
        )
    if len(known) < 2:  # noqa: PLR2004 - one point is no history
        return None
    from governance.methods import figures

    versions = [f"v{entry.version}" for entry in found.entries]
    which = f": {', '.join(lines)}" if len(lines) > 1 else ""
    return Figure(
        name=name,
        caption=f"{axis} by version{which}, with intervals.",
        seen="; ".join(
            f"{label}: {figures.extremes(versions, numbers)}" for label, numbers in values.items()
        )
        + ".",
        image=figures.curves(
            versions, values,
            x_axis="version", y_axis=axis, bands=bands,
        ),
    )  # fmt: skip

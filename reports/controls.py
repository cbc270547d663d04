"""Controls: what of an assessment speaks to the controls of laws, standards and guidance.

The catalogue `controls.toml` holds identifiers and headings, no text of a clause. A row says what
supports a control, what a person stated, and what this tool cannot support. It never says that a
control is fulfilled: that is for people to judge.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from governance.records.assessment import Assessment
from governance.records.card import STATEMENTS
from governance.records.numbers import moment, number
from reports.findings import FindingText, by_metric, findings
from reports.metric_texts import metric_texts
from reports.prose import printable

__all__ = ["Catalogue", "Control", "ControlRow", "Controls", "Framework", "catalogue", "controls"]

Reading = Literal["supported", "partly", "stated", "no evidence", "not by this tool"]
#: Figures that stand in a row.
MOST_FIGURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control of a framework and what may speak to it.

    Attributes:
        id: As the document counts it.
        heading: As the document calls it, or our words where `own_heading` is true.
        own_heading: Whether the document has no heading there.
        evidence: Names of analyses or full names of metrics.
        card: Keys of statements of the model's owner.
        record: Whether the record itself is evidence.
        beyond: What this tool cannot support; empty where its evidence may be all that is needed.
    """

    id: str
    heading: str
    own_heading: bool = False
    evidence: tuple[str, ...] = ()
    card: tuple[str, ...] = ()
    record: bool = False
    beyond: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A law, standard or guidance with its controls.

    Attributes:
        id: Short name.
        title: Name of the document.
        source: Address where it is published.
        effective_from: Day from which it applies or was published; None where not checked.
        superseded_by: Id of the framework that took its place; empty where none did.
        checked_on: Day on which the entry was last looked at.
        checked: What was looked at then.
        note: What a reader must know about days and headings.
        controls: Controls in the order of the document.
    """

    id: str
    title: str
    source: str
    effective_from: date | None
    superseded_by: str
    checked_on: date
    checked: Literal["source", "secondary", "knowledge"]
    note: str
    controls: tuple[Control, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All frameworks in one version of the catalogue."""

    version: str
    frameworks: tuple[Framework, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRow:
    """What an assessment says to a control.

    Attributes:
        control: The control.
        reading: How far the assessment speaks to it.
        supported: Figures that support it; empty where there are none.
        stated: Statements of the owner that support it, by what a reader calls them.
        missing: Evidence and statements that are asked for and not there.
    """

    control: Control
    reading: Reading
    supported: tuple[str, ...]
    stated: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The mapping of an assessment to all controls.

    Attributes:
        version: Version of the catalogue.
        owner: Who made the statements; empty where nobody is named.
        times: When the policy was fixed and when the version was assessed, in a sentence.
        rows: Each framework that is not superseded, with its rows.
    """

    version: str
    owner: str
    times: str
    rows: tuple[tuple[Framework, tuple[ControlRow, ...]], ...]


@cache
def catalogue() -> Catalogue:
    """The catalogue of this package."""
    data = tomllib.loads(files("reports").joinpath("controls.toml").read_text(encoding="utf-8"))
    return Catalogue(
        version=data["version"], frameworks=tuple(_framework(item) for item in data["frameworks"])
    )


def controls(assessment: Assessment, policy_fixed: str | None = None) -> Controls:
    """What an assessment says to every control in force.

    Args:
        assessment: The assessment as recorded.
        policy_fixed: When the policy had been read, before anything was measured under it, in ISO
            8601; from the signed verdict. None where no signed verdict was asked for.
    """
    card = assessment.policy.card
    known = catalogue()
    told = by_metric(findings(assessment))
    return Controls(
        version=known.version,
        owner=(card.owner or "") if card is not None else "",
        times=_times(assessment, policy_fixed),
        rows=tuple(
            (framework, tuple(_row(assessment, told, item) for item in framework.controls))
            for framework in known.frameworks
            if not framework.superseded_by
        ),
    )


def _framework(data: Mapping[str, Any]) -> Framework:
    return Framework(
        id=data["id"],
        title=data["title"],
        source=data["source"],
        effective_from=data.get("effective_from"),
        superseded_by=data.get("superseded_by", ""),
        checked_on=data["checked_on"],
        checked=data["checked"],
        note=data.get("note", ""),
        controls=tuple(_control(item) for item in data.get("controls", ())),
    )


def _control(data: Mapping[str, Any]) -> Control:
    lists = {key: tuple(data.get(key, ())) for key in ("evidence", "card")}
    return Control(**{**data, **lists})


def _times(assessment: Assessment, policy_fixed: str | None) -> str:
    assessed = f"The version was assessed at {moment(assessment.created)}."
    if policy_fixed is None:
        return (
            f"{assessed} When its policy was fixed is part of the signed verdict, which was not "
            "asked for here."
        )
    return (
        f"The policy and its bounds were fixed at {moment(policy_fixed)}, before anything was "
        f"measured. {assessed}"
    )


def _row(assessment: Assessment, told: Mapping[str, FindingText], control: Control) -> ControlRow:
    supported, missing = _figures(assessment, told, control.evidence)
    if control.record:
        supported = ("this report and its record", *supported)
    card = assessment.policy.card
    stated = [key for key in control.card if card is not None and getattr(card, key)]
    missing += tuple(STATEMENTS[key] for key in control.card if key not in stated)
    return ControlRow(
        control=control,
        reading=_reading(control, bool(supported), bool(stated), complete=not missing),
        supported=supported,
        stated=tuple(STATEMENTS[key] for key in stated),
        missing=missing,
    )


def _reading(control: Control, supported: bool, stated: bool, *, complete: bool) -> Reading:  # noqa: FBT001 - two facts
    if not (control.evidence or control.card or control.record):
        return "not by this tool"
    if supported:
        return "supported" if complete and not control.beyond else "partly"
    return "stated" if stated else "no evidence"


def _figures(
    assessment: Assessment, told: Mapping[str, FindingText], wanted: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Figures of the evidence that is asked for, and the names of what has none."""
    figures: list[str] = []
    missing: list[str] = []
    for name in wanted:
        found = [
            metric
            for metric, value in assessment.metrics.items()
            if value is not None and (metric == name or metric.startswith(f"{name}."))
        ]
        # What the policy asks for says most; then as the analysis orders them.
        found.sort(key=lambda metric: metric not in told)
        if found:
            figures.append(_figure(assessment, told, found[0]))
        else:
            missing.append(metric_texts(name).name if "." in name else name.replace("_", " "))
    return tuple(figures[:MOST_FIGURES]), tuple(missing)


def _figure(assessment: Assessment, told: Mapping[str, FindingText], metric: str) -> str:
    text = told.get(metric)
    if text is not None:
        return f"{text.name} {text.value} ({text.word})"
    return f"{printable(metric_texts(metric).name)} {number(assessment.metrics[metric])}"

"""Drift terms: what a policy says about change between versions, its `[drift]` table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from governance.records.evidence import FILE_NAME
from governance.records.toml_reader import Reader

__all__ = ["KINDS", "Box", "DriftTerms", "Envelope", "ReferenceKind", "read_drift"]

#: Kind of reference run: `retrain` is trained again with another seed, `lineage` is fine-tuned from
#: the version, and `checkpoint` is saved along one run. Checkpoints differ too little from each
#: other to show what is normal.
ReferenceKind = Literal["retrain", "lineage", "checkpoint"]
KINDS: tuple[ReferenceKind, ...] = ("retrain", "lineage", "checkpoint")

#: Top, left, bottom and right as fractions of height and width.
Box = tuple[float, float, float, float]
CORNERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The changes that are allowed from one version to the next; None allows any.

    Attributes:
        allowed_layers: Modules whose weights may differ from the baseline version's. A name such as
            `layer4` stands for all modules inside it.
        data: Names or digests of the data sets that the version may have been trained on, as its
            training run logged them.
        drift: Largest accepted drift from the baseline version.
    """

    allowed_layers: tuple[str, ...] | None = None
    data: tuple[str, ...] | None = None
    drift: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTerms:
    """Definition of drift in a policy, and how much of it is accepted.

    Attributes:
        tolerance: Mean heat map distance up to which two versions count as equivalent; if not
            given, the distances that the reference runs show among each other.
        alpha: Proportion of harmless versions that may be called drifted.
        statistics: Statistics that are compared: `rank`, `top`, `region:<name>`, `lens`,
            `importance`, `rules` and `verified`; all that both records hold if not given.
        regions: Declared parts of the image, by name.
        references: Kind of the reference runs to compare with; `lineage` are fine-tunes.
        budget: Largest accepted drift from the version that was approved first.
        envelope: Allowed changes from the baseline version; None allows any.
    """

    tolerance: float | None = None
    alpha: float = 0.1
    statistics: tuple[str, ...] = ()
    regions: Mapping[str, Box] = field(default_factory=dict)
    references: ReferenceKind = "retrain"
    budget: float | None = None
    envelope: Envelope | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", MappingProxyType(dict(self.regions)))


def read_drift(policy: Reader) -> DriftTerms | None:
    """The terms in the `[drift]` table of a policy; None where there is no such table."""
    table = policy.table("drift")
    if not policy.has("drift"):
        return None
    alpha = table.number("alpha", DriftTerms().alpha, above=0) or DriftTerms().alpha
    if alpha >= 1:
        table.problem("alpha", f"is {alpha:g}; a number between 0 and 1 is accepted")
    terms = DriftTerms(
        tolerance=table.number("tolerance", None, above=0),
        alpha=alpha,
        statistics=table.texts("statistics", ()) or (),
        regions=_regions(table.table("regions")),
        references=table.choice("references", "retrain", KINDS),  # type: ignore[arg-type]
        budget=table.number("budget", None, above=0),
        envelope=_envelope(table.table("envelope")) if table.has("envelope") else None,
    )
    table.done()
    return terms


def _regions(table: Reader) -> dict[str, Box]:
    boxes: dict[str, Box] = {}
    for name in table.names:
        if not FILE_NAME.fullmatch(name):
            table.problem(name, "is no name; small letters, digits and _ are accepted")
        box = table.numbers(name, None, count=CORNERS)
        if box is None:
            continue
        top, left, bottom, right = box
        if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
            table.problem(
                name, f"is {list(box)}; [top, left, bottom, right] as fractions of height and "
                "width is accepted, with top above bottom and left before right",
            )  # fmt: skip
            continue
        boxes[name] = (top, left, bottom, right)
    return boxes


def _envelope(table: Reader) -> Envelope:
    envelope = Envelope(
        allowed_layers=table.texts("allowed_layers", None),
        data=table.texts("data", None),
        drift=table.number("drift", None, above=0),
    )
    if not table.has("allowed_layers", "data", "drift"):
        table.problem("drift", "missing; one of allowed_layers, data and drift is needed")
    table.done()
    return envelope

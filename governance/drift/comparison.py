"""Drift: whether a new version of a model still decides for the same reasons.

Purpose
    A version may be as accurate as the one before and decide for other reasons. This comparison
    puts two recorded versions, and reference runs beside them, to three questions that are answered
    apart. Is anything different beyond the explainer's own noise (identity)? Could the new version
    be one more harmless run (exchangeability)? Is the change inside what is tolerated
    (equivalence)?

Method
    Everything is read from the records of explanation_maps, and of the other analyses where both
    versions hold them; no model runs. The drift of a version is the mean distance of its maps (1 -
    rank correlation, on the same images, for the same class) to those of the old version and of
    all reference runs, which are harmless. Its rank among the drifts of the reference runs is the
    p-value, since the replicate is the training run and not the image. All statistics share one
    rank test through the largest of their standardised values. The upper end of a bootstrap over
    runs and images at once is held against the tolerance: the declared one, or the 95 % point of
    the reference runs. Filters are matched by their response profiles on the same images (Hungarian
    method). There are three controls: every reference run is judged as if it were the new version,
    the same weights are compared on disjoint images, and a test fault must be found.

Signs of risk
    The verdict is DRIFT. A large share of the images that both versions answer rightly have maps
    that moved. One class alone changed. The equivalence rests on reference runs that differ widely
    themselves.

Limits
    What harmless runs vary in is not seen as drift. A change that maps on these images do not show
    is not seen at all: a learnt mark shows best on images that carry it. With m reference runs no
    p-value is below 1/(m + 1), and without any and without a tolerance drift is unknown. Reference
    runs that are checkpoints of one run vary too little, so that drift is found too often.
    EQUIVALENT speaks of these images, this explainer and this tolerance.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from governance.drift.answers import Comparison
from governance.drift.distances import SOURCES, Distances, distances, wanted
from governance.drift.identity import identity
from governance.drift.judging import false_alarms, judge, rejectable
from governance.drift.matching import matching
from governance.drift.moved import moved_images
from governance.drift.questions import (
    equivalence,
    exchangeability,
    notes,
    reasons,
    to_first,
)
from governance.drift.tables import (
    beside_table,
    class_table,
    image_table,
    lens_table,
    map_table,
    statistics_table,
)
from governance.drift.version import (
    Version,
    aligned,
    comparable_parts,
    refuse,
    version_of,
    with_maps,
)
from governance.methods.statistics.intervals import clopper_pearson
from governance.records.assessment import Assessment
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Interval

__all__ = ["compare"]

#: Numbers that stand beside every comparison, besides all of the data's.
BESIDE = (
    "performance.accuracy", "performance.recall_worst", "performance.ece", "performance.nll",
    "explanation_maps.self_agreement",
)  # fmt: skip
DATA = "data_quality."


def compare(
    old: Assessment,
    new: Assessment,
    references: Sequence[Assessment] = (),
    *,
    terms: DriftTerms | None = None,
    first: Assessment | None = None,
    asked: pd.DataFrame | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two recorded versions.

    Args:
        old: The version compared with.
        new: The version in question.
        references: Harmless runs: retrained with other seeds, or trained on from the old version.
        terms: Of the policy's `[drift]`; the defaults of `DriftTerms` if not given.
        first: The version approved first, for the drift over the whole lineage.
        asked: What the new version says to the old one's rules (the `rules` of a
            `decision_rules.recorded.RuleAgreement`), where it was asked.
        seed: Of resampling.

    Raises:
        EvidenceError: All reasons at once why the records cannot be compared: other classes or
            images, another explainer, seed or budget, nothing recorded, a version with itself.
        AnalysisError: If the terms name a statistic that does not exist.
    """
    terms = terms or DriftTerms()
    named = {"old": old, "new": new}
    named |= {f"reference {place}": item for place, item in enumerate(references, 1)}
    refuse(named)
    versions = [version_of(item) for item in named.values()]
    earliest = _first(first, old, new, versions[0])
    everyone = [*versions, *([earliest] if earliest else [])]
    aligned(everyone)
    everyone, mapless = with_maps(everyone)
    versions, earliest = everyone[: len(versions)], everyone[-1] if earliest else None
    parts = {name: comparable_parts(list(named.values()), name) for name in SOURCES.values()}
    unusable = {name: reason for name, reason in parts.items() if reason}
    found, left_out = distances(versions, terms, unusable)
    compared = _complete(_compared(versions, found, terms, seed), found, terms)
    held = _rules_held(asked)
    return replace(
        compared,
        to_first=None if earliest is None else to_first(earliest, versions[1], terms, seed),
        rules_held=held[0],
        rules_interval=held[1],
        notes=(*mapless, *left_out, *compared.notes),
    )


def _compared(
    versions: list[Version], found: Distances, terms: DriftTerms, seed: int
) -> Comparison:
    """Old and new version beside the references, by their distances."""
    (old, new, *rest), places = versions, range(2, len(versions))
    judged = judge(found, 1, places, terms, seed)
    moved = moved_images(versions, found.by_image)
    pairing, filters, about_filters = matching(old, new)
    beside = _beside(old, new)
    tables = (
        statistics_table(judged.changes, len(rest)),
        class_table(versions, found.by_image, moved),
        filters,
        image_table(old, new, moved),
        map_table(old, new, moved),
        lens_table(old, new),
        beside_table(old, new, beside),
    )
    return Comparison(
        old=old.identity, new=new.identity, kind=terms.references,
        references=tuple(item.identity.uri for item in rest),
        verdict=judged.verdict,
        testable=terms.tolerance is not None or rejectable(len(rest), terms.alpha),
        reasons=reasons(judged, terms, len(rest)),
        identity=identity(old, new, seed),
        exchangeability=exchangeability(judged, versions, terms),
        equivalence=equivalence(judged, versions, terms),
        distance=judged.estimate, upper=judged.upper, lower=judged.lower,
        tolerance=judged.tolerance,
        reason_share=moved.share, reason_interval=moved.interval, band=moved.band,
        changes=judged.changes, null=judged.null, observed=judged.observed,
        matching=pairing,
        false_alarms=false_alarms(found, places, terms, seed),
        beside=beside,
        tables=tuple(table for table in tables if table is not None),
        notes=(*about_filters, *notes(moved, terms, len(rest))),
    )  # fmt: skip


def _complete(compared: Comparison, found: Distances, terms: DriftTerms) -> Comparison:
    """What is called equivalent only where every statistic that the terms name was measured."""
    if not terms.statistics:
        return compared
    unmeasured = tuple(name for name in wanted(terms) if name not in found.between)
    if not unmeasured or compared.verdict == "DRIFT":
        return replace(compared, unmeasured=unmeasured)
    names = ", ".join(unmeasured)
    why = f"Named in [drift] and not measured: {names}; without it drift is not ruled out."
    return replace(
        compared, unmeasured=unmeasured, verdict="INCONCLUSIVE",
        reasons=(why,) if compared.verdict == "EQUIVALENT" else (*compared.reasons, why),
    )  # fmt: skip


def _first(
    first: Assessment | None, old: Assessment, new: Assessment, known: Version
) -> Version | None:
    if first is None:
        return None
    if first.identity.uri == old.identity.uri:
        return known
    refuse({"new": new, "first": first})
    return version_of(first)


def _rules_held(asked: pd.DataFrame | None) -> tuple[float | None, Interval | None]:
    if asked is None or asked.empty:
        return None, None
    held = int(asked["holds"].astype(bool).sum())
    return held / len(asked), clopper_pearson(held, len(asked))


def _beside(old: Version, new: Version) -> dict[str, tuple[float | None, float | None]]:
    known = [name for name in BESIDE if name in old.metrics and name in new.metrics]
    data = [name for name in old.metrics if name.startswith(DATA) and name in new.metrics]
    return {name: (old.metrics[name], new.metrics[name]) for name in (*known, *data)}

"""Drift: does a new version of a model still decide for the same reasons?

Purpose
    A version may be as accurate as the one before and decide for other reasons. This comparison
    asks three questions about two recorded versions and answers them separately, with reference
    runs beside them. Do the versions differ by more than the explainer's own noise (identity)?
    Could the new version be one more harmless run (exchangeability)? Is the change within the
    tolerance (equivalence)?

Method
    The comparison reads the records of explanation_maps, and those of other analyses if both
    versions have them. No model runs. The drift of a version is the mean distance of its heat maps
    to those of the old version and of all reference runs, which are harmless. The distance of two
    heat maps is 1 - rank correlation, on the same image and for the same class. The p-value is the
    rank of this drift among the drifts of the reference runs, because the training run is the
    replicate and not the image. All statistics share one rank test through the largest of their
    standardised values.

    Beside the reasons stand the answers to all images that both records hold: images that turned
    wrong or right, over all classes and by class, with McNemar's exact test (of classes, adjusted
    by Holm's method) and Newcombe's paired intervals. Each is joined with its heat maps where it
    has some, so that a changed answer can be told from a changed reason.

    A bootstrap over runs and images at once gives an interval of the drift. Its upper end is
    compared with the tolerance, which is the declared one or the 95 % point of the reference runs.
    Filters are matched by their response profiles on the same images (Hungarian method). There are
    three controls. Every reference run is judged as if it were the new version, the same weights
    are compared on disjoint images, and a test fault must be found.

Signs of risk
    The verdict is DRIFT. A large share of the images that both versions answer rightly have heat
    maps that moved. Only one class changed. A class became worse while the accuracy held. The
    equivalence rests on reference runs that differ widely themselves.

Limits
    Changes that harmless runs also show do not count as drift. A change that heat maps on these
    images do not show is not seen at all. A learnt mark shows best on images that carry it. With m
    reference runs the smallest possible p-value is 1/(m + 1). Without reference runs and without a
    tolerance, drift is unknown. Reference runs that are checkpoints of one run vary too little, so
    drift is found too often. EQUIVALENT holds for these images, this explainer and this tolerance.
"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from governance.drift.answers import Comparison
from governance.drift.distances import SOURCES, Distances, distances, wanted
from governance.drift.flips import flip_tables, flips
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

#: Metrics that stand beside every comparison, in addition to all metrics of the data quality.
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
        references: Reference runs, retrained with other seeds or trained on from the old version.
        terms: Terms of the policy's `[drift]`; the defaults of `DriftTerms` if None.
        first: The version approved first, for the drift over the whole version history.
        asked: The new version's answers to the old one's rules (the `rules` of a
            `decision_rules.recorded.RuleAgreement`), where it was asked.
        seed: Seed of the resampling.

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
    measured_distances, left_out = distances(versions, terms, unusable)
    compared = _complete(
        _compared(versions, measured_distances, terms, seed), measured_distances, terms
    )
    held = _rules_held(asked)
    return replace(
        compared,
        to_first=None if earliest is None else to_first(earliest, versions[1], terms, seed),
        rules_held=held[0],
        rules_interval=held[1],
        notes=(*mapless, *left_out, *compared.notes),
    )


def _compared(
    versions: list[Version], between: Distances, terms: DriftTerms, seed: int
) -> Comparison:
    """Old and new version beside the references, by their distances."""
    (old, new, *rest), places = versions, range(2, len(versions))
    judged = judge(between, 1, places, terms, seed)
    moved = moved_images(versions, between.by_image)
    flipped = flips(old, new)
    pairing, filters, about_filters = matching(old, new)
    beside = _beside(old, new)
    tables = (
        *(flip_tables(flipped, old, moved) if flipped else ()),
        statistics_table(judged.changes, len(rest)),
        class_table(versions, between.by_image, moved),
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
        false_alarms=false_alarms(between, places, terms, seed),
        flips=flipped,
        beside=beside,
        tables=tuple(table for table in tables if table is not None),
        notes=(*about_filters, *notes(moved, terms, len(rest))),
    )  # fmt: skip


def _complete(compared: Comparison, between: Distances, terms: DriftTerms) -> Comparison:
    """The comparison; EQUIVALENT only if every statistic that the terms name was measured."""
    if not terms.statistics:
        return compared
    unmeasured = tuple(name for name in wanted(terms) if name not in between.between)
    if not unmeasured or compared.verdict == "DRIFT":
        return replace(compared, unmeasured=unmeasured)
    names = ", ".join(unmeasured)
    why = f"Statistics named in [drift] were not measured: {names}. Drift is not ruled out."
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

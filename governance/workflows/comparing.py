"""Comparing: two models compared from their records; a model without a record is assessed first."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from governance import drift
from governance.drift import Comparison
from governance.drift.version import MAPS
from governance.errors import SubjectError
from governance.methods.misread import pictured
from governance.records.assessment import MANIFEST, Assessment
from governance.records.drift_terms import DriftTerms
from governance.records.evidence import Evidence, Measurement
from governance.records.lineage import Lineage
from governance.records.policy import DRIFT, Policy
from governance.records.serialisation import to_data
from governance.workflows.progress import Progress, silent, within

if TYPE_CHECKING:
    from governance.registry import RecordedKind

__all__ = ["Compared", "compare_models"]

PERFORMANCE = "performance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Comparison of two versions.

    Attributes:
        comparison: Answers to the three questions, and the verdict.
        evidence: The comparison as evidence, self-tests included.
        new: Assessment of the new version, with that evidence in it.
    """

    comparison: Comparison
    evidence: Evidence
    new: Assessment

    @property
    def withdrawn(self) -> tuple[str, ...]:
        """Reasons why the comparison must not be relied on; empty if it may be."""
        measurement = self.evidence.measurement
        return measurement.withdrawn if measurement else ()


def compare_models(
    old: str,
    new: str,
    *,
    policy: Policy | None = None,
    references: Sequence[str] = (),
    device: str = "auto",
    drawn: bool = True,
    progress: Progress = silent,
) -> Compared:
    """Compare two models from their recorded assessments; one without a record is assessed first.

    Args:
        old: URI of the version before, or the folder of its assessment.
        new: URI of the new version, or the folder of its assessment.
        policy: Terms of the comparison, and analyses for a model without a record. Default: the
            policy of the new version's assessment, or else of the old one's.
        references: URIs or folders of reference runs. Default: those recorded for the old version.
        device: Device on which a model without a record runs.
        drawn: Whether the evidence holds pictures.
        progress: Called as each step begins.

    Raises:
        SubjectError: If a model cannot be found or assessed.
        EvidenceError: If the records cannot be compared; all reasons at once.
        RegistryError: If MLflow refuses.
    """
    begun = time.monotonic()
    progress("reading the records", 0, 1)
    records = {place: _record(place) for place in dict.fromkeys((old, new, *references))}
    known = [records[place] for place in (new, old)]
    terms = policy or next((item.policy for item in known if item is not None), None)
    assessments = {
        place: item or _measured_now(place, terms, device, progress)
        for place, item in records.items()
    }
    progress("comparing", 0, 1)
    drifting = (terms.drift if terms else None) or DriftTerms()
    lineage = Lineage(
        previous=assessments[old],
        references=tuple(assessments[place] for place in references)
        or _runs(assessments[old], drifting.references),
        planted=next(iter(reversed(_runs(assessments[old], "planted"))), None),
        data=_data(assessments[new]),
    )
    asked = drift.asked_before(assessments[old], assessments[new])
    comparison, measurement = drift.compared(
        assessments[new],
        lineage,
        drifting,
        asked=asked,
        pixels=partial(_pixels, (assessments[old], assessments[new])),
        drawn=drawn,
    )
    seconds = round(time.monotonic() - begun, 3)
    evidence = _evidence(drifting, assessments[new].policy.seed, seconds, measurement)
    others = tuple(item for item in assessments[new].evidence if item.analysis != DRIFT)
    whole = replace(assessments[new], evidence=(*others, evidence), baseline=lineage.baseline)
    return Compared(comparison=comparison, evidence=evidence, new=whole)


def _pixels(
    records: Sequence[Assessment], comparison: Comparison
) -> dict[int, NDArray[np.float32]]:
    """Images whose answer turned, by their place, as far as the records hold pictures of them."""
    found = comparison.flips
    if found is None or not found.everything:
        return {}
    measured = (item.measurement for one in records for item in one.evidence
                if item.analysis == PERFORMANCE)  # fmt: skip
    known = {
        name: pixels
        for measurement in measured
        if measurement is not None
        for name, pixels in pictured(measurement).items()
    }
    return {item.place: known[item.name] for item in found.turned.images if item.name in known}


def _evidence(terms: DriftTerms, seed: int, seconds: float, measurement: Measurement) -> Evidence:
    return Evidence(
        analysis=DRIFT,
        about=drift.about(),
        parameters=to_data(terms),
        seed=seed,
        seconds=seconds,
        device="records",
        measurement=measurement,
        covers=drift.COVERS,
    )


def _record(place: str) -> Assessment | None:
    """The recorded assessment at a place; None if there is none, or none with maps."""
    folder = Path(place)
    if (folder / MANIFEST).is_file():
        return Assessment.load(folder)
    from governance import registry

    version = registry.resolve(place)
    if version.ref is None or registry.awaited(version) is not None:
        return None
    assessment = registry.recorded(version)
    return assessment if any(item.analysis == MAPS for item in assessment.evidence) else None


def _measured_now(place: str, policy: Policy | None, device: str, progress: Progress) -> Assessment:
    """Assess a model without a record by the analyses that a comparison needs; record nothing."""
    if policy is None:
        raise SubjectError(
            f"{place}: has no record with {MAPS}, and neither has the other; --policy FILE with "
            f"[analyses.{MAPS}] is needed, to look at them now"
        )
    from governance import registry
    from governance.workflows.assessing import measure_version
    from governance.workflows.references import ALWAYS, cheap

    version = registry.resolve(place)
    return measure_version(
        version,
        cheap(policy),
        device=device,
        standing=ALWAYS,
        progress=within(progress, version.uri),
    )


def _runs(old: Assessment, kind: "RecordedKind") -> tuple[Assessment, ...]:
    identity = old.identity
    if identity.ref is None:
        return ()
    from governance import registry

    version = registry.ModelVersion(uri=identity.uri, ref=identity.ref)
    return registry.references(version, kind)


def _data(new: Assessment) -> tuple[tuple[str, str], ...]:
    if new.identity.run_id is None:
        return ()
    from governance import registry

    return registry.training_data(
        registry.ModelVersion(uri=new.identity.uri, run_id=new.identity.run_id)
    )

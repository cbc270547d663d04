"""Self-testing: the drift detector put to the proof on one version, with a fault planted in it."""

from governance import drift, registry
from governance.drift import SelfTest
from governance.records.drift_terms import DriftTerms
from governance.records.lineage import Lineage
from governance.records.policy import Policy
from governance.workflows.orchestration import Progress
from governance.workflows.references import plant_fault

__all__ = ["prove_detector"]


def prove_detector(
    uri: str,
    *,
    recipe: str | None = None,
    policy: Policy | None = None,
    device: str = "auto",
    progress: Progress = lambda _what, _done, _total: None,
) -> tuple[str, tuple[SelfTest, ...]]:
    """Plant a fault in a version, record it, and ask the detector about it and about no change.

    What is recorded is tried again whenever a later version is compared with this one, and printed
    in its report; a fault that is not found there withdraws the comparison.

    Args:
        uri: A registered version with a recorded assessment.
        recipe: `module:function` that trains a fault; a learnt corner mark if not given.
        policy: Terms, and what the faulty copy is put through; those of the version if not given.
        device: `auto`, `cpu` or `cuda`.
        progress: Told about each step.

    Returns:
        What the fault is, and the tests.

    Raises:
        SubjectError: If the fault was not learnt, or the version cannot be opened.
        EvidenceError: If a record is not to be relied on.
        RegistryError: If MLflow refuses.
    """
    version = registry.resolve(uri)
    progress("planting a fault", 0, 2)
    faulty, what = plant_fault(uri, recipe=recipe, policy=policy, device=device)
    progress("testing the detector", 1, 2)
    before = registry.recorded(version)
    terms = (policy or before.policy).drift or DriftTerms()
    lineage = Lineage(
        previous=before,
        references=registry.references(version, terms.references),
        planted=faulty,
    )
    return what, drift.self_tests(before, before, lineage, terms)

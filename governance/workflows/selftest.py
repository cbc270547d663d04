"""Self-test: the drift detector tested on one version, with a test fault planted in it."""

from governance import drift, registry
from governance.drift import SelfTest
from governance.records.drift_terms import DriftTerms
from governance.records.lineage import Lineage
from governance.records.policy import Policy
from governance.workflows.progress import Progress, silent
from governance.workflows.references import plant_fault

__all__ = ["prove_detector"]


def prove_detector(
    uri: str,
    *,
    recipe: str | None = None,
    policy: Policy | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> tuple[str, tuple[SelfTest, ...]]:
    """Test the detector on a copy with a test fault and on no change, and record the copy.

    The recorded fault is tried again whenever a later version is compared with this one. If it is
    not found there, the comparison is withdrawn.

    Args:
        uri: A registered version with a recorded assessment.
        recipe: `module:function` that trains a test fault. Default: a learnt corner mark.
        policy: Terms, and analyses for the copy. Default: the policy of the version's record.
        device: `auto`, `cpu` or `cuda`.
        progress: Called as each step begins.

    Returns:
        What the fault is in one sentence, and the tests.

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

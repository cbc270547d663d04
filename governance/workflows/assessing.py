"""Assessing: the one way from a model's URI to a printed and recorded assessment.

```
gather   a version's files and images, on this machine   (registry.materials)
measure  an assessment of those files under a policy
judged   the same assessment, judged with the waivers that count
keep     its folder, with the reports
record   its run in MLflow, and the version's verdict     (registry.recording)
```

The command line and the demo call `assess_model`, which takes all five steps. The worker takes them
with `measure` in a confined process. MLflow's evaluator takes the first four and logs the folder
with a run of its own.
"""

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from governance import registry
from governance.approval import Keyring, Signer
from governance.errors import RegistryError, SubjectError
from governance.records.assessment import Assessment, attach
from governance.records.decision import judge
from governance.records.identity import ModelSignature
from governance.records.lineage import Lineage
from governance.records.policy import Policy
from governance.records.waiver import Waiver
from governance.registry import ModelVersion
from governance.registry.materials import Materials, gather, signature_beside
from governance.registry.opening import open_materials
from governance.registry.recording import check_home
from governance.registry.versions import refusals
from governance.subject.images.validation_set import ValidationSet
from governance.workflows import orchestration
from governance.workflows.printing import REPORTS, Wall, print_reports
from governance.workflows.progress import Progress, silent

__all__ = [
    "Result",
    "assess_model",
    "judged",
    "keep",
    "measure",
    "measure_version",
    "signed_by",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An assessment and where it is kept.

    Attributes:
        assessment: The assessment, with its decision.
        folder: Folder with its files and reports; None if it is kept in MLflow only.
        run_id: Id of the MLflow run that holds the record; None if it was not recorded.
        unprinted: Why there are no reports; None if they were printed.
    """

    assessment: Assessment
    folder: Path | None
    run_id: str | None
    unprinted: str | None = None


def assess_model(
    uri: str,
    policy: Policy,
    *,
    out: Path | None = None,
    record: bool = True,
    device: str = "auto",
    key: Signer | None = None,
    ring: Keyring | None = None,
    progress: Progress = silent,
) -> Result:
    """Assess the model at `uri`, print the reports, and record both with its version.

    A registered version is `running` meanwhile. Nothing is recorded unless everything but the
    printing succeeded; if anything else goes wrong, Ctrl-C included, the version gets its previous
    status back.

    Args:
        uri: Address of the model, as `registry.resolve` takes it; only registered versions are
            recorded.
        policy: Policy as read by `orchestration.read_policy`.
        out: New folder for the assessment; needed where nothing is recorded.
        record: Whether to write to MLflow.
        device: `auto`, `cpu` or `cuda`.
        key: Private key of the assessor, to sign the verdict with; a governed registry takes no
            other verdict.
        ring: Public keys of the approvers whose waivers count; without it no waiver counts.
        progress: Called as each step begins.

    Raises:
        SubjectError: If the model or its validation images cannot be assessed, or before anything
            runs: if `out` is not a new or empty folder, or missing where it is needed.
        RegistryError: If MLflow, its store or the disk refuses.
    """
    _check_free(out)
    progress("opening the model", 0, 1)
    version = registry.resolve(uri, "" if ring is None else ring.registry)
    recorded = _recorded(version, out, record=record)
    with (
        TemporaryDirectory(prefix="governance-") as scratch,
        registry.marked_running(version, key=key, policy=policy)
        if recorded
        else nullcontext() as policy_fixed,
    ):
        assessment = _measured(
            version, policy, Path(scratch) / "subject", device=device, ring=ring, progress=progress
        )
        if recorded and ring is not None:
            assessment = judged(assessment, registry.waivers(version, ring)[0])
        folder = out or Path(scratch) / "assessment"
        progress("printing the reports", 0, 1)
        unprinted = keep(assessment, folder)
        run_id = None
        if recorded:
            progress("recording in MLflow", 0, 1)
            run_id = registry.record(
                version, assessment, folder, key=key, policy_fixed=policy_fixed,
                unprinted=unprinted,
            )  # fmt: skip
    return Result(assessment=assessment, folder=out, run_id=run_id, unprinted=unprinted)


def _recorded(version: ModelVersion, out: Path | None, *, record: bool) -> bool:
    """Whether an assessment is recorded in MLflow; refused if nothing would be left of it."""
    recorded = record and version.ref is not None
    if recorded:
        check_home(version)
    elif out is None:
        why = "--no-record" if version.ref is not None else "it is not registered"
        raise SubjectError(
            f"{version.uri}: is not recorded in MLflow ({why}), so nothing would be left of its "
            "assessment; --out FOLDER is needed"
        )
    return recorded


def _measured(
    version: ModelVersion,
    policy: Policy,
    scratch: Path,
    *,
    device: str,
    ring: Keyring | None,
    progress: Progress,
) -> Assessment:
    """Gather a version's files and measure them, beside its earlier versions, in this process."""
    materials = gather(version, policy, scratch)
    signature = signature_beside(Path(materials.model), ring)
    lineage = registry.lineage(version, policy)
    assessment = measure(materials, policy, device=device, lineage=lineage, progress=progress)
    return signed_by(assessment, signature)


def measure(
    materials: Materials,
    policy: Policy,
    *,
    device: str = "auto",
    validation: ValidationSet | None = None,
    lineage: Lineage | None = None,
    standing: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Assessment:
    """Open a model from files on this machine, and assess it; neither MLflow nor a key is needed.

    Args:
        materials: Files as gathered.
        policy: Policy as read.
        device: `auto`, `cpu` or `cuda`.
        validation: Images that are open already, in the place of those gathered.
        lineage: Earlier versions that drift is measured against.
        standing: Analyses that run whatever the policy says; `orchestration.STANDING` if not given.
        progress: Called as each analysis begins.

    Raises:
        PolicyError: If an analysis or a class of the policy does not exist.
        SubjectError: If model, images and policy do not go together.
        AnalysisError: If an analysis changed the model.
    """
    subject = open_materials(materials, policy, device=device, validation=validation)
    return orchestration.assess(
        subject, policy, lineage=lineage, standing=standing, progress=progress
    )


def measure_version(
    version: ModelVersion,
    policy: Policy,
    *,
    device: str,
    standing: Sequence[str],
    progress: Progress = silent,
) -> Assessment:
    """Fetch a model and assess it; nothing is kept, printed or recorded.

    Raises:
        SubjectError: If model, images and policy do not go together.
        RegistryError: If something cannot be downloaded.
    """
    with TemporaryDirectory(prefix="governance-") as scratch:
        materials = gather(version, policy, Path(scratch))
        return measure(materials, policy, device=device, standing=standing, progress=progress)


def judged(assessment: Assessment, waivers: tuple[Waiver, ...]) -> Assessment:
    """An assessment as it is judged with other waivers."""
    decision = judge(assessment.policy, assessment.evidence, waivers)
    return replace(assessment, waivers=waivers, decision=decision)


def signed_by(assessment: Assessment, signature: ModelSignature | None) -> Assessment:
    """An assessment of a model whose files carry a signature."""
    return replace(assessment, identity=replace(assessment.identity, signature=signature))


def keep(assessment: Assessment, folder: Path, wall: Wall | None = None) -> str | None:
    """Save an assessment with its reports as a new folder; without reports if printing fails.

    Args:
        assessment: As judged.
        folder: New folder.
        wall: What shuts the process in that prints; None to let it see the machine.

    Returns:
        Why the reports could not be printed; None if they are there.

    Raises:
        RegistryError: If the disk refuses the assessment itself; no folder is left.
    """
    with refusals(f"{folder}: writing the assessment"):
        assessment.save(folder)
    try:
        attach(folder, print_reports(folder, wall))
    except (RegistryError, OSError) as error:
        # Hours of measuring lie in the folder, and `governance report` can print it later.
        for name in REPORTS:
            (folder / name).unlink(missing_ok=True)
        return str(error)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return None


def _check_free(out: Path | None) -> None:
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SubjectError(
            f"--out {out}: exists and is not empty; a new or empty folder is accepted"
        )

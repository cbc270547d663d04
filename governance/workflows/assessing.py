"""Assessing: the whole way of one model, from its URI to a printed and recorded assessment.

The command line, the demo and (later) the worker all take this one way. Nothing is recorded unless
everything before it succeeded; a registered version is `running` meanwhile and gets its previous
status back if anything goes wrong, Ctrl-C included.
"""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from governance import registry
from governance.approval import Keyring, PrivateKey
from governance.errors import SubjectError
from governance.records.assessment import Assessment, attach
from governance.records.decision import judge
from governance.records.policy import Policy
from governance.records.waiver import Waiver
from governance.registry.versions import refusals
from governance.workflows import orchestration
from governance.workflows.printing import print_reports

__all__ = ["Result", "assess_model"]

#: Told what is being done, how many steps are done, and how many there are.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An assessment and where it is kept.

    Attributes:
        assessment: As judged.
        folder: With its files and reports; None if it is kept in MLflow only.
        run_id: Of the MLflow run that holds the record; None if it was not recorded.
    """

    assessment: Assessment
    folder: Path | None
    run_id: str | None


def assess_model(
    uri: str,
    policy: Policy,
    *,
    out: Path | None = None,
    record: bool = True,
    device: str = "auto",
    key: PrivateKey | None = None,
    ring: Keyring | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Result:
    """Assess the model at `uri`, print the reports, and record both with its version.

    Args:
        uri: Anything `registry.resolve` takes; only registered versions are recorded.
        policy: As read by `orchestration.read_policy`.
        out: New folder for the assessment; needed where nothing is recorded.
        record: Whether to write to MLflow.
        device: `auto`, `cpu` or `cuda`.
        key: The assessor's, to sign the verdict with; a governed registry takes no other.
        ring: Public keys, of which approvers' waivers count; without it none does.
        progress: Told about each step.

    Raises:
        SubjectError: If the model or its validation images cannot be assessed, or before anything
            runs: if `out` is not a new or empty folder, or missing where it is needed.
        RegistryError: If MLflow, its store or the disk refuses.
    """
    _check_free(out)
    progress("opening the model", 0, 1)
    version = registry.resolve(uri)
    recorded = record and version.ref is not None
    if out is None and not recorded:
        why = "--no-record" if version.ref is not None else "it is not registered"
        raise SubjectError(
            f"{version.uri}: is not recorded in MLflow ({why}), so nothing would be left of its "
            "assessment; --out FOLDER is needed"
        )
    with (
        TemporaryDirectory(prefix="governance-") as scratch,
        registry.assessing(version, key=key) if recorded else nullcontext(),
    ):
        subject = registry.open_subject(
            version, policy, workspace=Path(scratch) / "subject", device=device
        )
        assessment = orchestration.assess(
            subject, policy, lineage=registry.lineage(version, policy), progress=progress
        )
        if recorded and ring is not None:
            assessment = _waived(assessment, registry.waivers(version, ring)[0])
        folder = out or Path(scratch) / "assessment"
        progress("printing the reports", 0, 1)
        _keep(assessment, folder)
        if not recorded:
            return Result(assessment=assessment, folder=out, run_id=None)
        progress("recording in MLflow", 0, 1)
        run_id = registry.record(version, assessment, folder, key=key)
    return Result(assessment=assessment, folder=out, run_id=run_id)


def _waived(assessment: Assessment, waivers: tuple[Waiver, ...]) -> Assessment:
    decision = judge(assessment.policy, assessment.evidence, waivers)
    return replace(assessment, waivers=waivers, decision=decision)


def _check_free(out: Path | None) -> None:
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SubjectError(
            f"--out {out}: exists and is not empty; a new or empty folder is accepted"
        )


def _keep(assessment: Assessment, folder: Path) -> None:
    """Save an assessment and its reports as a new folder, whole or not at all."""
    with refusals(f"{folder}: writing the assessment"):
        assessment.save(folder)
        try:
            attach(folder, print_reports(folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

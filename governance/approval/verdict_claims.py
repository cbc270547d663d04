"""Verdict claims: what a verdict says because its record says it, and where the two differ."""

import hashlib
from collections.abc import Iterator
from typing import Any

from governance.approval.printable import cleaned
from governance.approval.statements import Statement
from governance.records.assessment import Assessment
from governance.records.serialisation import canonical

__all__ = ["claims", "disagreements"]

#: Under which a record names the version of the code that made it.
CODE = "mlflow-governance"


def claims(
    assessment: Assessment, *, run_id: str | None, record: str, manifest: str
) -> dict[str, Any]:
    """The fields of a verdict that follow from a recorded assessment.

    Args:
        assessment: As judged.
        run_id: The run that holds the record.
        record: Digest of the record.
        manifest: Digest of its manifest.
    """
    environment = canonical(dict(assessment.environment))
    return {
        "verdict": assessment.decision.verdict,
        "artifact_digest": assessment.identity.artifact_digest,
        "model_digest": assessment.identity.digest,
        "policy_title": cleaned(assessment.policy.title),
        "policy_digest": assessment.policy.digest,
        "validation_digest": assessment.validation.digest,
        "environment_digest": f"sha256:{hashlib.sha256(environment).hexdigest()}",
        "code_version": assessment.environment.get(CODE),
        "run_id": run_id,
        "assessment_digest": record,
        "manifest": manifest,
        "waivers": tuple(item.token for item in assessment.waivers),
    }


def disagreements(
    statement: Statement,
    assessment: Assessment,
    *,
    run_id: str | None,
    record: str,
    manifest: str,
) -> Iterator[str]:
    """How a signed verdict differs from the record on its version, a sentence each.

    Args:
        statement: The signed verdict, which counts.
        assessment: The record.
        run_id: The run that holds the record.
        record: Digest of the record.
        manifest: Digest of its manifest.
    """
    for name, value in claims(assessment, run_id=run_id, record=record, manifest=manifest).items():
        signed = getattr(statement, name)
        if signed != value:
            yield (
                f"the {name.replace('_', ' ')} that was signed is {signed} and that of its record "
                f"is {value}"
            )

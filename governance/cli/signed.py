"""What is signed about a version, for its report."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.records.assessment import Assessment
    from governance.registry import ModelVersion
    from reports.approvals import Approvals

__all__ = ["signed"]


def signed(
    version: "ModelVersion", keys: Path, assessment: "Assessment", folder: Path
) -> "Approvals":
    """What is signed about a version and whether it counts, from the registry, now.

    Args:
        version: Registered.
        keys: Keyring of public keys.
        assessment: Its record.
        folder: The folder of the record.

    Raises:
        ApprovalError: If the keyring cannot be read.
        RegistryError: If MLflow cannot be asked.
    """
    from governance.approval import load_ring
    from governance.registry.approvals import disagreements, standing_of
    from reports.approvals import Approvals

    now = time.time()
    found = standing_of(version, load_ring(keys), now)
    statement = found.statement
    doubts = list(found.problems)
    if statement is not None and statement.kind == "verdict" and found.counts:
        doubts += disagreements(version, statement, assessment, folder)
    verdict = statement is not None and statement.kind == "verdict"
    revoked = statement is not None and statement.kind == "revocation"
    return Approvals(
        asked=f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC",
        signed=statement.verdict if statement is not None and verdict else None,
        signers=tuple(dict.fromkeys(key.owner for key in found.signers)),
        until=f"{datetime.fromtimestamp(statement.expires, UTC):%Y-%m-%d}"
        if statement is not None and verdict
        else None,
        revoked=statement.detail if statement is not None and revoked else None,
        policy_fixed=datetime.fromtimestamp(statement.policy_fixed, UTC).isoformat()
        if statement is not None and verdict and statement.policy_fixed is not None
        else None,
        doubts=tuple(doubts),
    )

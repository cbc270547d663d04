"""Approvals: who answers for a version, as far as the record and the registry say.

A report printed from a folder knows no signature. What a registry holds is handed over as
`Approvals`, by whoever asked it.
"""

from dataclasses import dataclass

from governance.records.assessment import Assessment
from reports.prose import printable

__all__ = ["Approvals", "Person", "people"]

SOFTWARE = "mlflow-governance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """What is signed about a version, as its registry gave it.

    Attributes:
        asked: When the registry was asked, in ISO 8601.
        signed: Verdict that is signed, such as `approved`; None where nothing is.
        signers: Owners of the keys that signed it.
        until: Day on which the signed verdict ends; None where it has no end.
        revoked: Reason of a revocation; None where there is none.
        policy_fixed: When the policy had been read, before anything was measured under it, in ISO
            8601; None where the signed verdict does not say.
        doubts: Why the signed statement does not count; empty where it does.
    """

    asked: str
    signed: str | None = None
    signers: tuple[str, ...] = ()
    until: str | None = None
    revoked: str | None = None
    policy_fixed: str | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A role, who fills it, and whether that is stated."""

    role: str
    name: str
    stated: bool
    detail: str = ""
    strong: bool = False


def people(assessment: Assessment, approvals: Approvals | None) -> tuple[Person, ...]:
    """Who owns, assessed, signed and released a version, in that order.

    Args:
        assessment: The assessment as recorded.
        approvals: What is signed about it; None where no registry was asked.
    """
    card = assessment.policy.card
    owner = card.owner if card is not None else None
    version = assessment.environment.get(SOFTWARE)
    tool = f"{SOFTWARE} {printable(version)}" if version else ""
    signers = ", ".join(map(printable, approvals.signers)) if approvals else ""
    return (
        Person(role="Model owner", name=owner or "not stated", stated=owner is not None),
        Person(role="Assessed by", name=signers or "not stated", stated=bool(signers), detail=tool),
        _signature(approvals),
        _release(assessment, approvals),
    )


def _signature(approvals: Approvals | None) -> Person:
    role = "Signature"
    if approvals is None:
        return Person(
            role=role, name="UNSIGNED", stated=True, strong=True, detail="no registry was asked",
        )  # fmt: skip
    if approvals.signed is None:
        return Person(role=role, name="UNSIGNED", stated=True, strong=True)
    if approvals.doubts:
        return Person(
            role=role, name="DOES NOT COUNT", stated=True, strong=True,
            detail=printable(approvals.doubts[0]),
        )  # fmt: skip
    return Person(
        role=role,
        name=f"counts: {approvals.signed}",
        stated=True,
        detail=f"asked {approvals.asked}",
    )


def _release(assessment: Assessment, approvals: Approvals | None) -> Person:
    role, given = "Released by, valid until", assessment.decision.verdict
    if approvals is not None and approvals.revoked is not None:
        return Person(
            role=role, name="REVOKED", stated=True, strong=True, detail=printable(approvals.revoked)
        )
    if given != "approved":
        return Person(role=role, name="not applicable", stated=True, detail=f"({given})")
    if approvals is None or approvals.signed is None or approvals.doubts:
        return Person(role=role, name="not released", stated=False)
    until = approvals.until or "no end is set"
    return Person(
        role=role,
        name=", ".join(map(printable, approvals.signers)) or "not stated",
        stated=bool(approvals.signers),
        detail=f"until {until}" if approvals.until else until,
    )

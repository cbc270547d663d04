"""Lifecycle: the states of a registered version, and who may move it from one to the next.

One table says what the whole program does. The registry's server asks it whether a signed statement
may replace the one that stands; the worker, which versions await a verdict; whoever interrupts an
assessment, which status the version gets back.

| state                                            | how a version gets there                     |
|--------------------------------------------------|----------------------------------------------|
| `pending`                                        | it is registered, or its model is renamed    |
| `running`                                        | an assessor starts an assessment             |
| `approved`, `rejected`, `review`, `undetermined` | an assessor signs this verdict               |
| `revoked`                                        | an approver revokes the version, for good    |
| `expired`                                        | the time of what was signed has passed       |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from governance.approval.keyring import Role

__all__ = [
    "LIFECYCLE",
    "SIGNERS",
    "Kind",
    "Order",
    "Row",
    "State",
    "Status",
    "Step",
    "awaits_verdict",
    "rank",
    "state_of",
    "status_after_interruption",
    "step_of",
]

Kind = Literal["verdict", "waiver", "revocation"]
Status = Literal["approved", "rejected", "review", "undetermined", "running", "pending"]
State = Literal[Status, "revoked", "expired"]
#: What a signed statement does to its version: report progress (`pending`, `running`), give one of
#: the four verdicts, revoke, or waive an expectation, which leaves the state as it is.
Step = Literal["progress", "verdict", "revocation", "waiver"]
#: When a statement may follow the one that stands: it comes after that one, whenever it was issued,
#: or never. A statement comes after another if it was issued in a later second. Of one second, it
#: comes after if it names the other as the one that it replaces; otherwise by its `rank`.
Order = Literal["after", "always", "never"]

#: States in the order in which statements of one second count: the last of them stands, so that the
#: outcome does not depend on which arrives first, and the stricter one wins.
RANKS: tuple[State, ...] = (
    "running",
    "pending",
    "approved",
    "review",
    "undetermined",
    "rejected",
    "revoked",
)

#: The role of the key that signs a kind of statement. Everybody else moves nothing.
SIGNERS: Mapping[Kind, Role] = MappingProxyType(
    {"verdict": "assessor", "waiver": "approver", "revocation": "approver"}
)


#: What may follow a statement other than a revocation, and what a revocation.
OPEN: Mapping[Step, Order] = MappingProxyType(
    {"progress": "after", "verdict": "after", "revocation": "after", "waiver": "always"}
)
REVOKED: Mapping[Step, Order] = MappingProxyType(
    {"progress": "never", "verdict": "never", "revocation": "never", "waiver": "always"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What may happen to a version in one state.

    Attributes:
        follow: When a signed statement that takes a step may follow the one that stands.
        interrupted: State after an assessment that ended without a verdict.
        renamed: State after its model got another name; None where the new name is refused.
        awaits_verdict: Whether the worker assesses it.
        status: Value of the status tag; None where the tag stays as it is.
    """

    follow: Mapping[Step, Order]
    interrupted: State
    renamed: Status | None
    awaits_verdict: bool
    status: Status | None


def _decided(verdict: Status) -> Row:
    return Row(
        follow=OPEN,
        interrupted=verdict,
        renamed="pending",
        awaits_verdict=False,
        status=verdict,
    )


#: The whole lifecycle.
LIFECYCLE: Mapping[State, Row] = MappingProxyType(
    {
        "pending": Row(
            follow=OPEN,
            interrupted="pending",
            renamed="pending",
            awaits_verdict=True,
            status="pending",
        ),
        "running": Row(
            follow=OPEN,
            interrupted="pending",
            renamed="pending",
            awaits_verdict=True,
            status="running",
        ),
        "approved": _decided("approved"),
        "rejected": _decided("rejected"),
        "review": _decided("review"),
        "undetermined": _decided("undetermined"),
        "revoked": Row(
            follow=REVOKED,
            interrupted="revoked",
            renamed=None,
            awaits_verdict=False,
            status="rejected",
        ),
        "expired": Row(
            follow=OPEN,
            interrupted="pending",
            renamed="pending",
            awaits_verdict=True,
            status=None,
        ),
    }
)


def state_of(kind: Kind, verdict: Status | None, *, expired: bool = False) -> State:
    """The state of a version on which such a statement stands.

    A waiver is kept beside the statement that a version stands on and moves nothing, so that one
    found in its place leaves the version `pending`.
    """
    if kind == "revocation":
        return "revoked"  # for good, past its time too
    if expired:
        return "expired"
    return verdict or "pending"


def step_of(kind: Kind, verdict: Status | None) -> Step:
    """What such a statement does to its version."""
    if kind == "verdict":
        return "progress" if verdict in {"pending", "running"} else "verdict"
    return kind


def rank(kind: Kind, verdict: Status | None) -> int:
    """Place of a statement among those of the same second; of two, the higher one stands."""
    return RANKS.index(state_of(kind, verdict))


def awaits_verdict(status: str | None) -> bool:
    """Whether a version with this status tag has no verdict yet; one without a tag has none."""
    row = LIFECYCLE.get(status or "pending")  # type: ignore[call-overload] # tags hold any text
    return row is not None and row.awaits_verdict


def status_after_interruption(status: str | None) -> str:
    """The status tag that an assessment without a verdict leaves, by the tag that stood before."""
    row = LIFECYCLE.get(status or "pending")  # type: ignore[call-overload] # tags hold any text
    return str(status) if row is None else str(row.interrupted)

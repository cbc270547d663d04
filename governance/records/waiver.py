"""Waiver: a named person's leave for one expectation of one version to fail, within a bound."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from governance.errors import EvidenceError

__all__ = ["Waiver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """What was waived, by whom, why, how far and until when.

    Attributes:
        metric: `<analysis>.<metric>`, exactly; there are no patterns.
        bound: The worst value that is still waived.
        reason: Why, in the approver's words.
        approver: Owner of the key that signed it.
        issued: Seconds since 1970.
        expires: Seconds since 1970.
        token: sha256 of the signed statement, hexadecimal.
    """

    metric: str
    bound: float
    reason: str
    approver: str
    issued: int
    expires: int
    token: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.bound):
            raise EvidenceError(
                f"waiver of {self.metric}: bound {self.bound}; a finite number is accepted"
            )

    @property
    def until(self) -> str:
        """The day (UTC) on which it expires, ISO 8601."""
        return datetime.fromtimestamp(self.expires, UTC).date().isoformat()

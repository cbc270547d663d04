"""Waiver: a named person's permission for one model version to miss one expectation."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from governance.errors import EvidenceError

__all__ = ["SKEW", "Waiver"]

#: Maximum difference between the clocks of signer and reader, in seconds.
SKEW = 300
#: The end of the year 9999, in seconds since 1970.
LATEST = 253_402_300_799


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A permission to miss one expectation, down to a stated value and until a stated time.

    Attributes:
        metric: Full name of the metric, `<analysis>.<metric>`. Patterns are not accepted.
        bound: The worst value that is still permitted.
        reason: Reason for the permission, in the approver's words.
        approver: Owner of the key that signed the waiver.
        issued: Time of signing, in seconds since 1970.
        expires: Time from which the waiver no longer counts, in seconds since 1970.
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
        if not 0 <= self.issued <= self.expires <= LATEST:
            raise EvidenceError(
                f"waiver of {self.metric}: issued {self.issued}, expires {self.expires}; seconds "
                f"since 1970 in that order, at most {LATEST}, are accepted"
            )
        if not math.isfinite(self.bound):
            raise EvidenceError(
                f"waiver of {self.metric}: bound {self.bound}; a finite number is accepted"
            )

    def held(self, moment: float) -> bool:
        """Whether the waiver counted at a time, in seconds since 1970."""
        return self.issued - SKEW <= moment < self.expires

    @property
    def until(self) -> str:
        """The day (UTC) on which the waiver expires, in ISO 8601."""
        return datetime.fromtimestamp(self.expires, UTC).date().isoformat()

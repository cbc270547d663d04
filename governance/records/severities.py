"""Severities: what it does to the verdict that an expectation is not met, in one table.

A new severity is a row here, its words in the templates and a line in `docs/reference/policy.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["GRAVEST_FIRST", "SEVERITIES", "Consequence", "Severity", "Verdict"]

Severity = Literal["block", "review", "warn"]
Verdict = Literal["approved", "rejected", "review", "undetermined"]

#: Of several verdicts that follow from findings, the first of these is given.
GRAVEST_FIRST: tuple[Verdict, ...] = ("rejected", "undetermined", "review", "approved")


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a miss leads to.

    Attributes:
        unmet: Verdict if the expectation was measured and is not met; None if a miss changes none.
        missing: Verdict if the expectation could not be measured; None if that changes none.
        word: Name of such expectations in a sentence that counts them.
    """

    unmet: Verdict | None
    missing: Verdict | None
    word: str


#: The gravest first, as reports list findings.
SEVERITIES: Mapping[Severity, Consequence] = MappingProxyType(
    {
        "block": Consequence(unmet="rejected", missing="undetermined", word="blocking"),
        "review": Consequence(unmet="review", missing="review", word="review"),
        "warn": Consequence(unmet=None, missing=None, word="warning"),
    }
)

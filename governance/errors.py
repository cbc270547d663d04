"""What can go wrong, as one tree.

```
GovernanceError
├── PolicyError     the policy file says something that cannot be meant   (exit 2)
├── SubjectError    the model or its validation set cannot be assessed    (exit 2)
├── AnalysisError   an analysis cannot answer; kept as failed evidence
├── RegistryError   MLflow, its store or the disk refused                 (exit 3)
└── EvidenceError   a record does not match its digests                   (exit 40)
    └── ApprovalError  a signed statement or its key cannot be relied on  (exit 40)
```

Each message says where, what, and what would be accepted; `docs/messages.md` lists causes and
cures.
"""

from collections.abc import Iterable

__all__ = [
    "AnalysisError",
    "ApprovalError",
    "EvidenceError",
    "GovernanceError",
    "PolicyError",
    "RegistryError",
    "SubjectError",
]

#: Problems that a message prints; the rest are counted.
PRINTED = 20


class GovernanceError(Exception):
    """Anything this package refuses, with every problem found at once.

    Attributes:
        problems: One sentence per problem, each with its place.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.printed))

    @property
    def printed(self) -> tuple[str, ...]:
        """The first problems for a person to read, and how many there are besides."""
        further = len(self.problems) - PRINTED
        more = (f"and {further} more problems",) if further > 0 else ()
        return (*self.problems[:PRINTED], *more)


class PolicyError(GovernanceError):
    """The policy cannot be read or asks for something that does not exist."""


class SubjectError(GovernanceError):
    """The model or its validation set cannot be assessed as given."""


class AnalysisError(GovernanceError):
    """An analysis cannot answer on this subject with these parameters."""


class RegistryError(GovernanceError):
    """MLflow, its store or the disk refused an operation."""


class EvidenceError(GovernanceError):
    """A record is missing, incomplete or not what its digests say."""


class ApprovalError(EvidenceError):
    """A signed statement, or the key it was signed with, cannot be relied on."""

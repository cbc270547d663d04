"""What can go wrong, as one tree.

```
GovernanceError
├── PolicyError     the policy file says something that cannot be meant   (exit 2)
├── SubjectError    the model or its validation set cannot be assessed    (exit 2)
├── AnalysisError   an analysis cannot answer; kept as failed evidence
│  └── InapplicableError  its question cannot be put to this kind of model
├── RegistryError   MLflow, its store or the disk refused                 (exit 3)
├── HostError       this machine cannot run an assessment                 (exit 3)
└── EvidenceError   a record does not match its digests                   (exit 40)
    └── ApprovalError  a signed statement or its key cannot be relied on  (exit 40)
```

Each message says where, what, and what would be accepted; `docs/how-to/messages.md` lists causes
and cures.
"""

import errno
from collections.abc import Iterable

__all__ = [
    "AnalysisError",
    "ApprovalError",
    "EvidenceError",
    "GovernanceError",
    "HostError",
    "InapplicableError",
    "PolicyError",
    "RegistryError",
    "SubjectError",
]

#: What the operating system says where the disk is full or fails, or the system has no file handle
#: left. Memory, processes and handles of a process are limited, so that their end is its own.
OF_THE_HOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENFILE})

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


class InapplicableError(AnalysisError):
    """The question of an analysis cannot be put to this kind of model; never counted as met."""


class RegistryError(GovernanceError):
    """MLflow, its store or the disk refused an operation."""


class HostError(GovernanceError):
    """This machine cannot run an assessment, whatever the model: no verdict follows from it."""

    @classmethod
    def behind(cls, error: BaseException) -> "HostError | None":
        """The fault of the machine that caused an error; None if there is none in its causes."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, HostError):
                return cause
            if isinstance(cause, OSError) and cause.errno in OF_THE_HOST:
                return cls(f"this machine: {cause}")
            hidden = cause.__suppress_context__
            cause = cause.__cause__ if hidden else cause.__cause__ or cause.__context__
        return None


class EvidenceError(GovernanceError):
    """A record is missing, incomplete or not what its digests say."""


class ApprovalError(EvidenceError):
    """A signed statement, or the key it was signed with, cannot be relied on."""

"""Observation: one thing that the doctor examined, its state, and the cure of a problem."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Observation", "healthy", "ok", "problem", "some", "warning"]

#: Maximum number of versions or tags that one sentence names.
NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One thing that the doctor examined.

    Attributes:
        about: Name of the thing, such as `alias`.
        state: State of the thing. A `problem` lets something through that should be refused, or
            stops assessments. A `warning` could not be examined, or is worth knowing.
        found: Finding in one sentence.
        cure: Action that helps; empty if nothing is wrong.
    """

    about: str
    state: Literal["ok", "warning", "problem"]
    found: str
    cure: str = ""


def ok(about: str, found: str) -> Observation:
    """Something that is as it should be."""
    return Observation(about=about, state="ok", found=found)


def warning(about: str, found: str, cure: str) -> Observation:
    """Something to know."""
    return Observation(about=about, state="warning", found=found, cure=cure)


def problem(about: str, found: str, cure: str) -> Observation:
    """Something to put right."""
    return Observation(about=about, state="problem", found=found, cure=cure)


def healthy(observations: Iterable[Observation]) -> bool:
    """Whether there is no problem; warnings are none."""
    return all(item.state != "problem" for item in observations)


def some(items: Sequence[str]) -> str:
    """The first of many items, and how many more there are."""
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more

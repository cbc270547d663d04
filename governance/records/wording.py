"""Wording: names in a sentence, where there may be thousands, and why a metric is missing."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["first_few", "missing", "why_missing"]

MISSING = re.compile(r"Missing: (?P<names>.+?), since (?P<why>.+)\.")


def first_few(names: Sequence[str], shown: int = 5, *, between: str = ", ") -> str:
    """The first names or sentences, and how many there are besides; empty for none.

    Args:
        names: Names in the order in which they are told.
        shown: Largest number of names told.
        between: What stands between two of them.
    """
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return between.join(names[:shown]) + more


def missing(names: Sequence[str], why: str) -> str:
    """The note of an analysis that some metrics are missing, with the reason.

    Args:
        names: Metrics without the name of their analysis, at least one.
        why: A clause without a full stop.
    """
    *others, last = names
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"Missing: {listed}, since {why}."


def why_missing(notes: Iterable[str], metric: str) -> str | None:
    """The reason that the notes of an analysis give for a missing metric; None where they do not.

    Args:
        notes: Notes, of which `missing` wrote some.
        metric: Name without that of its analysis.
    """
    for note in notes:
        found = MISSING.fullmatch(note)
        if found and metric in re.split(r", | and ", found["names"]):
            return found["why"]
    return None

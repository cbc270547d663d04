"""Wording: names in a sentence, where there may be thousands of them."""

from collections.abc import Sequence

__all__ = ["first_few"]


def first_few(names: Sequence[str], shown: int = 5) -> str:
    """The first names, and how many there are besides; empty for none.

    Args:
        names: Names in the order in which they are told.
        shown: Largest number of names told.
    """
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more

"""Look-alikes: names that a person takes for another name.

Two names look alike if their skeletons are the same (Unicode Technical Standard 39). The table of
characters in `confusables.txt` covers what is taken for a Latin letter, a dot or a dash.
"""

import unicodedata
from collections.abc import Iterable
from importlib.resources import files

from governance.approval.tags import PREFIX

__all__ = ["imitates", "lookalike", "skeleton"]

#: Of categories that are not seen: marks, formats and controls, and blanks of any width.
UNSEEN = {"Mn", "Me", "Cf", "Cc", "Zs", "Zl", "Zp"}
#: Letters without a shape, and a pattern of braille without a dot.
BLANK = {"\u115f", "\u1160", "\u3164", "\uffa0", "\u2800"}
#: What is alike among ASCII itself.
ASCII = str.maketrans({"0": "o", "1": "l", "|": "l", "i": "l", "m": "rn"})


def _table() -> dict[str, str]:
    text = files("governance.approval").joinpath("confusables.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {character: letter for letter, characters in lines for character in characters}


CONFUSABLE = str.maketrans(_table())


def skeleton(text: str) -> str:
    """What a text looks like: the same for two texts that a person takes for each other."""
    letters = unicodedata.normalize("NFKD", text)
    seen = "".join(
        item for item in letters if unicodedata.category(item) not in UNSEEN and item not in BLANK
    )
    # Twice, as a capital may look like another letter than its small form.
    return seen.translate(CONFUSABLE).casefold().translate(CONFUSABLE).translate(ASCII)


def imitates(key: str) -> bool:
    """Whether a tag is ours or looks as if it were."""
    return skeleton(key).startswith(skeleton(PREFIX))


def lookalike(name: str, others: Iterable[str]) -> str | None:
    """Another name that a new one is taken for; None for a name that is there already.

    Names of ASCII alone may differ by as little as they like: a person can type them.
    """
    names, shape = set(others), skeleton(name)
    if name in names:
        return None
    for other in sorted(names):
        if not (name.isascii() and other.isascii()) and skeleton(other) == shape:
            return other
    return None

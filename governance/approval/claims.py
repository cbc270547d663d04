"""Claims: verdicts that a description says a version has, in the form of our own summary.

A description is anybody's text. What is told apart here is the look of the summary's first line,
whether or not marks follow it: "Governance:" and a verdict, emphasised or with no further word
behind them but those of another sentence. Prose that says the same in other words is not, and
nobody should rely on it.
"""

import re

from governance.approval.lookalikes import skeleton

__all__ = ["claimed"]

VERDICTS = ("approved", "rejected", "review", "undetermined")
SHAPES = {skeleton(verdict): verdict for verdict in VERDICTS}
MARKUP = r"(?:[*_#>~`]|<[^<>]*>|\s)"
SAID = rf"{skeleton('governance')}{MARKUP}*:{MARKUP}*({'|'.join(SHAPES)})(?![a-z])"
CLAIMS = (
    re.compile(rf"{MARKUP}*?(?:[*_#]|<[^<>]*>){MARKUP}*{SAID}"),
    re.compile(rf"{MARKUP}*?{SAID}(?=\s*(?:[^\w\s]|$))"),
)
#: Of a line, in characters: more than the beginning of one does not matter.
LONGEST = 300


def claimed(text: str | None) -> frozenset[str]:
    """The verdicts that a description claims in the form of our summary."""
    lines = [_shape(line[:LONGEST]) for line in (text or "").splitlines()]
    found = (claim.match(line) for claim in CLAIMS for line in lines)
    return frozenset(SHAPES[match[1]] for match in found if match)


def _shape(line: str) -> str:
    """What a line looks like, with a blank where there is one."""
    return " ".join(skeleton(word) for word in re.split(r"[ \t]+", line))

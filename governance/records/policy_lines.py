"""Policy lines: the line of a policy file on which each of its expectations stands."""

import re

__all__ = ["expectation_lines"]

# A text of several lines, a text of one, or a comment. None of them can begin a table.
TEXT_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*",
    re.DOTALL,
)
NAME = "expectations"
HEADER = re.compile(rf"[ \t]*\[\[[ \t]*(?:{NAME}|\"{NAME}\"|'{NAME}')[ \t]*\]\]")


def expectation_lines(text: str, count: int) -> tuple[int | None, ...]:
    """The line of each expectation of a policy, beginning with 1.

    Args:
        text: TOML that can be read as a policy.
        count: Number of expectations of the policy, those included that are built in: they follow
            the ones in the file.

    Returns:
        Line of the header `[[expectations]]` of each expectation, in their order. None for one
        that has no header of its own: it is built in, or written in a list.
    """
    bare = TEXT_OR_COMMENT.sub(_blanked, text)
    lines = [
        number for number, line in enumerate(bare.split("\n"), start=1) if HEADER.match(line)
    ]  # fmt: skip
    found = lines[:count]
    return (*found, *(None for _ in range(count - len(found))))


def _blanked(found: re.Match[str]) -> str:
    """Nothing but its line breaks, unless it is the quoted name itself."""
    text = found[0]
    return text if text.strip("\"'") == NAME else "\n" * text.count("\n")

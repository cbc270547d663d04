"""Prose: the description of an analysis as paragraphs under headings, and text fit for a page.

Descriptions are docstrings: a title line, then headings such as `Purpose` with indented text below
them. Markdown headings, lists and code in backticks are understood as well; all else is plain text.
"""

import inspect
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Block", "Description", "Part", "describe", "heading_of", "printable"]

LONGEST_HEADING = 60
UNDERLINE = re.compile(r"[-=~]{3,}")
ITEM = re.compile(r"(?:[-*•]|\d+[.)])\s+(?P<text>.*)")
# Line breaks and tabs are kept. All else of these categories is invisible, or changes what the
# text beside it looks like: control characters, direction overrides, lone surrogates, private use.
UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Joiners that some scripts and emoji need, and the soft hyphen.
NEEDED = frozenset("\n\t\u200c\u200d\u00ad")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph or an item of a list."""

    kind: Literal["paragraph", "item"]
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks under a heading."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What an analysis says of itself.

    Attributes:
        title: Its name for a reader.
        question: The rest of its title line.
        lead: Blocks before the first heading.
        parts: The headings with their blocks.
    """

    title: str
    question: str
    lead: tuple[Block, ...]
    parts: tuple[Part, ...]


def describe(analysis: str, about: str) -> Description:
    """The description of an analysis from its docstring; its name stands in for a missing title."""
    lines = inspect.cleandoc(about).splitlines()
    first = list(_until_blank(lines))
    title, question = _titles(" ".join(line.strip() for line in first))
    parts: list[Part] = []
    lead: tuple[Block, ...] = ()
    heading, body = "", []
    for index, line in enumerate(lines[len(first) :], start=len(first)):
        next_heading = heading_of(line, lines[index + 1 :])
        if next_heading is None:
            body.append(line)
            continue
        lead, parts = _close(heading, body, lead, parts)
        heading, body = next_heading, []
    lead, parts = _close(heading, body, lead, parts)
    fallback = analysis.replace("_", " ").capitalize()
    return Description(title or fallback, question, lead, tuple(parts))


def _titles(line: str) -> tuple[str, str]:
    name, colon, rest = line.strip("# ").partition(": ")
    if colon and len(name) <= LONGEST_HEADING:
        return name, rest[:1].upper() + rest[1:]
    return (line.rstrip("."), "") if len(line) <= LONGEST_HEADING else ("", line)


def _until_blank(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.strip():
            return
        yield line


def _close(
    heading: str, body: list[str], lead: tuple[Block, ...], parts: list[Part]
) -> tuple[tuple[Block, ...], list[Part]]:
    blocks = tuple(_blocks(body))
    if heading:
        return lead, [*parts, Part(heading, blocks)]
    return blocks, parts


def heading_of(line: str, following: list[str]) -> str | None:
    """The heading that a line is, judged by the lines after it; None if it is ordinary text."""
    text = line.strip()
    if text.startswith("#"):
        return text.strip("# ") or None
    if not text or line[0].isspace() or len(text) > LONGEST_HEADING or text.endswith("."):
        return None
    if following and UNDERLINE.fullmatch(following[0].strip()):
        return text
    after = next((item for item in following if item.strip()), "")
    return text.rstrip(":") if after[:1].isspace() and not ITEM.match(text) else None


def _blocks(lines: list[str]) -> Iterator[Block]:
    kind: Literal["paragraph", "item"] = "paragraph"
    words: list[str] = []
    for line in [*lines, ""]:
        text = line.strip()
        item = ITEM.match(text)
        if (not text or item or UNDERLINE.fullmatch(text)) and words:
            yield Block(kind, " ".join(words))
            kind, words = "paragraph", []
        if item:
            kind, words = "item", [item["text"]]
        elif text and not UNDERLINE.fullmatch(text):
            words.append(text)


def printable(text: str) -> str:
    """Text without characters that hide, or change what stands beside them; each becomes U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\ufffd"
        if unicodedata.category(character) in UNPRINTABLE and character not in NEEDED
        else character
        for character in text
    )

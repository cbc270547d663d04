"""Policy text: a policy file written by a program, in which every line says why it stands there."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Line", "Section", "Value", "policy_text"]

WIDTH = 98
Value = bool | float | str | tuple[float, ...] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A key of a policy with its value.

    Attributes:
        key: Name of the key.
        value: Text, truth value, number, list of numbers, or a table of these.
        why: Reason for the value, in whole sentences; it stands above the line.
    """

    key: str
    value: Value
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Lines under one header.

    Attributes:
        header: `[model]` or `[[expectations]]`; empty for the beginning of the file.
        lines: Lines in their order.
        why: Reason for the whole section.
    """

    header: str = ""
    lines: tuple[Line, ...] = ()
    why: str = ""


def policy_text(opening: Sequence[str], sections: Sequence[Section]) -> str:
    """The text of a policy file.

    Args:
        opening: Paragraphs of the comment on top.
        sections: Sections in their order; one without header and lines is a comment alone.
    """
    blocks = ["\n#\n".join(_comment(paragraph) for paragraph in opening)]
    for section in sections:
        rows = [_comment(section.why)] if section.why else []
        rows += [section.header] if section.header else []
        for line in section.lines:
            rows += [_comment(line.why)] if line.why else []
            rows.append(f"{line.key} = {_written(line.value)}")
        blocks.append("\n".join(rows))
    return "\n\n".join(blocks) + "\n"


def _comment(sentences: str) -> str:
    # Names of classes and folders may hold anything; a comment must not end early.
    plain = "".join(
        sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in sentences
    )
    return "\n".join(
        textwrap.wrap(
            plain, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False,
            break_on_hyphens=False,
        )
    )  # fmt: skip


def _written(value: Value) -> str:
    if isinstance(value, str):
        # A TOML text is a JSON text, but for the sign of deletion.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_written(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)

"""Console: text, tables and JSON of the command line.

Results go to standard output, everything else to standard error. All text that may come from
elsewhere is shown as it is: no markup, and nothing that steers a terminal. On a terminal lines are
broken between words and no name is; elsewhere no line is broken, so that `grep` finds all of it.
"""

import json
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape

from governance.cli.exit_codes import MISUSE, exit_code
from reports.prose import printable

if TYPE_CHECKING:
    from governance.records.assessment import Assessment

__all__ = [
    "complain",
    "err",
    "headline",
    "misuse",
    "out",
    "paragraph",
    "print_json",
    "summary",
    "table",
    "text",
]

UNBROKEN = 10_000  # columns where there is no terminal: `grep` finds no name on two lines
GAP = 2  # columns between two cells


def _console(stream: TextIO, *, stderr: bool = False) -> Console:
    # ":name:" in a class name is no emoji, and a number in a sentence no reason for a colour.
    return Console(
        stderr=stderr,
        emoji=False,
        highlight=False,
        width=None if stream.isatty() else UNBROKEN,
    )


out, err = _console(sys.stdout), _console(sys.stderr, stderr=True)


def text(foreign: str) -> str:
    """Text that may come from elsewhere: no markup, and nothing that steers a terminal."""
    return escape(printable(foreign))


def paragraph(foreign: str, *, indent: int = 0, start: str = "") -> None:
    """Text on standard output, broken between words where the terminal ends.

    Args:
        foreign: Text; may come from elsewhere.
        indent: Columns that all lines are indented by.
        start: What stands before the first line, such as the number of an item; the other lines
            are indented by its length.
    """
    margin = " " * indent
    for line in printable(foreign).splitlines():
        _print_wrapped(line, margin + start, margin + " " * len(start))


def headline(words: str, marked: str, foreign: str) -> None:
    """A line that begins with words in a colour.

    Args:
        words: The words.
        marked: The same with their markup.
        foreign: Text that follows; may come from elsewhere.
    """
    first, *others = _wrapped(printable(f"{words}{foreign}"), "", "")
    out.print(marked + escape(first[len(words) :]), soft_wrap=True)
    for line in others:
        out.print(escape(line), soft_wrap=True)


def _print_wrapped(line: str, first: str, later: str) -> None:
    for part in _wrapped(line, first, later):
        out.print(escape(part), soft_wrap=True)


def _wrapped(line: str, first: str, later: str) -> list[str]:
    """A line broken between words, with what stands before it and before what was broken off."""
    return textwrap.wrap(
        line,
        width=max(out.width, 2 * len(later) + 1),
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def complain(problem: str) -> None:
    """A problem on a line of its own, on standard error."""
    line = " ".join(problem.splitlines())  # what begins a line may be a command to a pipeline
    err.print(f"[bold]error:[/bold] {text(line)}", soft_wrap=True)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, under: int | None = None
) -> None:
    """A table on standard output in which no name is broken.

    Where it is wider than the terminal, each row becomes a few lines: the last cells below the
    others with `under`, else a line a cell.

    Args:
        columns: Names of the columns.
        rows: Cells; may come from elsewhere.
        under: Number of cells that stay in one line where not all fit; the rest go below the last
            of them.
    """
    shown = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *shown, strict=True)]
    if sum(widths) + GAP * (len(widths) - 1) <= out.width:
        _print_rows([columns, *shown], widths)
    elif under is not None and shown:
        _print_rows([columns[:under]], widths)
        margin = " " * (sum(widths[: under - 1]) + GAP * (under - 1))
        for row in shown:
            _print_rows([row[:under]], widths)
            for cell in row[under:]:
                out.print(escape(margin + cell), soft_wrap=True)
    else:
        _print_blocks(columns, shown)


def _print_rows(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
    for row in rows:
        cells = [
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=False)
        ]
        out.print(escape((" " * GAP).join(cells).rstrip()), soft_wrap=True)


def _print_blocks(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One line a cell, its column before it, and an empty line between two rows."""
    width = max(map(cell_len, columns)) + GAP
    for place, row in enumerate(rows):
        if place:
            out.print()
        for column, cell in zip(columns, row, strict=True):
            if cell:
                _print_wrapped(cell, f"{column:<{width}}", " " * width)


def print_json(data: Any) -> None:
    """One JSON object, the only thing on standard output."""
    out.print_json(json.dumps(data, allow_nan=False), indent=2, highlight=False)


def summary(assessment: "Assessment") -> dict[str, Any]:
    """What `--json` prints of an assessment."""
    from governance.records.serialisation import to_data

    return {
        "uri": assessment.identity.uri,
        "name": assessment.identity.name,
        "version": assessment.identity.version,
        "verdict": assessment.decision.verdict,
        "exit_code": exit_code(assessment),
        "digest": assessment.digest,
        "model_digest": assessment.identity.digest,
        "policy": {"title": assessment.policy.title, "digest": assessment.policy.digest},
        "findings": [to_data(finding) for finding in assessment.decision.findings],
    }


def misuse(problem: str) -> NoReturn:
    """Report a misuse of the command line, and end the command with code 2."""
    complain(problem)
    raise typer.Exit(MISUSE)

"""The command `export`: a kept assessment in the formats of other tools."""

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from governance.cli.arguments import Record
from governance.cli.console import out, paragraph
from governance.cli.files import write
from governance.cli.recorded import recorded

__all__ = ["Format", "export"]


class Format(StrEnum):
    """A format, by the name that the command line has for it."""

    CYCLONEDX = "cyclonedx"
    OSCAL = "oscal"
    CHAI = "chai"
    MODEL_CARD = "model-card"


def export(
    source: Record,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="cyclonedx: bill of materials with model card (CycloneDX 1.7); oscal: assessment "
            "results; chai: applied model card (XML); model-card: Hugging Face's (Markdown).",
        ),
    ],
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; standard output if not given.", metavar="FILE"),
    ] = None,
) -> None:
    """Write a recorded assessment in a format that other tools read.

    Nothing is measured. A record whose verdict does not follow from its evidence is not exported.
    """
    from governance.errors import EvidenceError

    assessment, doubts, _ = recorded(source)
    if doubts:
        raise EvidenceError([f"{source}: {doubt}" for doubt in doubts])
    module = f"reports.{form.value.replace('-', '_')}"
    text: str = import_module(module).render(assessment)
    if out_file is None:
        out.out(text, end="", highlight=False)
    else:
        write(out_file, text.encode())
        paragraph(f"Export: {out_file}")

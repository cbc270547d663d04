"""Arguments: those that several commands take alike."""

from typing import Annotated

import typer

__all__ = ["AsJson", "ModelUri"]

ModelUri = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_URI",
        help="models:/name/version, models:/name@alias, models:/m-<id>, runs:/... or a folder",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]

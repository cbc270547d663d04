"""Arguments: those that several commands take alike."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Keys", "ModelUri", "SigningKey"]

ModelUri = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_URI",
        help="models:/name/version, models:/name@alias, models:/m-<id>, runs:/... or a folder",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Keys = Annotated[
    Path | None,
    typer.Option(help="Ring of public keys; with it signatures are checked.", metavar="KEYRING"),
]
SigningKey = Annotated[
    Path | None,
    typer.Option(help="The assessor's private key, to sign the verdict with.", metavar="FILE"),
]

"""Arguments that several commands share, and defaults that the machine gives."""

import os
import pwd
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["All", "AsJson", "Keys", "ModelUri", "Record", "SigningKey", "login"]

ModelUri = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_URI",
        help="models:/name/version (or latest), models:/name@alias, models:/m-<id>, runs:/... or a "
        "folder",
    ),
]
Record = Annotated[
    str,
    typer.Argument(
        metavar="ASSESSMENT_DIR|MODEL_URI",
        help="Folder of an assessment, or address of a model with a record.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
All = Annotated[bool, typer.Option("--all", help="List the findings that are met as well.")]
Keys = Annotated[
    Path | None,
    typer.Option(
        help="Keyring of public keys; without it no signature is checked.", metavar="KEYRING"
    ),
]
SigningKey = Annotated[
    Path | None,
    typer.Option(help="The assessor's private key, to sign the verdict with.", metavar="FILE"),
]


def login() -> str:
    """The login name of this user; its number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"

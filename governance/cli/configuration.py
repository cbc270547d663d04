"""Configuration: the option `--config FILE`, which gives options that recur a default.

What stands on the command line comes first, then MLflow's environment variables, then the file.
"""

import inspect
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from governance.errors import PolicyError
from governance.records.configuration import configuration, read_text
from governance.records.toml_reader import Reader

__all__ = ["CLIENT", "Config", "MaybeConfig", "configured"]

#: Keys of the table `[client]`, each of which is an option of some commands, and what they hold.
CLIENT = {"audit": "text", "key": "file", "policy": "file", "signing_key": "file"}
#: Commands that read the table `[worker]` instead.
WORKERS = ("worker", "sweep")


def _take(context: typer.Context, config: Path | None) -> Path | None:
    """Let a file say what the command line leaves open."""
    if config is None:
        return None
    from governance.worker.config import OPTIONS

    part = "worker" if context.info_name in WORKERS else "client"
    found = configuration(read_text(config), config, part)  # type: ignore[arg-type] # one of two
    kinds = OPTIONS if part == "worker" else CLIENT
    values = {name: _value(found.own, name, kind, config.parent) for name, kind in kinds.items()}
    if part == "client":
        found.own.done()  # the worker reads more of its table, and complains itself
    if found.own.problems:
        raise PolicyError(found.own.problems)
    if found.keyring is not None:
        values |= dict.fromkeys(("keys", "ring"), str(found.keyring))
    if found.tracking_uri:
        values["registry"] = found.tracking_uri  # of the demo, which takes no server by itself
    context.default_map = {name: value for name, value in values.items() if value is not None}
    for variable, uri in (
        ("MLFLOW_TRACKING_URI", found.tracking_uri),
        ("MLFLOW_REGISTRY_URI", found.registry_uri),
    ):
        if uri:
            os.environ.setdefault(variable, uri)
    return config


def _value(reader: Reader, name: str, kind: str, folder: Path) -> str | float | None:
    if not reader.has(name):
        reader.leave(name)
        return None
    if kind == "number":
        return reader.number(name, None, above=0)
    text = reader.text(name, None)
    return str(folder / text) if kind == "file" else text


OPTION = typer.Option(
    "--config",
    help="Configuration file (TOML), which gives these options a default.",
    metavar="FILE",
    is_eager=True,
    callback=_take,
)
#: For commands that read the file themselves: one that needs it, and one that does not.
Config = Annotated[Path, OPTION]
MaybeConfig = Annotated[Path | None, OPTION]


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the option `--config` beside its own."""
    signature = inspect.signature(command)
    if "config" in signature.parameters:
        return command

    @wraps(command)
    def run(*arguments: Any, config: Path | None = None, **options: Any) -> None:
        del config
        command(*arguments, **options)

    option = inspect.Parameter(
        "config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=MaybeConfig
    )
    run.__signature__ = signature.replace(  # type: ignore[attr-defined] # what Typer reads
        parameters=[*signature.parameters.values(), option]
    )
    run.__annotations__ = {**command.__annotations__, "config": MaybeConfig}
    return run

"""Configuration: `governance.toml`, one file for the server, the worker and the command line.

Keys that all share stand at the top; each part has a table of its own beside them:

    keyring = "keyring.toml"
    tracking_uri = "http://127.0.0.1:5000"

    [registry]     # read by the governed server
    [worker]       # read by `governance worker` and `governance sweep`
    [client]       # read by all other commands

A part reads what is shared and its own table, and refuses keys that it does not know. What stands
in the tables of the others is theirs to check. `docs/reference/configuration.md` lists all keys.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from governance.errors import PolicyError
from governance.records.bounded import LARGEST_TOML
from governance.records.toml_reader import Reader, parse

__all__ = ["FILE", "SHARED", "TABLES", "Configuration", "Part", "configuration", "read_text"]

#: The name under which the server looks for it, in its working directory.
FILE = "governance.toml"

Part = Literal["registry", "worker", "client"]
TABLES: tuple[Part, ...] = ("registry", "worker", "client")
SHARED = ("keyring", "tracking_uri", "registry_uri")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is shared, and the table of one part.

    Attributes:
        keyring: File of public keys, whose signatures count, or file of the root keys that sign
            it. The server needs it. For commands it is the option `--keys`.
        tracking_uri: Address of the MLflow server, as `MLFLOW_TRACKING_URI`. The server itself does
            not read it.
        registry_uri: Address of the registry if it is another one, as `MLFLOW_REGISTRY_URI`. The
            server itself does not read it.
        own: Reader of the part's own table, which notes its problems for the whole file.
    """

    keyring: Path | None = None
    tracking_uri: str = ""
    registry_uri: str = ""
    own: Reader


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        PolicyError: If it cannot be read, is no text or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_TOML + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error
    if len(data) > LARGEST_TOML:
        raise PolicyError(f"{path}: is larger than 1 MiB, the largest file that is accepted")
    return text


def configuration(text: str, path: Path, part: Part) -> Configuration:
    """What a configuration says to one part; its problems so far are noted in the reader.

    Args:
        text: Text of the file (TOML).
        path: The file; relative paths start at its folder.
        part: Part that asks.

    Raises:
        PolicyError: If the text is not TOML.
    """
    whole = parse(text, path.name)
    own = whole.table(part)
    whole.leave(*TABLES)
    keyring = whole.text("keyring", "")
    found = Configuration(
        keyring=path.parent / keyring if keyring else None,
        tracking_uri=whole.text("tracking_uri", ""),
        registry_uri=whole.text("registry_uri", ""),
        own=own,
    )
    for key in sorted(set(whole.names) - {*SHARED, *TABLES}):
        whole.problem(
            key,
            f"unknown key; accepted are {', '.join(SHARED)} and the tables [registry], [worker] "
            "and [client], in which the keys of earlier files stand",
        )
    return found

"""Command: `governance up`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from governance.cli.console import out, text

__all__ = ["up"]


def up(
    folder: Annotated[
        Path,
        typer.Option(
            "--dir", help="Folder for keys, database and policy; made if needed.", metavar="FOLDER"
        ),
    ] = Path("governed"),
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the server; at first 5000, later the one it had.", min=1, max=65535
        ),
    ] = None,
) -> None:
    """Run a governed MLflow server and a worker on this machine, until Ctrl-C.

    The first call makes keys, rules and a starter policy in a new folder. A later one takes up
    where it was. The worker starts once the policy can be used.
    """
    from governance.cli.laptop.folder import laptop, locked, take_port
    from governance.cli.laptop.running import run_until_stopped

    home = laptop(folder, port)
    with locked(home):
        take_port(home)
        run_until_stopped(home, lambda line: out.print(text(line), soft_wrap=True, highlight=False))
    again = f"governance up --dir {quote(str(folder))}"
    out.print(text(f"Ended. `{again}` takes up where it was."), soft_wrap=True, highlight=False)

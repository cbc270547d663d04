"""Commands that assess every registered version: `worker`, `sweep`."""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance.cli.arguments import AsJson
from governance.cli.console import out, print_json, text
from governance.errors import SubjectError

if TYPE_CHECKING:
    from governance.worker.job import Resources

__all__ = ["sweep", "worker"]

Policies = Annotated[
    Path, typer.Option(help="Configuration file with policies by model name (TOML).")
]
SigningKey = Annotated[Path, typer.Option(help="Private key of an assessor.")]
Ring = Annotated[
    Path | None,
    typer.Option(
        help="Keyring of public keys; without it the worker's own key alone counts.", metavar="FILE"
    ),
]
LedgerUrl = Annotated[str, typer.Option("--ledger", help="Job database, as a URL.")]

#: What a worker asks of MLflow's client unless told otherwise: it comes back by itself anyway, and
#: its output is for machines.
MANNERS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def worker(
    policies: Policies,
    signing_key: SigningKey,
    keys: Ring = None,
    ledger: LedgerUrl = "sqlite:///governance-ledger.db",
    poll: Annotated[
        float, typer.Option(help="Seconds between looks into the registry.", min=0.1)
    ] = 30.0,
    listen: Annotated[
        str | None,
        typer.Option(help="Address for webhooks, /healthz and /metrics.", metavar="HOST:PORT"),
    ] = None,
    webhook_secret_file: Annotated[
        Path | None, typer.Option(help="File with the secret that MLflow signs deliveries with.")
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds to finish or hand back work after SIGTERM.", min=1)
    ] = 30.0,
) -> None:
    """Assess every registered version and sign its verdict, until SIGTERM or Ctrl-C.

    Aliases are set by nobody but you.
    """
    address = _address(listen) if listen is not None else None
    secret = _secret(webhook_secret_file) if webhook_secret_file is not None else None
    if secret is not None and address is None:
        raise SubjectError("--webhook-secret-file: nothing listens; --listen HOST:PORT is needed")
    resources = _resources(policies, signing_key, keys, ledger)

    from governance.worker.counts import Counts
    from governance.worker.log import log
    from governance.worker.loop import Loop
    from governance.worker.shutdown import run_until_signalled
    from governance.worker.webhook import Receiver

    counts = Counts()
    loop = Loop(resources, poll=poll, counts=counts)
    receiver = None
    if address is not None:
        receiver = Receiver(
            *address, secret=secret, wake=loop.wake, healthy=loop.healthy, counts=counts
        )
        log("listening", port=receiver.port, webhook=secret is not None)
    run_until_signalled(loop, patience=patience, receiver=receiver)


def sweep(
    policies: Policies,
    signing_key: SigningKey,
    keys: Ring = None,
    ledger: LedgerUrl = "sqlite:///governance-ledger.db",
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Scan all versions once, assess those that need it, and report aliases without an approval."""
    resources = _resources(policies, signing_key, keys, ledger)

    from governance.worker.counts import Counts
    from governance.worker.loop import Loop

    counts = Counts()
    outcomes = Loop(resources, poll=1.0, counts=counts).once()
    found = {
        "done": sum(item.state == "done" for item in outcomes),
        "unfinished": sum(item.state != "done" for item in outcomes),
        "waiting": resources.jobs.states()["waiting"],
        "unapproved_aliases": int(counts.value("governance_unapproved_aliases")),
    }
    if as_json:
        print_json(found)
    else:
        out.print(text(", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in found.items())))


def _resources(policies: Path, signing_key: Path, keys: Path | None, ledger: str) -> "Resources":
    """Check files and machine before anything else happens, and log as JSON lines."""
    for name, value in MANNERS.items():
        os.environ.setdefault(name, value)
    logger = logging.getLogger("governance.worker")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.setLevel(logging.INFO)
    logger.propagate = False

    from governance.worker.setup import prepare

    return prepare(policies, signing_key, keys, ledger)


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise SubjectError(f"--listen {listen}: HOST:PORT is accepted, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def _secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SubjectError(f"{path}: cannot be read as a secret: {error.strerror}") from error
    if len(secret) < 16:  # noqa: PLR2004 - bytes below which a secret is guessed
        raise SubjectError(
            f"{path}: holds {len(secret)} bytes; a secret of at least 16 is accepted"
        )
    return secret

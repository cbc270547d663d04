"""Commands that assess every registered version: `worker`, `sweep`."""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance.cli.arguments import AsJson
from governance.cli.configuration import Config
from governance.cli.console import out, print_json, text
from governance.errors import SubjectError

if TYPE_CHECKING:
    from governance.worker.job import Resources

__all__ = ["sweep", "worker"]

SigningKey = Annotated[
    Path | None, typer.Option(help="Private key of an assessor, read by this very process.")
]
Signer = Annotated[
    Path | None,
    typer.Option(help="Socket of `governance signer`, which holds the key.", metavar="FILE"),
]
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
    config: Config,
    *,
    signing_key: SigningKey = None,
    signer: Signer = None,
    keys: Ring = None,
    ledger: LedgerUrl = "sqlite:///governance-ledger.db",
    poll: Annotated[
        float, typer.Option(help="Seconds between looks into the registry.", min=0.1)
    ] = 30.0,
    listen: Annotated[
        str | None, typer.Option(help="Address for MLflow's webhooks.", metavar="HOST:PORT")
    ] = None,
    webhook_secret_file: Annotated[
        Path | None, typer.Option(help="File with the secret that MLflow signs deliveries with.")
    ] = None,
    monitoring: Annotated[
        str | None,
        typer.Option(help="Address for /livez, /healthz and /metrics.", metavar="HOST:PORT"),
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds to finish or hand back work after SIGTERM.", min=1)
    ] = 30.0,
) -> None:
    """Assess every registered version and sign its verdict.

    Runs until SIGTERM or Ctrl-C. Aliases are set by nobody but you.
    """
    webhooks = _address("--listen", listen)
    probes = _address("--monitoring", monitoring)
    secret = b"" if webhook_secret_file is None else _secret(webhook_secret_file)
    if (listen is None) != (webhook_secret_file is None):
        raise SubjectError(
            "--listen, --webhook-secret-file: both are needed to receive webhooks; "
            "--monitoring HOST:PORT answers /livez, /healthz and /metrics without a secret"
        )
    resources = _resources(config, signing_key, signer, keys, ledger)

    from governance.worker.counts import Counts
    from governance.worker.listener import Listener
    from governance.worker.log import log
    from governance.worker.loop import Loop
    from governance.worker.monitoring import monitoring as monitor
    from governance.worker.shutdown import run_until_signalled
    from governance.worker.webhook import receiver

    counts = Counts()
    loop = Loop(resources, poll=poll, counts=counts)
    apps = {
        "--listen": (webhooks, receiver(secret, wake=loop.wake, counts=counts)),
        "--monitoring": (probes, monitor(alive=loop.alive, healthy=loop.healthy, counts=counts)),
    }
    listeners = []
    for option, (address, app) in apps.items():
        if address is None:
            continue
        listener = Listener(app, *address, option=option, counts=counts)
        log("listening", option=option, port=listener.port)
        listeners.append(listener)
    run_until_signalled(loop, patience=patience, listeners=listeners)


def sweep(
    config: Config,
    *,
    signing_key: SigningKey = None,
    signer: Signer = None,
    keys: Ring = None,
    ledger: LedgerUrl = "sqlite:///governance-ledger.db",
    as_json: AsJson = False,
) -> None:
    """Do the worker's job once: scan all versions, assess some.

    Aliases without an approval are reported.
    """
    resources = _resources(config, signing_key, signer, keys, ledger)

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


def _resources(
    config: Path, signing_key: Path | None, signer: Path | None, keys: Path | None, ledger: str
) -> "Resources":
    """Check files and machine before anything else happens, and log as JSON lines."""
    for name, value in MANNERS.items():
        os.environ.setdefault(name, value)
    logger = logging.getLogger("governance.worker")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.setLevel(logging.INFO)
    logger.propagate = False

    from governance.worker.setup import prepare

    return prepare(config, signing_key, keys, ledger, signer=signer)


def _address(option: str, given: str | None) -> tuple[str, int] | None:
    if given is None:
        return None
    host, colon, port = given.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise SubjectError(f"{option} {given}: HOST:PORT is accepted, such as 127.0.0.1:8080")
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

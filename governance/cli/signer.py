"""Command that holds an assessor's key in a process of its own: `signer`."""

import logging
import os
import pwd
import signal
import sys
import time
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from governance.errors import ApprovalError, SubjectError

__all__ = ["signer"]


def signer(
    signing_key: Annotated[Path, typer.Option(help="Private key of an assessor.")],
    keys: Annotated[Path, typer.Option(help="Keyring that holds its public half.", metavar="FILE")],
    listen: Annotated[Path, typer.Option("--socket", help="Unix socket to be asked on.")],
    user: Annotated[
        list[str] | None,
        typer.Option(help="User who may ask, by name or number; yourself if none is given."),
    ] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="Policy that verdicts are signed under; any if none is given."),
    ] = None,
) -> None:
    """Hold a worker's key in a process of its own.

    It signs the verdicts that follow from the records. It judges each record again itself, and
    signs nothing that people sign.
    """
    logger = logging.getLogger("governance.signer")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.setLevel(logging.INFO)
    logger.propagate = False

    from governance.approval import PrivateKey, load_ring
    from governance.approval.signable import SigningTerms
    from governance.approval.signer_process import SignerProcess, seal_memory
    from governance.records.policy import Policy

    seal_memory()
    key, ring = PrivateKey.load(signing_key), load_ring(keys)
    known = ring.signer(key.id, int(time.time()), f"{keys}: the signer's key")
    if known.role != "assessor":
        raise ApprovalError(
            f"{keys}: the signer's key {key.id} is an {known.role}'s; one of the role assessor is "
            "accepted"
        )
    digests = (Policy.loads(_text(path), where=str(path)).digest for path in policy or ())
    terms = SigningTerms(registry=ring.registry, policies=frozenset(digests))
    users = frozenset(map(_user, user)) if user else frozenset({os.geteuid()})
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    SignerProcess(key=key, terms=terms, users=users).serve(listen, ended)


def _user(name: str) -> int:
    try:
        return int(name) if name.isascii() and name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise SubjectError(
            f"--user {name}: no such user; one of this system is accepted"
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SubjectError(f"--policy {path}: cannot be read: {error}") from error

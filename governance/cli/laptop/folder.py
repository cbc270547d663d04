"""Folder: keys, rules and policy of one machine, made all at once or found as they were left.

A new folder is filled beside its place and moved there when it is complete, so that nobody finds
half of one. `up.toml` says that `governance up` made it, and how.
"""

import fcntl
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from cryptography.fernet import Fernet

from governance.approval import Keyring, PrivateKey
from governance.cli.arguments import login
from governance.cli.policies import starter
from governance.errors import SubjectError
from governance.records.configuration import FILE, configuration, read_text
from governance.records.toml_reader import parse

__all__ = ["HOST", "LAYOUT", "PORT", "Laptop", "laptop", "locked", "take_port"]

HOST, PORT, LAST_PORT = "127.0.0.1", 5000, 65535
MARKER, LAYOUT = "up.toml", 1
#: What no folder can do without; the server and the worker make the rest.
NEEDED = (FILE, "keyring.toml", "assessor.pem", "approver.pem", "fernet.key", "policy.toml")

#: What means something else in the addresses of database and artifacts, or in a text of the rules.
UNFIT = re.compile(r'["\\?#%\x00-\x1f\x7f]')

MARKED = f"""\
# `governance up` made this folder and finds it by this file.
layout = {LAYOUT}
"""

RULES = """\
# Read by the server, by the worker and, with --config, by the commands.
keyring = "keyring.toml"
tracking_uri = "{address}"

[worker]
signing_key = "assessor.pem"
poll = 5
patience = 10

[[worker.policies]]
models = "*"
policy = "policy.toml"

[client]
policy = "policy.toml"
signing_key = "assessor.pem"
key = "approver.pem"
audit = "sqlite:///{home}/mlflow.db"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laptop:
    """A folder with all that a governed MLflow on one machine works with.

    Attributes:
        folder: The folder, absolute.
        port: Port of the server.
        new: Whether it was made just now.
    """

    folder: Path
    port: int
    new: bool

    def shown(self, name: str = "") -> str:
        """The path of a file in it, as it is typed in the working directory."""
        path, here = self.folder / name, Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)

    @property
    def address(self) -> str:
        """Address of the server."""
        return f"http://{HOST}:{self.port}"


def laptop(folder: Path, port: int | None) -> Laptop:
    """The folder as it was left; one that is not there, or empty, is made.

    Args:
        folder: Its place.
        port: Port of the server; None keeps the one it had, which at first is 5000.

    Raises:
        SubjectError: If the folder is another's, of another layout, incomplete, or cannot be made;
            or if a new one is to have a port that cannot be had.
        PolicyError: If its rules cannot be read.
    """
    home = folder.resolve()
    try:
        if (home / MARKER).exists():
            return _found(home, port)
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise SubjectError(
                f"--dir {folder}: exists and was not made by `governance up`; a new or empty "
                "folder is accepted"
            )
        return _made(home, PORT if port is None else port)
    except OSError as error:
        raise SubjectError(
            f"--dir {folder}: cannot be used: {error.strerror}; a folder in which this user may "
            "make files is accepted"
        ) from error


def _made(home: Path, port: int) -> Laptop:
    if home == Path.cwd():
        raise SubjectError(
            f"--dir {home}: is the working directory, and a new folder takes its place as a whole; "
            "a new folder is accepted"
        )
    if found := UNFIT.search(str(home)):
        raise SubjectError(
            f"--dir {home}: {found[0]!r} cannot stand in its path; a path without control "
            'characters and without " \\ ? # % is accepted'
        )
    _check_port(port)
    home.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        _fill(partial, home, port)
        partial.rename(home)  # takes the place of an empty folder, too
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Laptop(folder=home, port=port, new=True)


def _fill(partial: Path, home: Path, port: int) -> None:
    now, ring = datetime.now(UTC).replace(microsecond=0), partial / "keyring.toml"
    assessor, approver = (
        PrivateKey.new(partial / f"{name}.pem") for name in ("assessor", "approver")
    )
    Keyring.add(ring, assessor.public(owner="worker", role="assessor", not_before=now))
    Keyring.add(ring, approver.public(owner=login(), role="approver", not_before=now))
    # MLflow's secret for webhooks: without it, webhooks stop at the next start, without an error.
    descriptor = os.open(partial / "fernet.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(Fernet.generate_key())
    (partial / FILE).write_text(RULES.format(address=f"http://{HOST}:{port}", home=home))
    (partial / "policy.toml").write_bytes(starter())
    (partial / MARKER).write_text(MARKED)


def _found(home: Path, port: int | None) -> Laptop:
    marker = parse(read_text(home / MARKER), MARKER)
    layout = marker.number("layout", None, whole=True)
    if layout != LAYOUT:
        raise SubjectError(
            f"{home}: has layout {layout}, and this version of mlflow-governance accepts {LAYOUT}; "
            "use the version that made the folder, or take a new one"
        )
    if gone := [name for name in NEEDED if not (home / name).is_file()]:
        raise SubjectError(
            f"{home}: {', '.join(gone)}: missing; put back what was removed, or take a new folder"
        )
    known = _address(home / FILE)[1]
    return Laptop(folder=home, port=known if port is None else port, new=False)


def _address(rules: Path) -> tuple[str, int]:
    """The address of the server in the rules, and its port."""
    address = configuration(read_text(rules), rules, "client").tracking_uri
    known = re.fullmatch(rf"http://{re.escape(HOST)}:([0-9]{{1,5}})", address)
    if known is None or not 1 <= int(known[1]) <= LAST_PORT:
        raise SubjectError(
            f"{rules}: tracking_uri: {address!r}; http://{HOST}:PORT is accepted, the address of "
            "the server that `governance up` starts"
        )
    return address, int(known[1])


def take_port(home: Laptop) -> None:
    """Refuse a port on which something listens; write down one that the rules do not have yet.

    To be called in the block of `locked`: the rules are those of a server that runs.

    Raises:
        SubjectError: If the port cannot be had.
    """
    _check_port(home.port)
    rules = home.folder / FILE
    address, known = _address(rules)
    if known == home.port:
        return
    partial = rules.with_name(f".{rules.name}.partial")
    partial.write_text(read_text(rules).replace(address, home.address))
    partial.replace(rules)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SubjectError(
                f"--port {port}: cannot be had on {HOST}: {error.strerror}; a free port is "
                "accepted, such as --port 5001"
            ) from error


@contextmanager
def locked(home: Laptop) -> Iterator[None]:
    """Keep the folder from a second `governance up` until the block ends, however it ends.

    Raises:
        SubjectError: If one runs there already, or the folder cannot be written to.
    """
    try:
        lock = os.open(home.folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SubjectError(
            f"{home.folder}: cannot be written to: {error.strerror}; a folder in which this user "
            "may make files is accepted"
        ) from error
    with os.fdopen(lock, "r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SubjectError(
                f"{home.folder}: `governance up` runs here already ({stream.read(200).strip()}); "
                "end it with Ctrl-C, or take another --dir"
            ) from None
        stream.truncate(0)
        stream.write(f"process {os.getpid()}, {home.address}\n")
        stream.flush()
        yield

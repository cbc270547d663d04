"""Serving: the scoring server that a version is asked through, named by its policy or started here.

A server that is started here runs the version's files, whatever they are, in namespaces of its own:
it sees its files and its programs, read-only, and nothing else of the machine. It has no network,
opens no connection and starts no process. The one way to it is a Unix socket that it is handed. It
is ended by its process id, however the assessment ends.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import BinaryIO

from governance.errors import HostError, SubjectError
from governance.records.model_terms import ModelTerms
from governance.records.policy import Policy
from governance.records.served_terms import ServedTerms
from governance.registry.materials import Materials
from governance.subject.flavours.scoring_server import ScoringServer, token_for
from governance.worker import namespaces, sandbox
from governance.worker.handover import as_said
from governance.worker.launch import environment, kill

__all__ = ["Premises", "asking", "started"]

CODE = (
    "a scoring server that is started here runs whatever code the model's files bring; trust its "
    "author and set allow_pickle = true in [model] of the policy, or give the address of a server "
    "in [model.served]"
)
OPEN = (
    "flavour = 'served': a scoring server runs whatever a model's files bring, and this machine "
    "cannot shut it in; start it elsewhere and give its address in [model.served] of the policy. "
    "Here is open:"
)
#: What a server is asked through: its name stands in no network.
INSIDE = "http://localhost/invocations"
APPLICATION = "mlflow.pyfunc.scoring_server.app:app"
#: Bytes of a file that it writes, its output among them.
LARGEST_FILE = 256 * 2**20
TAIL = 2000  # bytes of its output that are looked at
THREADS = 4096
BACKLOG = 16
LEFT = 10.0  # seconds that the kernel has to end what a server started
LEAVING = 2.0  # seconds between the end of its socket and its own
ACCEPTED = "a version that `mlflow models serve` starts in that environment is accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """Where servers are started, and which others may be asked.

    Attributes:
        python: Python of the environment with MLflow, uvicorn and what the model needs; our own
            where none is named.
        memory_gib: Largest address space of a server, in GiB.
        listed: Shell patterns of the addresses that may be asked; None for any that a policy names.
    """

    python: Path | None = None
    memory_gib: float = 16.0
    listed: Sequence[str] | None = None


@contextmanager
def asking(
    materials: Materials, policy: Policy, premises: Premises
) -> Iterator[ScoringServer | None]:
    """The server of a version while the block runs; None for a model that is opened here.

    Args:
        materials: Files of the version, as gathered.
        policy: Policy as read.
        premises: Where servers are started, and which others may be asked.

    Raises:
        SubjectError: If the server does not start, or the policy names one that is not listed.
        HostError: If this machine cannot shut a server in.
    """
    version, model = materials.version, policy.model
    if model.flavour != "served":
        yield None
        return
    terms = model.served or ServedTerms()
    name, number = (None, None) if version.ref is None else (version.ref.name, version.ref.version)
    address = terms.address_of(name, number)
    if address is None:
        if not model.allow_pickle:
            raise SubjectError(f"{version.uri}: {CODE}")
        with started(Path(materials.model), model, premises, version.uri) as server:
            yield server
        return
    if premises.listed is not None and not any(
        fnmatchcase(address, pattern) for pattern in premises.listed
    ):
        raise SubjectError(
            f"{version.uri}: the policy's scoring server {address} is not among the "
            "scoring_servers of the worker's configuration; an address that fits one is accepted"
        )
    yield ScoringServer(address=address, seconds=terms.seconds, token=token_for(address))


@contextmanager
def started(
    folder: Path, model: ModelTerms, premises: Premises, where: str
) -> Iterator[ScoringServer]:
    """A server that was started from a model's files, until the block ends.

    Args:
        folder: The model's files.
        model: Terms of the policy.
        premises: Where it is started.
        where: Name of the model in messages.

    Raises:
        SubjectError: If it does not start.
        HostError: If this machine cannot shut it in.
    """
    terms = model.served or ServedTerms()
    with ExitStack() as stack:
        room = Path(stack.enter_context(TemporaryDirectory(prefix="governance-server-")))
        output = stack.enter_context(TemporaryFile())
        door = room / "door"
        alive, held = socket.socketpair()
        stack.enter_context(alive)
        with held, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(str(door))
            listening.listen(BACKLOG)
            process = _process(folder, model, premises, (listening, held), output)
        stack.callback(_end, process, alive)
        server = ScoringServer(address=INSIDE, seconds=terms.seconds, door=door)
        # Its end of the socket is the only one: where it ends, the question ends, too.
        if (why := server.wait_until_ready(terms.start_seconds)) is not None:
            raise SubjectError(
                f"{where}: its scoring server does not start: {_ended(process, why)}"
                f"{_said(output)}; {ACCEPTED}"
            )
        yield server


def _end(process: subprocess.Popen[bytes], alive: socket.socket) -> None:
    """End a server, and wait until nothing holds what all of its processes were handed."""
    kill(process)
    until = time.monotonic() + LEFT
    try:
        while (left := until - time.monotonic()) > 0:
            alive.settimeout(left)
            if not alive.recv(TAIL):
                return
    except OSError:
        pass
    raise HostError(f"a scoring server left a process behind {LEFT:g} seconds after its end")


def _process(
    folder: Path,
    model: ModelTerms,
    premises: Premises,
    handed: tuple[socket.socket, socket.socket],
    output: BinaryIO,
) -> subprocess.Popen[bytes]:
    shut_in = sandbox.confinement()
    if shut_in.bubblewrap is None or not shut_in.filtered:
        raise HostError([OPEN, *shut_in.gaps])
    python = str(premises.python or sys.executable)
    ours = environment(Path(namespaces.SCRATCH), os.environ)
    variables = _variables(ours, folder, model, own=premises.python is None)
    asked = {
        "limits": _limits(premises.memory_gib),
        "command": [
            *(python, "-P", "-m", "uvicorn", APPLICATION, "--fd", str(handed[0].fileno())),
            *("--log-level", "warning"),
        ],
        "variables": variables,
    }
    shown = [folder, *namespaces.shown_code(variables, python)]
    command = [
        *namespaces.command(shut_in.bubblewrap, shown, ours, device="cpu"),
        *(sys.executable, "-P", "-m", "governance.worker.confined_server", json.dumps(asked)),
    ]
    try:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            command, env=ours, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            pass_fds=[end.fileno() for end in handed], start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"a scoring server cannot be started: {error}") from error


def _variables(
    ours: dict[str, str], folder: Path, model: ModelTerms, *, own: bool
) -> dict[str, str]:
    """Environment of a server; another Python is not shown our modules."""
    terms = model.served or ServedTerms()
    kept = (
        ours if own else {k: v for k, v in ours.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    )
    return {
        **kept,
        "__pyfunc_model_path__": str(folder),  # MLflow's own name for it
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(int(terms.seconds) + 1),
        # MLflow before 3.18 knows the first name alone, MLflow from then on deprecates it.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
        "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "true",
    }


def _limits(memory_gib: float) -> dict[str, int]:
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    threads = THREADS if most == resource.RLIM_INFINITY else min(THREADS, most)
    return {
        "RLIMIT_NPROC": threads,
        "RLIMIT_AS": int(memory_gib * 2**30),
        "RLIMIT_FSIZE": LARGEST_FILE,
        "RLIMIT_CORE": 0,
    }


def _ended(process: subprocess.Popen[bytes], why: str) -> str:
    try:
        return f"it ended with code {process.wait(LEAVING)}"
    except subprocess.TimeoutExpired:
        return why


def _said(output: BinaryIO) -> str:
    """The last line that a server wrote, as a clause; a stranger's words."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - TAIL))
    lines = output.read(TAIL).decode(errors="replace").strip().splitlines()
    return "".join(f" ({line})" for line in as_said(lines[-1:], source="it says"))

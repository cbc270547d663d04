"""Confined: what runs in the process of one assessment, `python -P -m governance.worker.confined`.

It limits itself, gives up the right to new privileges and takes most of the kernel away from itself
before it imports anything of ours: what comes later, a model's code included, finds it shut in.
"""

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import BinaryIO

from governance.worker import handover, system_calls

__all__ = ["die_with", "main"]

#: From <linux/prctl.h>.
DEATH_SIGNAL, NO_NEW_PRIVILEGES = 1, 38
LEFT_ALONE = 3
LEAST_MEMORY = 256 * 2**20  # bytes; torch alone takes more


def main() -> int:
    """Assess what a folder asks for; or with a device, only see whether that could be done.

    Command line: one JSON object with `limits` (by name of the `resource` module), `worker` (the
    process to die with; 0 where a namespace sees to that), `sockets` (families that may be opened),
    `result` (descriptor of the pipe to hand back through), `server` (that of the way to a scoring
    server; not there where none is asked), and either `folder` or `device`.

    Returns:
        0 if something was handed back; the rest of the codes are those of Python.
    """
    asked = json.loads(sys.argv[1])
    for name, limit in asked["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if asked["worker"]:
        die_with(asked["worker"])
    filtered = system_calls.deny(asked["sockets"])
    with os.fdopen(asked["result"], "wb") as stream:
        handover.ready(stream, filtered=filtered)
        if "folder" in asked:
            _assess(Path(asked["folder"]), stream, asked.get("server"))
        elif problem := _missing(asked["device"]):
            handover.write(stream, "failed", problems=[problem])
        else:
            handover.write(stream, "assessed")
    return 0


def die_with(worker: int) -> None:
    """Be killed when the worker ends, however it ends."""
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != worker:  # it ended before it was asked for
        os._exit(LEFT_ALONE)


def _missing(device: str) -> str:
    """What this machine lacks, or the limits withhold; empty if nothing."""
    try:
        mmap.mmap(-1, LEAST_MEMORY).close()
    except OSError:
        return f"memory_gib: not even {LEAST_MEMORY // 2**20} MiB can be had"
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            return "device = 'cuda': torch finds no GPU here"
    return ""


def _assess(folder: Path, stream: BinaryIO, server: int | None) -> None:
    from governance.errors import GovernanceError, HostError, PolicyError, SubjectError
    from governance.worker.relay import Relayed
    from governance.worker.request import Request
    from governance.workflows.assessing import measure

    try:
        request = Request.load(folder)
        if problem := _missing(request.device):
            handover.write(stream, "failed", problems=[problem])
            return
        assessment = measure(
            request.materials, request.policy, device=request.device, lineage=request.lineage,
            ask=None if server is None else Relayed(socket.socket(fileno=server)),
        )  # fmt: skip
        result = Path.cwd() / "assessment"
        assessment.save(result)
    except (GovernanceError, OSError) as error:
        if (fault := HostError.behind(error)) is not None:
            handover.write(stream, "failed", problems=fault.problems)
            return
        if not isinstance(error, GovernanceError):
            raise
        refused = isinstance(error, PolicyError | SubjectError)
        handover.write(stream, "refused" if refused else "failed", problems=error.problems)
        return
    handover.write(stream, "assessed", folder=result)


if __name__ == "__main__":
    sys.exit(main())

"""Confined: what runs in the process of one assessment, `python -P -m governance.worker.confined`.

It gives up the network and the right to new privileges, and dies with its worker, before it imports
anything of ours: only a process of one thread can leave its network behind.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

__all__ = ["main"]

#: From <linux/sched.h> and <linux/prctl.h>.
NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000
DEATH_SIGNAL, NO_NEW_PRIVILEGES = 1, 38

REFUSED, FAILED, UNCONFINED, HOST = 2, 3, 4, 5


def main() -> int:
    """Assess what a folder asks for; or with a device, only see whether that could be done.

    Command line: the folder, the worker's process id, `network` of `[worker]`, and the device if
    there is nothing to assess.

    Returns:
        0 if the assessment lies in the folder, 2 if the model, its images or the policy were
        refused, 3 if something else failed, 4 if the network could not be given up and had to be, 5
        if this machine lacks the device, or its disk is full or fails.
    """
    folder, worker, network = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    isolated = network == "as the worker" or leave_network()
    die_with(worker)
    if not isolated:
        sys.stderr.write("the network could not be given up\n")
        if network == "none":
            return UNCONFINED
    return _check_device(*sys.argv[4:]) if sys.argv[4:] else _assess(folder)


def leave_network() -> bool:
    """Have no network any more, if the kernel lets this user do so."""
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(flags) == 0 for flags in (NEW_NETWORK, NEW_USER | NEW_NETWORK))


def die_with(worker: int) -> None:
    """Be killed when the worker ends, however it ends; and gain no privilege until then."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != worker:  # it ended before it was asked for
        os._exit(FAILED)


def _check_device(device: str) -> int:
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            sys.stderr.write("device = 'cuda': torch finds no GPU here\n")
            return HOST
    return 0


def _assess(folder: Path) -> int:
    from governance.errors import GovernanceError, HostError, PolicyError, SubjectError
    from governance.worker.request import Request
    from governance.workflows.assessing import measure

    try:
        request = Request.load(folder)
        if (code := _check_device(request.device)) != 0:
            return code
        assessment = measure(
            request.materials, request.policy, device=request.device, lineage=request.lineage
        )
        assessment.save(folder / "assessment")
    except (GovernanceError, OSError) as error:
        if (fault := HostError.behind(error)) is not None:
            sys.stderr.write(f"{fault}\n")
            return HOST
        if not isinstance(error, GovernanceError):
            raise
        refused = isinstance(error, PolicyError | SubjectError)
        sys.stderr.write(f"{error}\n" if refused else f"{type(error).__name__}: {error}\n")
        return REFUSED if refused else FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())

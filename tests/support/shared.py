"""What is made once for all test processes of a run."""

import fcntl
import os
import shutil

READY = ".ready"


def once(factory, name, make):
    """A folder that one process fills with `make(folder)` while the others wait for it.

    Whoever uses it only reads it, or copies it first.

    Args:
        factory: Pytest's `tmp_path_factory`.
        name: Of the folder, one for all processes.
        make: Called with a new, empty folder; if it raises, the next process tries again.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # that of the run, in which each process has its own
    folder = root / f"shared {name}"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / READY).touch()
    return folder

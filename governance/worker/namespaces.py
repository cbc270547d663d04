"""Namespaces: a process that finds nothing on its machine but what it is shown.

Bubblewrap (Debian's package `bubblewrap`) gives it a user, a mount, a process, a network, an IPC, a
UTS and a cgroup namespace of its own. It is shown the system's programs and libraries, Python with
its packages, and its inputs, all of them read-only. It may write into a `/tmp` of its own, which
lies in memory, has a size, and ends with it. Whatever it starts ends with it too.
"""

import functools
import glob
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import governance
from governance.errors import HostError

__all__ = ["SCRATCH", "command", "program", "shown_code"]

#: Where a process may write, in its own mount namespace, and how many bytes.
SCRATCH, SCRATCH_BYTES = "/tmp", 2**30  # noqa: S108 - not that of the machine
SHARED_BYTES = 64 * 2**20

#: Programs and libraries of the system. `/lib` and its like are links into `/usr` on most systems.
SYSTEM, BESIDE_IT = "/usr", ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
#: Where libraries lie, which fonts there are, what time it is, and what Debian's links stand for.
SETTINGS = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/fonts", "/etc/localtime",
    "/etc/alternatives",
)  # fmt: skip
CORES = "/sys/devices/system/cpu"
#: What a process that uses a GPU needs besides.
GPU_DEVICES, GPU_BUS = "/dev/nvidia*", "/sys"
#: Our packages, the only ones shown of a checkout: keys and configurations may lie beside them.
OURS = ("governance", "reports", "templates", "mlflow_plugins")
INSTALLED = {"site-packages", "dist-packages"}
PLACES = (
    "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]))"
)


def program() -> str | None:
    """Path of bubblewrap; None if it is not installed."""
    return shutil.which("bwrap")


def command(
    bubblewrap: str,
    inputs: Iterable[Path],
    environment: Mapping[str, str],
    *,
    device: str,
    writable: Path | None = None,
) -> list[str]:
    """The command line that starts another one in namespaces of its own.

    Args:
        bubblewrap: Its path.
        inputs: Files and folders to show besides programs, each at its own place.
        environment: Of the process; its paths of libraries and modules are shown.
        device: `cpu`, or `cuda` to show the GPUs.
        writable: Folder that may be written to beside the one of its own.

    Raises:
        HostError: If Python cannot tell its own places.
    """
    return [
        bubblewrap,
        *("--unshare-user", "--unshare-all", "--uid", "65534", "--gid", "65534"),
        *("--hostname", "assessment", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--ro-bind", SYSTEM, SYSTEM),
        *_beside_system(),
        *(word for path in (*SETTINGS, CORES) for word in ("--ro-bind-try", path, path)),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--size", str(SHARED_BYTES), "--tmpfs", "/dev/shm"),  # noqa: S108 - its own
        *("--size", str(SCRATCH_BYTES), "--tmpfs", SCRATCH),
        *(_gpus() if device == "cuda" else ()),
        *_shown([*shown_code(environment), *inputs]),
        *(("--bind", str(writable), str(writable)) if writable is not None else ()),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH, "--"),
    ]


def shown_code(
    environment: Mapping[str, str], executable: str = sys.executable
) -> tuple[Path, ...]:
    """Where an interpreter, its packages and our own lie.

    Args:
        environment: Of the process; its paths of libraries and modules are shown.
        executable: Path of the interpreter.

    Raises:
        HostError: If Python cannot tell.
    """
    search = ("PYTHONPATH", "LD_LIBRARY_PATH", "PATH")
    return _places(executable, *((environment.get(name, "")) for name in search))


@functools.cache
def _places(executable: str, modules: str, libraries: str, programs: str) -> tuple[Path, ...]:
    environment = {"PYTHONPATH": modules, "LD_LIBRARY_PATH": libraries, "PATH": programs}
    try:
        asked = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            [executable, "-P", "-c", PLACES], env=environment, capture_output=True, check=True,
            timeout=60,
        )  # fmt: skip
        told = [Path(place) for place in json.loads(asked.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise HostError(f"{executable}: cannot tell where its modules lie: {error}") from error
    ours = Path(governance.__file__).parents[1]
    found = [*told, *map(Path, libraries.split(os.pathsep) if libraries else ())]
    shown = [
        part
        for place in found
        for part in ([place / name for name in OURS] if _is_checkout(place, ours) else [place])
    ]
    return (*shown, *_links(Path(executable)))


def _is_checkout(place: Path, ours: Path) -> bool:
    return place.name not in INSTALLED and place.resolve() == ours.resolve()


def _links(executable: Path) -> Iterator[Path]:
    """The files by which an interpreter is found, one a link."""
    for _ in range(40):  # as many as the kernel follows
        if not executable.is_symlink():
            break
        executable = executable.parent / executable.readlink()
        yield executable


def _beside_system() -> Iterator[str]:
    for path in BESIDE_IT:
        if Path(path).is_symlink():
            yield from ("--symlink", str(Path(path).readlink()), path)
        else:
            yield from ("--ro-bind-try", path, path)


def _gpus() -> Iterator[str]:
    for path in sorted(glob.glob(GPU_DEVICES)):  # noqa: PTH207 - an absolute pattern
        yield from ("--dev-bind", path, path)
    yield from ("--ro-bind", GPU_BUS, GPU_BUS)


def _shown(paths: Iterable[Path]) -> Iterator[str]:
    """Each path once, read-only, outer ones first; none that is inside another or not there."""
    present = {Path(os.path.abspath(path)) for path in paths if path.exists()}  # noqa: PTH100 - links stay
    present.discard(Path("/"))
    taken = [Path(SYSTEM), *map(Path, BESIDE_IT)]
    for path in sorted(present, key=lambda item: len(item.parts)):
        if not any(path.is_relative_to(outer) for outer in taken):
            taken.append(path)
            yield from ("--ro-bind", str(path), str(path))

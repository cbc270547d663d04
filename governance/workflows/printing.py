"""Printing: an assessment's folder as HTML and PDF, printed in a process of its own.

WeasyPrint is kept out of the process that holds the model: a limit of memory and time applies, no
credential is passed on, and `python -P` keeps a folder named `reports` in the working directory
from being imported instead of ours.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from governance.errors import RegistryError
from governance.records.assessment import Assessment

__all__ = ["REPORTS", "Wall", "print_reports"]

#: File names of the reports, as they are kept beside the assessment.
REPORTS = ("report.html", "report.pdf")

SECONDS = 600
MEMORY, LARGEST = 6 * 2**30, 2**28  # bytes of memory, and of one report
#: A command that limits its memory and becomes another one.
LIMITED = ("/bin/sh", "-c", 'unset PWD; ulimit -v "$0" && exec "$@"')
#: What a process needs to find its libraries, fonts and temporary folder; nothing secret.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")

#: Words before a command that shut it in, by a folder to read, one to write, and its environment.
Wall = Callable[[Path, Path, Mapping[str, str]], Sequence[str]]


def print_reports(folder: Path, wall: Wall | None = None) -> dict[str, bytes]:
    """Print the reports of a saved assessment; equal assessments give equal bytes.

    Args:
        folder: That of the assessment.
        wall: What shuts the process in; None to let it see the machine.

    Returns:
        Contents of the reports, by file name.

    Raises:
        EvidenceError: If the folder is no intact assessment.
        RegistryError: If printing fails, or takes too much time or memory.
    """
    with TemporaryDirectory() as scratch:
        html, pdf = (Path(scratch) / name for name in REPORTS)
        environment = _environment(folder)
        if wall is not None:
            environment |= {"HOME": scratch, "TMPDIR": scratch}
        command = [
            *(wall(folder.resolve(), Path(scratch), environment) if wall is not None else ()),
            sys.executable, "-P", "-m", "governance", "report", str(folder.resolve()),
            "--html", str(html), "--pdf", str(pdf),
        ]  # fmt: skip
        _run(command, scratch, environment)
        return {path.name: _content(path) for path in (html, pdf)}


def _content(path: Path) -> bytes:
    """A report; what its process put in the place of one is not followed."""
    try:
        with open(path, "rb", opener=_opened) as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST:
                return file.read(LARGEST)
    except OSError as error:
        raise RegistryError(f"printing the report left no {path.name}: {error}") from error
    raise RegistryError(f"printing the report left no file of at most {LARGEST} bytes")


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _environment(folder: Path) -> dict[str, str]:
    moment = int(Assessment.load(folder).moment.timestamp())
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "SOURCE_DATE_EPOCH": str(moment)}


def _run(command: list[str], scratch: str, environment: dict[str, str]) -> None:
    with subprocess.Popen(  # noqa: S603 - our own command, no shell
        [*LIMITED, str(MEMORY // 1024), *command],
        cwd=scratch,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            _, complaint = process.communicate(timeout=SECONDS)
        except BaseException as error:
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise RegistryError(f"printing the report took over {SECONDS} s") from error
            raise
    if process.returncode != 0:
        tail = complaint.decode(errors="replace").strip()[-2000:]
        raise RegistryError(f"printing the report failed with code {process.returncode}: {tail}")

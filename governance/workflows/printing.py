"""Printing: an assessment's folder as HTML and PDF, printed in a process of its own.

WeasyPrint is kept out of the process that holds the model: a limit of memory and time applies, no
credential is passed on, and `python -P` keeps a folder named `reports` in the working directory
from being imported instead of ours.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from governance.errors import RegistryError
from governance.records.assessment import Assessment

__all__ = ["REPORTS", "print_reports"]

#: File names of the reports, as they are kept beside the assessment.
REPORTS = ("report.html", "report.pdf")

SECONDS = 600
MEMORY = 6 * 2**30
#: What a process needs to find its libraries, fonts and temporary folder; nothing secret.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


def print_reports(folder: Path) -> dict[str, bytes]:
    """Print the reports of a saved assessment; equal assessments give equal bytes.

    Returns:
        Contents of the reports, by file name.

    Raises:
        EvidenceError: If the folder is no intact assessment.
        RegistryError: If printing fails, or takes too much time or memory.
    """
    with TemporaryDirectory() as scratch:
        html, pdf = (Path(scratch) / name for name in REPORTS)
        command = [
            sys.executable, "-P", "-m", "governance", "report", str(folder.resolve()),
            "--html", str(html), "--pdf", str(pdf),
        ]  # fmt: skip
        _run(command, scratch, _environment(folder))
        return {path.name: path.read_bytes() for path in (html, pdf)}


def _environment(folder: Path) -> dict[str, str]:
    moment = int(Assessment.load(folder).moment.timestamp())
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "SOURCE_DATE_EPOCH": str(moment)}


def _run(command: list[str], scratch: str, environment: dict[str, str]) -> None:
    with subprocess.Popen(  # noqa: S603 - our own command, no shell
        command,
        cwd=scratch,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
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

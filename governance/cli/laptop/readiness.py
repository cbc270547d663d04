"""Readiness: whether the policy can be used; until then no version is judged by it."""

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from governance.cli.laptop.folder import Laptop
from governance.cli.policies import starter
from governance.errors import PolicyError
from governance.records.configuration import read_text

__all__ = ["Answer", "Policy", "marked_lines"]

SECONDS = 300  # that a check of the policy may take: it opens the images
#: Times of change of the policy and of its images, by which a look knows that something changed.
Seen = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a look at the policy found.

    Attributes:
        ready: Whether versions can be judged by it.
        edited: Whether it is another text than the starter policy.
        problems: What `governance policy check` says against it.
    """

    ready: bool
    edited: bool
    problems: str = ""


class Policy:
    """The policy of a laptop, looked at again whenever it or its images changed."""

    def __init__(self, home: Laptop) -> None:
        self._folder = home.folder
        self._file = home.folder / "policy.toml"
        self._before: Seen | None = None
        self._answered: Seen | None = None

    def look(self) -> Answer | None:
        """What there is to say now; None where nothing changed, or it changes at the moment."""
        now = (_change(self._file), _change(self._images()))
        settled, self._before = now == self._before, now
        if now == self._answered or not (settled or self._answered is None):
            return None
        self._answered = now
        if now[0] is None:
            return Answer(ready=False, edited=True, problems=f"{self._file}: is missing")
        if self._file.read_bytes() == starter():
            return Answer(ready=False, edited=False)
        return self._checked()

    def _images(self) -> Path:
        """Where the policy says that its images lie."""
        try:
            data = tomllib.loads(read_text(self._file))["validation"]["data"]
            return self._folder.joinpath(data)
        except (PolicyError, tomllib.TOMLDecodeError, KeyError, TypeError):
            return self._file  # the check says what is wrong

    def _checked(self) -> Answer:
        command = [sys.executable, "-P", "-m", "governance", "policy", "check", "policy.toml"]
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                command, cwd=self._folder, capture_output=True, text=True, timeout=SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            said = f"{self._file}: checking it took over {SECONDS} s"
            return Answer(ready=False, edited=True, problems=said)
        return Answer(ready=done.returncode == 0, edited=True, problems=done.stderr.strip())


def marked_lines() -> list[int]:
    """The lines of the starter policy that have to be edited, counted from 1."""
    lines = starter().decode().splitlines()
    return [place for place, line in enumerate(lines, start=1) if "# <-" in line]


def _change(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size

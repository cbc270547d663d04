"""Forms: files that `gate` writes for pipelines, and what it tells GitHub Actions.

A form is a module of `reports` with a function `render`. All of them are written from one view, and
every one is red where the gate does not let the version pass, whatever the reason.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from governance.cli.console import err, misuse, out, text
from governance.cli.files import remove, write

if TYPE_CHECKING:
    from rich.console import Console

    from governance.errors import GovernanceError
    from governance.registry import GateAnswer
    from reports.gate_view import GateView

__all__ = ["FORMS", "Forms"]

#: Module that writes a form, by the option that asks for it.
FORMS: Mapping[str, str] = MappingProxyType(
    {
        "junit": "reports.junit",
        "markdown": "reports.markdown",
        "sarif": "reports.sarif",
        "gitlab_codequality": "reports.gitlab",
    }
)

#: Files of GitHub Actions to which a step adds its summary and its outputs.
SUMMARY, OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"


class Forms:
    """The forms that one call of `gate` was asked for.

    Earlier files are removed at once: a pipeline must not take an older answer for this one.
    """

    def __init__(
        self,
        files: Mapping[str, Path | None],
        policy_path: Path,
        *,
        github: bool,
        commands: "Console",
    ) -> None:
        """Take an order of forms, or end with misuse.

        Args:
            files: File of each form by its name in `FORMS`; None where it was not asked for.
            policy_path: Place of the policy file in the repository of the pipeline.
            github: Whether to write annotations, summary and outputs for GitHub Actions.
            commands: Stream that takes the annotations.
        """
        self._files = {name: path for name, path in files.items() if path is not None}
        self._policy, self._github, self._commands = policy_path, github, commands
        for path in self._files.values():
            remove(path)
        if github and SUMMARY not in os.environ:
            misuse(f"--github: {SUMMARY} is not set; a step of GitHub Actions is accepted")

    @property
    def wanted(self) -> bool:
        """Whether any was asked for."""
        return self._github or bool(self._files)

    @contextmanager
    def quoted(self) -> Iterator[None]:
        """Let nothing that is printed inside be read as a command by GitHub's runner."""
        if not self._github:
            yield
            return
        token = secrets.token_hex(16)
        out.print(f"::stop-commands::{token}")
        yield
        out.print(f"::{token}::")

    def write(self, answer: "GateAnswer") -> None:
        """Write all forms of an answer.

        Raises:
            GovernanceError: If the page of its record is not found any more; the forms are red.
        """
        if not self.wanted:
            return
        from governance import registry
        from governance.errors import GovernanceError
        from reports.gate_view import gate_view

        held = answer.assessment is not None
        try:
            run_id, report = registry.record_page(answer.version) if held else ("", "")
        except GovernanceError as error:
            self.write_failure(answer.version.uri, error)
            raise
        view = gate_view(
            answer.version.uri,
            answer.assessment,
            verdict=answer.verdict,
            problems=answer.doubts if held else answer.reasons,
            policy_path=_in_repository(self._policy),
            run_id=run_id,
            report=report,
        )
        self._compare(view)
        self._write(view)

    def write_failure(self, uri: str, error: "GovernanceError") -> None:
        """Write all forms where the gate has no answer."""
        if not self.wanted:
            return
        from governance.errors import EvidenceError
        from reports.gate_view import gate_view

        place = _in_repository(self._policy)
        view = gate_view(
            uri, verdict="mismatch" if isinstance(error, EvidenceError) else "error",
            problems=error.printed, policy_path=place,
        )  # fmt: skip
        self._write(view)

    def _write(self, view: "GateView") -> None:
        for name, path in self._files.items():
            write(path, import_module(FORMS[name]).render(view).encode())
        if self._github:
            from reports import github, markdown

            _add(SUMMARY, markdown.render(view))
            _add(OUTPUT, github.outputs(view))
            self._commands.out(github.render(view), end="", highlight=False)

    def _compare(self, view: "GateView") -> None:
        """Say where lines are those of another file than the one in the repository."""
        from governance.errors import PolicyError
        from governance.records.configuration import read_text

        if view.assessment is None or not self._policy.is_file():
            return
        try:
            same = read_text(self._policy) == view.assessment.policy.text
        except PolicyError:
            same = False
        if not same:
            err.print(
                text(
                    f"{self._policy}: is not the policy that the version was judged by; lines in "
                    "the files for pipelines are those of the policy in its record"
                ),
                soft_wrap=True,
            )


def _in_repository(path: Path) -> str:
    """A path as seen from the root of the repository, which is the working directory."""
    whole = Path(os.path.normpath(Path.cwd() / path))
    return (whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else path).as_posix()


def _add(variable: str, content: str) -> None:
    """Add to a file that GitHub Actions names."""
    place = os.environ.get(variable)
    if place is None:
        return
    try:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        misuse(f"{variable}: {place} cannot be written: {error.strerror}; a file is accepted")

"""GitHub: the open findings as annotations, and what a workflow reads of an answer.

Annotations are workflow commands, lines that the runner of GitHub Actions reads in the output of a
step. Names and messages come from models and data: they are escaped, so that none of them can end
its line and begin a command of its own.

Source: GitHub documentation, "Workflow commands for GitHub Actions".
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from reports.gate_view import GateView, Level
from reports.prose import printable

__all__ = ["MOST_OF_A_LEVEL", "outputs", "render"]

#: Annotations of one level that GitHub shows of a step; it drops the others without a word.
MOST_OF_A_LEVEL = 10

COMMANDS: Mapping[Level, str] = MappingProxyType(
    {"error": "error", "warning": "warning", "note": "notice"}
)


def render(view: GateView) -> str:
    """An answer of the gate as workflow commands, the gravest first."""
    return "".join(f"{line}\n" for line in _commands(view))


def outputs(view: GateView) -> str:
    """Lines for the file that `GITHUB_OUTPUT` names: verdict, run of the record, report."""
    found = {"verdict": view.verdict, "run-id": view.run_id, "report": view.report}
    return "".join(f"{name}={_one_line(value)}\n" for name, value in found.items())


def _commands(view: GateView) -> Iterator[str]:
    for problem in view.unexplained[:MOST_OF_A_LEVEL]:
        yield _command(view, "error", None, f"{view.model}: {view.verdict}", problem)
    times: Counter[Level] = Counter()
    for item in view.open:
        level: Level = item.level or "note"
        times[level] += 1
        if times[level] <= MOST_OF_A_LEVEL:
            title = f"{view.model}: {item.text.title}"
            yield _command(view, level, item.line, title, item.message)


def _command(view: GateView, level: Level, line: int | None, title: str, text: str) -> str:
    properties = {"file": view.policy_path, "line": str(line or 1), "title": title}
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{COMMANDS[level]} {written}::{_data(text)}"


def _data(text: str) -> str:
    return _one_line(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())

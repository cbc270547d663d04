"""GitLab: the open findings as a Code Quality report, which GitLab shows in merge requests.

Source: GitLab documentation, "Code Quality report format".
"""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from reports.gate_view import GateView, Level
from reports.prose import printable

__all__ = ["render"]

#: GitLab's word for how grave something is.
SEVERITY: Mapping[Level, str] = MappingProxyType(
    {"error": "blocker", "warning": "major", "note": "info"}
)


def render(view: GateView) -> str:
    """An answer of the gate as a Code Quality report: a list, empty where nothing is open."""
    return f"{json.dumps(list(_issues(view)), indent=2, ensure_ascii=True)}\n"


def _issues(view: GateView) -> Iterator[dict[str, Any]]:
    for number, problem in enumerate(view.unexplained):
        key = f"gate {number}"
        yield _issue(view, "gate", problem, view.digest_of(key), "error", None)
    for item in view.open:
        yield _issue(
            view, item.key, item.message, item.fingerprint, item.level or "note", item.line
        )


def _issue(
    view: GateView, name: str, text: str, fingerprint: str, level: Level, line: int | None
) -> dict[str, Any]:
    return {
        "description": printable(text),
        "check_name": printable(name),
        "fingerprint": fingerprint,
        "severity": SEVERITY[level],
        "location": {"path": view.policy_path, "lines": {"begin": line or 1}},
    }

"""The page docs/reference/analyses.md: `make docs` writes what analyses declare, CI compares."""

import dataclasses
import sys
from pathlib import Path

from governance import analyses

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "analyses.md"

HEAD = """\
# Analyses

`make docs` writes this page from the docstrings and declarations of the analyses, and CI compares
it with them. A policy names an analysis by its table `[analyses.<name>]`. It sets the parameters
below as keys of that table. It states an expectation by the full name of a metric.

The tolerance of a metric is the largest difference, absolute or as a share of the larger value,
between two measurements on different machines. `governance replay` compares within it
([verify as an auditor](../how-to/verify.md)).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(name) for name in analyses.names())])


def _section(name: str) -> str:
    kind = analyses.find(name)
    title, _, rest = analyses.about(name).partition("\n")
    lines = [f"## `{name}`", "", title, "", "```text", rest.strip(), "```", ""]
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    if fields:
        lines += ["| parameter | default |", "|---|---|"]
        lines += [f"| `{item.name}` | `{item.default!r}` |" for item in fields]
        lines += [""]
    lines += [
        "| metric | meaning | better | tolerance | built-in expectation |",
        "|---|---|---|---|---|",
    ]
    standing = {item.metric: item for item in getattr(kind, "standing", ())}
    for metric, declared in analyses.metrics(name).items():
        item = standing.get(f"{name}.{metric}")
        bound = f"{item.bound} ({item.severity})" if item else ""
        cells = (declared.meaning, declared.better, f"{declared.tolerance:g}", bound)
        lines.append(f"| `{name}.{metric}` | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if PAGE.read_text(encoding="utf-8") != page():
            sys.exit("docs/reference/analyses.md is not what the analyses declare; run: make docs")
    else:
        PAGE.write_text(page(), encoding="utf-8")

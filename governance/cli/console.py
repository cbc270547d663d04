"""Console: text, tables and JSON of the command line.

Results go to standard output, everything else to standard error. All text that may come from
elsewhere is shown as it is: no markup, and nothing that steers a terminal.
"""

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from governance.cli.exit_codes import MISUSE, exit_code
from governance.records.numbers import interval, number
from reports.prose import printable

if TYPE_CHECKING:
    from governance.records.assessment import Assessment
    from governance.records.decision import Finding

__all__ = [
    "complain",
    "err",
    "misuse",
    "out",
    "print_json",
    "show",
    "summary",
    "text",
]

UNBROKEN = 10_000  # columns where there is no terminal: `grep` finds no name on two lines


def _console(stream: TextIO, *, stderr: bool = False) -> Console:
    # ":name:" in a class name is no emoji.
    return Console(stderr=stderr, emoji=False, width=None if stream.isatty() else UNBROKEN)


out, err = _console(sys.stdout), _console(sys.stderr, stderr=True)


def text(foreign: str) -> str:
    """Text that may come from elsewhere: no markup, and nothing that steers a terminal."""
    return escape(printable(foreign))


def complain(problem: str) -> None:
    """A problem on a line of its own, on standard error."""
    line = " ".join(problem.splitlines())  # what begins a line may be a command to a pipeline
    err.print(f"[bold red]error:[/bold red] {text(line)}", soft_wrap=True)


def show(assessment: "Assessment") -> None:
    """The verdict and every finding, the gravest first."""
    from reports.view import ordered

    table = Table("expectation", "severity", "observed", "outcome", box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"  # a narrow terminal breaks long names, and cuts none
    findings = ordered(assessment.decision.findings)
    for finding in findings:
        wanted = f"{finding.expectation.metric} {finding.expectation.bound}"
        cells = (wanted, finding.expectation.severity, _observed(finding), finding.outcome)
        table.add_row(*map(text, cells))
    out.print(f"{text(assessment.identity.uri)}: [bold]{assessment.decision.verdict}[/bold]")
    out.print(table)
    out.print(text(f"Model files: {_signer(assessment)}"))
    for finding in findings:
        if finding.outcome == "missing":
            out.print(text(f"missing {finding.expectation.metric}: {finding.reason}"))


def _signer(assessment: "Assessment") -> str:
    signature = assessment.identity.signature
    if signature is None:
        return "not signed"
    if signature.signer is None:
        return "signed, and the signature was not checked; --keys KEYRING checks it"
    return f"signed by {signature.signer} (key {str(signature.key)[:16]})"


def _observed(finding: "Finding") -> str:
    """What was measured, in digits that cannot be read as the bound where it is not."""
    bounds = (finding.expectation.at_least, finding.expectation.at_most)
    value = number(finding.observed, apart=bounds)
    return f"{value} {interval(finding.interval)}".rstrip()


def print_json(data: Any) -> None:
    """One JSON object, the only thing on standard output."""
    out.print_json(json.dumps(data, allow_nan=False), indent=2)


def summary(assessment: "Assessment") -> dict[str, Any]:
    """What `--json` prints of an assessment."""
    from governance.records.serialisation import to_data

    return {
        "uri": assessment.identity.uri,
        "name": assessment.identity.name,
        "version": assessment.identity.version,
        "verdict": assessment.decision.verdict,
        "exit_code": exit_code(assessment),
        "digest": assessment.digest,
        "model_digest": assessment.identity.digest,
        "policy": {"title": assessment.policy.title, "digest": assessment.policy.digest},
        "findings": [to_data(finding) for finding in assessment.decision.findings],
    }


def misuse(problem: str) -> NoReturn:
    """Report a misuse of the command line, and end the command with code 2."""
    complain(problem)
    raise typer.Exit(MISUSE)

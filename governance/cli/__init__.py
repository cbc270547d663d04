"""Command line: the program `governance`.

Exit codes are fixed, since scripts depend on them: 0 approved, 10 rejected, 20 review, 30
undetermined, 40 evidence that does not match its digests or its model, 2 misuse, 3 internal error.
Results go to standard output, everything else to standard error.

```
assess         assess and report
gates          gate, promote and doctor
approvals      keys, waive, revoke and countersign
operations     inventory and audit
portfolio      portfolio, a static site over all models
auditing       bundle, verify and replay
drift          compare, history, references and drift selftest
exports        export
policies       policy new, policy draft, policy check and analyses
worker         worker and sweep
signer         signer, which holds a worker's key
signed         what is signed about a version, for its report
demonstration  demo: three versions of a digit classifier, trained, registered and assessed
laptop         up: keys, rules, policy, server and worker of one person on one machine
configuration  --config, the file that gives recurring options a default
guide          panel, examples and exit codes of every command, for help and docs
arguments      arguments that several commands share
console        text, tables and JSON for the terminal
verdicts       an assessment and its verdict on the terminal
waiting        what a long command says while it works
forms          files that `gate` writes for pipelines, and what it tells GitHub
recorded       the assessment that an argument means
files          files that a command was asked to write
exit_codes     exit codes of the program
```
"""

import gc
import os
import sys
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.core import TyperGroup

from governance.cli import (
    approvals,
    assess,
    auditing,
    drift,
    exports,
    gates,
    operations,
    policies,
    portfolio,
    signer,
    worker,
)
from governance.cli.configuration import configured
from governance.cli.console import complain, out
from governance.cli.demonstration.command import demo
from governance.cli.exit_codes import INTERNAL, MISMATCH, MISUSE
from governance.cli.guide import FIRST_STEPS, GUIDE
from governance.cli.laptop.command import up
from governance.errors import EvidenceError, GovernanceError, PolicyError, SubjectError

__all__ = ["app", "main"]

#: Objects made between two passes of Python's garbage collector, which by default come every 700.
#: MLflow and what it imports make millions that stay, and the passes took a fifth of that time.
OBJECTS = 50_000


class _Doors(TyperGroup):
    """Commands and groups of commands in the order of the guide."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override] # Click's
        """Names in the order of help."""
        del ctx
        return [name for name in dict.fromkeys(map(_first, GUIDE)) if name in self.commands]


def _first(name: str) -> str:
    return name.partition(" ")[0]


app = typer.Typer(
    name="governance",
    cls=_Doors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog=FIRST_STEPS,
)

#: Groups of commands, each with its help.
GROUPS = {
    "policy": "Write a starter policy, draft one for a model, or check one.",
    "references": "Record how much harmless training changes a model.",
    "drift": "Test the drift detector.",
    "keys": "Make, list and sign the keys that sign verdicts.",
}
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": configured(demo),
    "up": up,
    "policy new": policies.policy_new,
    "policy draft": configured(policies.policy_draft),
    "policy check": policies.policy_check,
    "assess": configured(assess.assess),
    "gate": configured(gates.gate),
    "report": configured(assess.report),
    "export": exports.export,
    "analyses": policies.list_analyses,
    "promote": configured(gates.promote),
    "waive": configured(approvals.waive),
    "countersign": configured(approvals.countersign),
    "revoke": configured(approvals.revoke),
    "compare": configured(drift.compare),
    "history": configured(drift.history),
    "references make": configured(drift.references_make),
    "references add": configured(drift.references_add),
    "drift selftest": configured(drift.selftest),
    "bundle": configured(auditing.bundle),
    "verify": configured(auditing.verify),
    "replay": configured(auditing.replay),
    "keys new": configured(approvals.keys_new),
    "keys list": approvals.keys_list,
    "keys sign": approvals.keys_sign,
    "worker": configured(worker.worker),
    "signer": signer.signer,
    "sweep": configured(worker.sweep),
    "doctor": configured(gates.doctor),
    "inventory": configured(operations.inventory),
    "portfolio": configured(portfolio.portfolio),
    "audit": configured(operations.audit),
}


def _register() -> None:
    """Give every command its name, and its help the end that the guide says."""
    groups = {name: typer.Typer(help=text, no_args_is_help=True) for name, text in GROUPS.items()}
    panels = {_first(name): GUIDE[name].panel for name in COMMANDS}
    for name, command in COMMANDS.items():
        group, _, own = name.rpartition(" ")
        panel = None if group else GUIDE[name].panel
        add = groups[group] if group else app
        add.command(own, epilog=GUIDE[name].epilog, rich_help_panel=panel)(command)
    for name, several in groups.items():
        app.add_typer(several, name=name, rich_help_panel=panels[name])


_register()


def _print_version(asked: bool) -> None:  # noqa: FBT001 - called by typer
    from importlib.metadata import PackageNotFoundError, version

    if asked:
        try:
            out.print(f"mlflow-governance {version('mlflow-governance')}", highlight=False)
        except PackageNotFoundError:
            out.print("mlflow-governance, run from a checkout that is not installed")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[  # noqa: FBT002 - a flag of the command line
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Assess image classifiers registered in MLflow, and refuse those that have not passed."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(OBJECTS)
    # MLflow draws bars of its own on standard error; ours say more.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no check mark
    try:
        app()
    except GovernanceError as error:
        for problem in (*error.printed, *getattr(error, "__notes__", ())):
            complain(problem)
        sys.exit(_error_code(error))
    except Exception:  # noqa: BLE001 - the border to the shell, where 3 is promised for a defect
        traceback.print_exc()
        sys.exit(INTERNAL)


def _error_code(error: GovernanceError) -> int:
    if isinstance(error, EvidenceError):
        return MISMATCH
    return MISUSE if isinstance(error, PolicyError | SubjectError) else INTERNAL

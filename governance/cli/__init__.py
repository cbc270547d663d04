"""Command line: the program `governance`.

Exit codes are fixed, since scripts depend on them: 0 approved, 10 rejected, 20 review, 30
undetermined, 40 evidence that does not match its digests or its model, 2 misuse, 3 internal error.
Results go to standard output, everything else to standard error.

```
assess         assess and report
gates          gate, promote and doctor
approvals      keys, waive, revoke and countersign
operations     inventory and audit
auditing       bundle, verify and replay
drift          compare, history, references and drift selftest
exports        export
policies       policy new, policy draft, policy check and analyses
worker         worker and sweep
signer         signer, which holds a worker's key
demonstration  demo: three versions of a digit classifier, trained, registered and assessed
laptop         up: keys, rules, policy, server and worker of one person on one machine
configuration  --config, the file that gives recurring options a default
arguments      arguments that several commands share
console        text, tables and JSON for the terminal
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
from typing import Annotated

import typer

from governance.cli import (
    approvals,
    assess,
    auditing,
    drift,
    exports,
    gates,
    operations,
    policies,
    signer,
    worker,
)
from governance.cli.configuration import configured
from governance.cli.console import complain, out
from governance.cli.demonstration.command import demo
from governance.cli.exit_codes import INTERNAL, MISMATCH, MISUSE
from governance.cli.laptop.command import up
from governance.errors import EvidenceError, GovernanceError, PolicyError, SubjectError

__all__ = ["app", "main"]

#: Objects made between two passes of Python's garbage collector, which by default come every 700.
#: MLflow and what it imports make millions that stay, and the passes took a fifth of that time.
OBJECTS = 50_000

app = typer.Typer(
    name="governance",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
policy = typer.Typer(
    help="Write a starter policy, draft one for a model, or check one.", no_args_is_help=True
)
policy.command("new")(policies.policy_new)
policy.command("draft")(configured(policies.policy_draft))
policy.command("check")(policies.policy_check)

keys = typer.Typer(
    help="Make keys to sign with, list the keys that count, or sign the list.",
    no_args_is_help=True,
)
keys.command("new")(configured(approvals.keys_new))
keys.command("list")(approvals.keys_list)
keys.command("sign")(approvals.keys_sign)

references = typer.Typer(
    help="Record reference runs: harmless training that shows how much change is usual.",
    no_args_is_help=True,
)
references.command("make")(configured(drift.references_make))
references.command("add")(configured(drift.references_add))
drifts = typer.Typer(help="Test the drift detector.", no_args_is_help=True)
drifts.command("selftest")(configured(drift.selftest))

app.command()(configured(assess.assess))
app.command()(configured(gates.gate))
app.command()(configured(gates.promote))
app.command()(configured(gates.doctor))
app.command()(configured(operations.inventory))
app.command()(configured(operations.audit))
app.command()(configured(assess.report))
app.command()(exports.export)
app.command()(configured(approvals.waive))
app.command()(configured(approvals.revoke))
app.command()(configured(approvals.countersign))
app.add_typer(keys, name="keys")
app.command()(configured(auditing.bundle))
app.command()(configured(auditing.verify))
app.command()(configured(auditing.replay))
app.command()(configured(drift.compare))
app.command()(configured(drift.history))
app.add_typer(references, name="references")
app.add_typer(drifts, name="drift")
app.add_typer(policy, name="policy")
app.command("analyses")(policies.list_analyses)
app.command()(configured(worker.worker))
app.command()(configured(worker.sweep))
app.command()(signer.signer)
app.command()(configured(demo))
app.command()(up)


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

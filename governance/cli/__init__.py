"""Command line: `governance assess`, `gate`, `report`, `policy`, `analyses`, `demo`.

Exit codes are fixed, scripts depend on them: 0 approved, 10 rejected, 20 review, 30 undetermined,
40 evidence that does not match its digests or its model, 2 misuse, 3 internal error. Results go to
standard output, everything else to standard error; on no terminal there are no progress bars.

```
assess         `assess`, `report`, `demo`
gates          `gate`, `promote`, `doctor`
policies       `policy new`, `policy check`, `analyses`
approvals      `keys`, `waive`, `revoke`
drift          `compare`, `history`, `references`, `drift selftest`
worker         `worker`, `sweep`
demonstration  three versions of a digit classifier, for `demo`
arguments      arguments that several commands take alike
answers        exit codes, and what several commands say and write alike
console        what is shown of an assessment, and of a problem
```
"""

import os
import sys
import traceback

import typer

from governance.cli import approvals, assess, drift, gates, policies, worker
from governance.cli.answers import INTERNAL, MISMATCH, MISUSE
from governance.cli.console import complain
from governance.errors import EvidenceError, GovernanceError, PolicyError, SubjectError

__all__ = ["app", "main"]

app = typer.Typer(
    name="governance",
    help="Assess image classifiers registered in MLflow, and refuse what has not passed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
policy = typer.Typer(help="Write a starter policy, or check one.", no_args_is_help=True)
policy.command("new")(policies.policy_new)
policy.command("check")(policies.policy_check)

keys = typer.Typer(help="Make keys to sign with, or show whose count.", no_args_is_help=True)
keys.command("new")(approvals.keys_new)
keys.command("list")(approvals.keys_list)

references = typer.Typer(help="Record what harmless training changes.", no_args_is_help=True)
references.command("make")(drift.references_make)
references.command("add")(drift.references_add)
drifts = typer.Typer(help="Prove the drift detector.", no_args_is_help=True)
drifts.command("selftest")(drift.selftest)

app.command()(assess.assess)
app.command()(gates.gate)
app.command()(gates.promote)
app.command()(gates.doctor)
app.command()(assess.report)
app.command()(approvals.waive)
app.command()(approvals.revoke)
app.add_typer(keys, name="keys")
app.command()(drift.compare)
app.command()(drift.history)
app.add_typer(references, name="references")
app.add_typer(drifts, name="drift")
app.add_typer(policy, name="policy")
app.command("analyses")(policies.list_analyses)
app.command()(worker.worker)
app.command()(worker.sweep)
app.command()(assess.demo)


def main() -> None:
    """Run the command line and exit with its code."""
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

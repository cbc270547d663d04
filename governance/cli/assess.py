"""Commands that make assessments and print them: `assess`, `report`, `demo`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from governance.cli.arguments import AsJson, Keys, ModelUri, Record, SigningKey
from governance.cli.console import (
    complain,
    misuse,
    out,
    print_json,
    show,
    summary,
    text,
)
from governance.cli.exit_codes import exit_code
from governance.cli.files import write
from governance.cli.recorded import recorded
from governance.cli.waiting import progress_bar

if TYPE_CHECKING:
    from governance.workflows.assessing import Result

__all__ = ["assess", "report"]


def assess(
    model_uri: ModelUri,
    policy: Annotated[Path, typer.Option(help="Policy file (TOML).")],
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="New folder for the assessment.")
    ] = None,
    record: Annotated[bool, typer.Option(help="Record the result in MLflow.")] = True,  # noqa: FBT002 - a flag of the command line
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    signing_key: SigningKey = None,
    keys: Keys = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Assess a model against a policy, print the report and record both in MLflow.

    Exits with the code of the verdict. Nothing is recorded of a model that is not registered.
    """
    from governance.approval import PrivateKey, load_ring
    from governance.workflows import assessing, orchestration

    key = None if signing_key is None else PrivateKey.load(signing_key)
    ring = None if keys is None else load_ring(keys)
    read = orchestration.read_policy(policy)
    with progress_bar() as progress:
        result = assessing.assess_model(
            model_uri,
            read,
            out=out_dir,
            record=record,
            device=device,
            key=key,
            ring=ring,
            progress=progress,
        )
    if result.unprinted:
        complain(f"the reports were not printed: {result.unprinted}")
        complain(_print_later(result))
    if as_json:
        folder = str(result.folder) if result.folder else None
        places = {
            "assessment": folder, "run_id": result.run_id, "unprinted": result.unprinted,
        }  # fmt: skip
        print_json({**summary(result.assessment), **places})
    else:
        show(result.assessment)
        where = f"recorded in run {result.run_id}" if result.run_id else "not recorded in MLflow"
        kept = f"Assessment: {result.folder} ({where})" if result.folder else f"Assessment {where}"
        out.print(text(kept), soft_wrap=True)
    raise typer.Exit(exit_code(result.assessment))


def _print_later(result: "Result") -> str:
    source = result.folder or result.assessment.identity.uri
    return (
        "the assessment is kept, and its verdict stands; "
        f"`governance report {quote(str(source))} --pdf FILE` prints it"
    )


def report(
    source: Record,
    html: Annotated[Path | None, typer.Option(help="Write the report as HTML.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write the report as PDF.")] = None,
    unverified: Annotated[  # noqa: FBT002 - a flag of the command line
        bool,
        typer.Option(
            "--unverified", help="Print a record that contradicts itself too, marked on every page."
        ),
    ] = False,
) -> None:
    """Print a recorded assessment as HTML or PDF. Nothing is measured.

    The evidence is judged again. A record whose verdict does not follow from it is not printed.
    """
    from governance.errors import EvidenceError

    if html is None and pdf is None:
        misuse("nothing to write; --html FILE, --pdf FILE or both are accepted")
    assessment, doubts = recorded(source)
    if doubts and not unverified:
        cure = "not printed; --unverified prints it, marked so on every page"
        raise EvidenceError([*(f"{source}: {doubt}" for doubt in doubts), f"{source}: {cure}"])
    if html:
        from reports.html import to_html

        write(html, to_html(assessment, doubts).encode())
    if pdf:
        from reports.pdf import to_pdf

        write(pdf, to_pdf(assessment, doubts))

"""Commands that make assessments and print them: `assess`, `report`, `demo`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from governance.cli.arguments import All, AsJson, Keys, ModelUri, Record, SigningKey
from governance.cli.console import (
    complain,
    misuse,
    paragraph,
    print_json,
    summary,
)
from governance.cli.exit_codes import exit_code
from governance.cli.files import write
from governance.cli.recorded import is_folder, recorded
from governance.cli.verdicts import show
from governance.cli.waiting import progress_bar

if TYPE_CHECKING:
    from governance.workflows.assessing import Result

__all__ = ["assess", "report"]

UNPRINTED = "not printed; --unverified prints it, marked so on every page"


def assess(
    model_uri: ModelUri,
    *,
    policy: Annotated[Path, typer.Option(help="Policy file (TOML).")],
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="New folder for the assessment.")
    ] = None,
    record: Annotated[bool, typer.Option(help="Record the result in MLflow.")] = True,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    server_python: Annotated[
        Path | None,
        typer.Option(
            help="Python of the environment that a scoring server is started in, for a policy with "
            "flavour = 'served'; our own if not given."
        ),
    ] = None,
    signing_key: SigningKey = None,
    keys: Keys = None,
    everything: All = False,
    as_json: AsJson = False,
) -> None:
    """Assess a model against a policy, print and record the result.

    Report and record go to the version's run in MLflow and to the folder of --out. Nothing is
    recorded of a model that is not registered. Exits with the code of the verdict.
    """
    from functools import partial

    from governance.approval import PrivateKey, load_ring
    from governance.worker import serving
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
            asking=partial(serving.asking, premises=serving.Premises(python=server_python)),
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
        show(result.assessment, everything=everything)
        _say_where(result)
    raise typer.Exit(exit_code(result.assessment))


def _say_where(result: "Result") -> None:
    """Where the record and the report lie, and the command that comes next."""
    uri = quote(result.assessment.identity.uri)
    folder = "" if result.folder is None else f"folder {result.folder}"
    run = f"run {result.run_id}" if result.run_id else "not in MLflow"
    paragraph(f"Record: {', '.join(filter(None, (folder, run)))}")
    if result.folder and not result.unprinted:
        paragraph(f"Report: {result.folder / 'report.pdf'}")
    if result.run_id:
        paragraph(f"Next: governance gate {uri}")
    elif result.folder:
        paragraph(f"Next: governance report {quote(str(result.folder))} --html report.html")


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
    keys: Keys = None,
) -> None:
    """Print a recorded assessment as HTML or PDF.

    Nothing is measured. The evidence is judged again. A record whose verdict does not follow from
    it is not printed. With --keys, page one says what is signed, by whom and until when.
    """
    from governance.errors import EvidenceError

    if html is None and pdf is None:
        misuse("nothing to write; --html FILE, --pdf FILE or both are accepted")
    if is_folder(source) and keys is not None:
        misuse("--keys asks the registry, and a folder is in none; MODEL_URI is accepted")
    assessment, doubts, approvals = recorded(source, keys)
    if doubts and not unverified:
        raise EvidenceError([f"{source}: {item}" for item in (*doubts, UNPRINTED)])
    if html:
        from reports.html import to_html

        write(html, to_html(assessment, doubts, approvals).encode())
    if pdf:
        from reports.pdf import to_pdf

        write(pdf, to_pdf(assessment, doubts, approvals))
    for path in filter(None, (html, pdf)):
        paragraph(f"Report: {path}")

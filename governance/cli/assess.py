"""Commands that make assessments and print them: `assess`, `report`, `demo`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from governance.cli.arguments import AsJson, Keys, ModelUri, SigningKey
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
    source: Annotated[
        str,
        typer.Argument(
            metavar="ASSESSMENT_DIR|MODEL_URI",
            help="Folder of an assessment, or address of a model with a record.",
        ),
    ],
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
    """Print a recorded assessment as HTML or PDF. Nothing is measured.

    The evidence is judged again. A record whose verdict does not follow from it is not printed.
    With --keys, the first page says what is signed about the version, by whom and until when.
    """
    from tempfile import TemporaryDirectory

    from governance.errors import EvidenceError
    from governance.records.assessment import Assessment
    from governance.records.consistency import contradictions

    if html is None and pdf is None:
        misuse("nothing to write; --html FILE, --pdf FILE or both are accepted")
    approvals = None
    if Path(source).is_dir():
        if keys is not None:
            misuse("--keys asks the registry, and a folder is in none; MODEL_URI is accepted")
        assessment = Assessment.load(Path(source))
    else:
        from governance import registry

        with TemporaryDirectory() as scratch:
            version = registry.resolve(source)
            folder = registry.fetch(version, Path(scratch))
            registry.named(version, folder)
            assessment = Assessment.load(folder)
            if keys is not None:
                from governance.cli.signed import signed

                approvals = signed(version, keys, assessment, folder)
    doubts = tuple(contradictions(assessment))
    if doubts and not unverified:
        cure = "not printed; --unverified prints it, marked so on every page"
        raise EvidenceError([*(f"{source}: {doubt}" for doubt in doubts), f"{source}: {cure}"])
    if html:
        from reports.html import to_html

        write(html, to_html(assessment, doubts, approvals).encode())
    if pdf:
        from reports.pdf import to_pdf

        write(pdf, to_pdf(assessment, doubts, approvals))

"""Command line: `governance assess`, `gate`, `report`, `policy`, `analyses`, `demo`.

Exit codes are fixed, scripts depend on them: 0 approved, 10 rejected, 20 review, 30 undetermined,
40 evidence that does not match its digests or its model, 2 misuse, 3 internal error. Results go to
standard output, everything else to standard error; on no terminal there are no progress bars.
"""

import os
import sys
import traceback
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.table import Table

from governance.console import complain, out, print_json, progress_bar, show, text
from governance.errors import EvidenceError, GovernanceError, PolicyError, SubjectError

if TYPE_CHECKING:
    from governance.assessment import Assessment

__all__ = ["main"]

MISUSE, INTERNAL, MISMATCH = 2, 3, 40

app = typer.Typer(
    name="governance",
    help="Assess image classifiers registered in MLflow, and refuse what has not passed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
policy_app = typer.Typer(help="Write a starter policy, or check one.", no_args_is_help=True)
app.add_typer(policy_app, name="policy")

ModelUri = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_URI",
        help="models:/name/version, models:/name@alias, models:/m-<id>, runs:/... or a folder",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


@app.command()
def assess(
    model_uri: ModelUri,
    policy: Annotated[Path, typer.Option(help="Policy file (TOML).")],
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="New folder for the assessment.")
    ] = None,
    record: Annotated[bool, typer.Option(help="Whether to record the result in MLflow.")] = True,  # noqa: FBT002 - a flag of the command line
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Assess a model against a policy; exit with the code of the verdict."""
    from governance import assessing, orchestration

    read = orchestration.read_policy(policy)
    with progress_bar() as progress:
        result = assessing.assess_model(
            model_uri, read, out=out_dir, record=record, device=device, progress=progress
        )
    if as_json:
        folder = str(result.folder) if result.folder else None
        places = {"assessment": folder, "run_id": result.run_id}
        print_json({**_summary(result.assessment), **places})
    else:
        show(result.assessment)
        where = f"recorded in run {result.run_id}" if result.run_id else "not recorded in MLflow"
        kept = f"Assessment: {result.folder} ({where})" if result.folder else f"Assessment {where}"
        out.print(text(kept), soft_wrap=True)
    raise typer.Exit(_exit_code(result.assessment))


@app.command()
def gate(
    model_uri: ModelUri,
    junit: Annotated[Path | None, typer.Option(help="Write findings as JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a Markdown summary.")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Answer from the record whether a model version may pass; runs no analysis."""
    from tempfile import TemporaryDirectory

    from governance import registry
    from governance.assessment import Assessment

    # A pipeline must not take an older answer for this one.
    for earlier in filter(None, (junit, markdown)):
        _remove(earlier)
    version = registry.resolve(model_uri)
    awaited = registry.awaited(version)
    if awaited is not None:
        raise typer.Exit(_without_verdict(version.uri, awaited, as_json=as_json))
    with TemporaryDirectory() as scratch:
        folder = registry.fetch(version, Path(scratch))
        mismatches = registry.mismatches(version, folder)
        if mismatches:
            raise EvidenceError(mismatches)
        assessment = Assessment.load(folder)
    if junit:
        from reports.junit import to_junit

        _write(junit, to_junit(assessment).encode())
    if markdown:
        from reports.markdown import to_markdown

        _write(markdown, to_markdown(assessment).encode())
    if as_json:
        print_json(_summary(assessment))
    else:
        show(assessment)
    raise typer.Exit(_exit_code(assessment))


@app.command()
def report(
    source: Annotated[
        str, typer.Argument(metavar="ASSESSMENT_DIR|MODEL_URI", help="What to print.")
    ],
    html: Annotated[Path | None, typer.Option(help="Write the report as HTML.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write the report as PDF.")] = None,
) -> None:
    """Print a kept assessment as HTML or PDF; measures nothing."""
    from tempfile import TemporaryDirectory

    from governance.assessment import Assessment

    if html is None and pdf is None:
        _misuse("nothing to write; --html FILE, --pdf FILE or both are accepted")
    if Path(source).is_dir():
        assessment = Assessment.load(Path(source))
    else:
        from governance import registry

        with TemporaryDirectory() as scratch:
            folder = registry.fetch(registry.resolve(source), Path(scratch))
            assessment = Assessment.load(folder)
    if html:
        from reports.html import to_html

        _write(html, to_html(assessment).encode())
    if pdf:
        from reports.pdf import to_pdf

        _write(pdf, to_pdf(assessment))


@policy_app.command("new")
def policy_new(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("policy.toml"),
) -> None:
    """Write a starter policy to be adapted."""
    from importlib.resources import files

    if path.exists():
        raise PolicyError(f"{path}: exists; a new file name is accepted")
    _write(path, files("templates").joinpath("policy.toml").read_bytes())
    out.print(
        text(f"Wrote {path}. Adapt it, then: governance policy check {quote(str(path))}"),
        soft_wrap=True,
    )


@policy_app.command("check")
def policy_check(path: Annotated[Path, typer.Argument(help="Policy file (TOML).")]) -> None:
    """Check a policy against the installed analyses; all problems at once."""
    from governance import orchestration

    read = orchestration.read_policy(path)
    blocking = sum(item.severity == "block" for item in read.expectations)
    out.print(
        text(
            f"{path}: {len(read.analyses)} analyses, {len(read.expectations)} expectations "
            f"({blocking} blocking). {read.digest}"
        ),
        soft_wrap=True,
    )


@app.command("analyses")
def list_analyses(as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """List the installed analyses with their parameters and metrics."""
    import dataclasses

    from governance import analyses
    from governance.records import to_data

    found: dict[str, Any] = {}
    for name in analyses.names():
        kind = analyses.find(name)
        found[name] = {
            "about": analyses.about(name).partition("\n")[0],
            "parameters": {
                item.name: to_data(item.default)
                for item in dataclasses.fields(kind)  # type: ignore[arg-type]
            },
            "metrics": {key: metric.meaning for key, metric in analyses.metrics(name).items()},
        }
    if as_json:
        print_json(found)
        return
    for name, item in found.items():
        out.print(f"[bold]{text(name)}[/bold]  {text(item['about'])}")
        parameters = ", ".join(f"{key} = {value!r}" for key, value in item["parameters"].items())
        out.print(f"  parameters: {text(parameters or 'none')}")
        for key, meaning in item["metrics"].items():
            out.print(f"  {text(f'{name}.{key}')}: {text(meaning)}")


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="New folder for everything.")] = Path(
        "demo"
    ),
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Train, register and assess three versions of a digit classifier; a few minutes."""
    from governance.demo import run_demo

    with progress_bar() as progress:
        versions = run_demo(out_dir, progress=progress)
    if as_json:
        print_json({"versions": [version.summary() for version in versions]})
        return
    table = Table("version", "what it is", "verdict", "why", title="Three versions, one policy")
    for version in versions:
        table.add_row(version.number, version.story, version.verdict, text(version.why))
    out.print(table)
    for version in versions:
        out.print(text(f"version {version.number}: {version.pdf}"), soft_wrap=True)
    store = quote(f"sqlite:///{out_dir.resolve()}/mlflow.db")
    out.print(text(f"See it all in MLflow: mlflow ui --backend-store-uri {store}"), soft_wrap=True)


def main() -> None:
    """Run the command line and exit with its code."""
    # MLflow draws bars of its own on standard error; ours say more.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        app()
    except GovernanceError as error:
        for problem in (*error.problems, *getattr(error, "__notes__", ())):
            complain(problem)
        sys.exit(_error_code(error))
    except Exception:  # noqa: BLE001 - the border to the shell, where 3 is promised for a defect
        traceback.print_exc()
        sys.exit(INTERNAL)


def _error_code(error: GovernanceError) -> int:
    if isinstance(error, EvidenceError):
        return MISMATCH
    return MISUSE if isinstance(error, PolicyError | SubjectError) else INTERNAL


def _exit_code(assessment: "Assessment") -> int:
    from governance.policy import EXIT_CODES

    return EXIT_CODES[assessment.decision.verdict]


def _summary(assessment: "Assessment") -> dict[str, Any]:
    from governance.records import to_data

    return {
        "uri": assessment.identity.uri,
        "name": assessment.identity.name,
        "version": assessment.identity.version,
        "verdict": assessment.decision.verdict,
        "exit_code": _exit_code(assessment),
        "digest": assessment.digest,
        "model_digest": assessment.identity.digest,
        "policy": {"title": assessment.policy.title, "digest": assessment.policy.digest},
        "findings": [to_data(finding) for finding in assessment.decision.findings],
    }


def _without_verdict(uri: str, why: str, *, as_json: bool) -> int:
    """Say that a version has no verdict, in the form of one; the exit code."""
    from governance.policy import EXIT_CODES

    code = EXIT_CODES["undetermined"]
    if as_json:
        print_json({"uri": uri, "verdict": "undetermined", "exit_code": code, "reason": why})
    else:
        out.print(f"{text(uri)}: [bold]undetermined[/bold]")
        out.print(text(why), soft_wrap=True)
    return code


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        _misuse(f"{path}: cannot be written: {error.strerror}; another file is accepted")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _misuse(f"{path}: cannot be written: {error.strerror}; another file is accepted")


def _misuse(problem: str) -> NoReturn:
    complain(problem)
    raise typer.Exit(MISUSE)

"""Commands that decide about use: `gate`."""

from pathlib import Path
from typing import Annotated

import typer

from governance.cli.answers import exit_code, remove, summary, without_verdict, write
from governance.cli.arguments import AsJson, ModelUri
from governance.console import print_json, show
from governance.errors import EvidenceError

__all__ = ["gate"]


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
        remove(earlier)
    version = registry.resolve(model_uri)
    awaited = registry.awaited(version)
    if awaited is not None:
        raise typer.Exit(without_verdict(version.uri, awaited, as_json=as_json))
    with TemporaryDirectory() as scratch:
        folder = registry.fetch(version, Path(scratch))
        mismatches = registry.mismatches(version, folder)
        if mismatches:
            raise EvidenceError(mismatches)
        assessment = Assessment.load(folder)
    if junit:
        from reports.junit import to_junit

        write(junit, to_junit(assessment).encode())
    if markdown:
        from reports.markdown import to_markdown

        write(markdown, to_markdown(assessment).encode())
    if as_json:
        print_json(summary(assessment))
    else:
        show(assessment)
    raise typer.Exit(exit_code(assessment))

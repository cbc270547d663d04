"""Commands about use: `gate`, `promote`, and `doctor`, which examines the server behind them."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.cli.arguments import All, AsJson, Keys, ModelUri
from governance.cli.console import complain, err, out, paragraph, print_json, summary, text
from governance.cli.forms import Forms
from governance.cli.verdicts import leaning, mark, show
from governance.errors import GovernanceError

if TYPE_CHECKING:
    from governance.registry import GateAnswer

__all__ = ["doctor", "gate", "promote"]

UNHEALTHY = 10


def _form(text: str) -> Any:
    return typer.Option(help=text, metavar="FILE")


GitHub = Annotated[
    bool,
    typer.Option(
        "--github", help="In GitHub Actions: write annotations, step summary and outputs."
    ),
]
PolicyPath = Annotated[
    Path,
    typer.Option(
        help="Place of the policy file in your repository, at whose lines findings in these "
        "files point. It judges nothing.",
        metavar="FILE",
    ),
]


def gate(
    model_uri: ModelUri,
    *,
    keys: Keys = None,
    junit: Annotated[Path | None, _form("Write the findings as JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, _form("Write a Markdown summary to this file.")] = None,
    sarif: Annotated[
        Path | None, _form("Write the open findings as SARIF 2.1.0 to this file.")
    ] = None,
    gitlab_codequality: Annotated[
        Path | None, _form("Write the open findings as GitLab's Code Quality report to this file.")
    ] = None,
    github: GitHub = False,
    policy_path: PolicyPath = Path("policy.toml"),
    everything: All = False,
    as_json: AsJson = False,
) -> None:
    """Say by exit code whether a model version may be used.

    The answer comes from the version's record. No analysis is run.
    """
    from tempfile import TemporaryDirectory

    from governance import registry

    forms = Forms(
        {
            "junit": junit,
            "markdown": markdown,
            "sarif": sarif,
            "gitlab_codequality": gitlab_codequality,
        },
        policy_path,
        github=github,
        commands=err if as_json else out,
    )
    try:
        with TemporaryDirectory(prefix="governance-") as scratch:
            answer = registry.ask(model_uri, Path(scratch), keys=keys)
    except GovernanceError as error:
        forms.write_failure(model_uri, error)
        raise
    if as_json:
        print_json(_data(answer, signed=keys is not None))
    else:
        with forms.quoted():
            _tell(answer, signed=keys is not None, everything=everything)
    forms.write(answer)
    raise typer.Exit(answer.exit_code)


def promote(
    model_uri: ModelUri,
    alias: Annotated[str, typer.Option(help="Alias to set, such as champion.")],
    keys: Keys = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Set an alias on a model version that passes the gate.

    Exits with the gate's code. No alias is set on a version that does not pass.
    """
    from tempfile import TemporaryDirectory

    from governance import registry

    with TemporaryDirectory(prefix="governance-") as scratch:
        answer = registry.ask(model_uri, Path(scratch), keys=keys)
    if not answer.reasons:
        registry.promote(answer, alias)
    if as_json:
        data = _data(answer, signed=keys is not None)
        print_json({**data, "alias": None if answer.reasons else alias})
    elif answer.reasons:
        for reason in answer.reasons:
            complain(reason)
        said = mark(answer.verdict, leaning(answer.verdict))
        where, unset = text(answer.version.uri), text(f"the alias {alias} is not set")
        out.print(f"{where}: {said}; {unset}", soft_wrap=True)
    else:
        out.print(text(f"{answer.version.uri} is {alias} now"), soft_wrap=True)
        out.print(text(_signature(answer, signed=keys is not None)), soft_wrap=True)
    raise typer.Exit(answer.exit_code)


def doctor(
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="Address of the MLflow server; MLFLOW_TRACKING_URI if not given."),
    ] = None,
    keys: Keys = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(help="Address of the worker's receiver that a webhook should name."),
    ] = None,
    alias: Annotated[str, typer.Option(help="Alias that the server should protect.")] = "champion",
    audit: Annotated[
        str | None,
        typer.Option(
            help="URL of the database that holds the server's audit, such as sqlite:///mlflow.db. "
            "The doctor then compares each version's statement with the last one accepted."
        ),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Examine a running MLflow server from outside.

    A test model is made and deleted, to see what is refused.
    """
    import dataclasses

    from governance.registry.doctor import examine, healthy

    found = examine(tracking_uri, keys=keys, webhook_url=webhook_url, alias=alias, audit=audit)
    code = 0 if healthy(found) else UNHEALTHY
    if as_json:
        print_json({"exit_code": code, "findings": [dataclasses.asdict(item) for item in found]})
        raise typer.Exit(code)
    for item in found:
        paragraph(f"{item.about}: {item.found}", start=f"{item.state:7} ")
        if item.cure:
            paragraph(item.cure, indent=8, start="cure: ")
    raise typer.Exit(code)


def _tell(answer: "GateAnswer", *, signed: bool, everything: bool) -> None:
    assessment, uri = answer.assessment, answer.version.uri
    # The record's own verdict is not the answer where it is the signature that is missing.
    if assessment is None or assessment.decision.verdict != answer.verdict:
        out.print(f"{text(uri)}: {mark(answer.verdict, leaning(answer.verdict))}", soft_wrap=True)
        for reason in answer.reasons:
            paragraph(reason)
    else:
        show(assessment, everything=everything)
    paragraph(_signature(answer, signed=signed))
    next_one = _next(answer)
    if next_one:
        paragraph(f"Next: {next_one}")


def _next(answer: "GateAnswer") -> str:
    """The command that a person would type after this answer; empty where there is none."""
    uri = quote(answer.version.uri)
    if not answer.reasons:
        return f"governance promote {uri} --alias champion"
    if answer.assessment is not None:
        return f"governance report {uri} --pdf report.pdf"
    waits = answer.verdict == "undetermined"
    return f"governance assess {uri} --policy policy.toml" if waits else ""


def _signature(answer: "GateAnswer", *, signed: bool) -> str:
    from datetime import UTC, datetime

    if not signed:
        return "Signature: none was checked; --keys KEYRING checks it"
    if answer.statement is None:
        return "Signature: none stands"
    until = datetime.fromtimestamp(answer.statement.expires, UTC).isoformat()
    return f"Signature: by key {', '.join(answer.signed_by)}, until {until}"


def _data(answer: "GateAnswer", *, signed: bool) -> dict[str, Any]:
    said = answer.statement
    found = summary(answer.assessment) if answer.assessment else {"uri": answer.version.uri}
    return {
        **found,
        "verdict": answer.verdict,
        "exit_code": answer.exit_code,
        "reasons": list(answer.reasons),
        "signature_checked": signed,
        "signature": {"keys": list(answer.signed_by), "expires": said.expires} if said else None,
    }

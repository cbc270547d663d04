"""Commands about policies and analyses: `policy new`, `policy check`, `analyses`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.cli.arguments import AsJson
from governance.cli.console import out, print_json, text
from governance.cli.files import write
from governance.errors import PolicyError, SubjectError

if TYPE_CHECKING:
    from governance.records.policy import Policy

__all__ = ["list_analyses", "policy_check", "policy_new"]


def policy_new(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("policy.toml"),
) -> None:
    """Write a starter policy. Edit it before use: its bounds are examples."""
    from importlib.resources import files

    if path.exists():
        raise PolicyError(f"{path}: exists; a new file name is accepted")
    write(path, files("templates").joinpath("policy.toml").read_bytes())
    out.print(
        text(f"Wrote {path}. Adapt it, then: governance policy check {quote(str(path))}"),
        soft_wrap=True,
    )


def policy_check(path: Annotated[Path, typer.Argument(help="Policy file (TOML).")]) -> None:
    """Report every problem of a policy at once.

    Names of classes are checked where the validation images are on this machine.
    """
    from governance.workflows import orchestration

    read = orchestration.read_policy(path)
    unchecked = _check_classes(read)
    blocking = sum(item.severity == "block" for item in read.expectations)
    out.print(
        text(
            f"{path}: {len(read.analyses)} analyses, {len(read.expectations)} expectations "
            f"({blocking} blocking). {read.digest}"
        ),
        soft_wrap=True,
    )
    if unchecked:
        out.print(text(f"Names of classes were not checked: {unchecked}"), soft_wrap=True)


def _check_classes(policy: "Policy") -> str:
    """Why the classes that a policy names could not be checked here; empty where they were.

    Raises:
        PolicyError: For a class that the validation images do not have.
        SubjectError: For a class that has too few of them.
    """
    from governance.subject.images import open_validation
    from governance.workflows import class_counts, orchestration

    try:
        images = open_validation(Path(policy.validation), policy.validation)
    except SubjectError as error:
        return str(error)
    class_counts.check_classes(orchestration.judged_by(policy), images.identity)
    return ""


def list_analyses(as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """List the installed analyses with their parameters and metrics."""
    import dataclasses

    from governance import analyses
    from governance.records.serialisation import to_data

    installed: dict[str, Any] = {}
    for name in analyses.names():
        kind = analyses.find(name)
        installed[name] = {
            "about": analyses.about(name).partition("\n")[0],
            "parameters": {
                item.name: to_data(item.default)
                for item in dataclasses.fields(kind)  # type: ignore[arg-type]
            },
            "metrics": {key: metric.meaning for key, metric in analyses.metrics(name).items()},
        }
    if as_json:
        print_json(installed)
        return
    for name, item in installed.items():
        out.print(f"[bold]{text(name)}[/bold]  {text(item['about'])}")
        parameters = ", ".join(f"{key} = {value!r}" for key, value in item["parameters"].items())
        out.print(f"  parameters: {text(parameters or 'none')}")
        for key, meaning in item["metrics"].items():
            out.print(f"  {text(f'{name}.{key}')}: {text(meaning)}")

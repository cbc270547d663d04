"""Commands about policies and analyses: `policy new`, `draft` and `check`, `analyses`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.cli.arguments import AsJson, ModelUri
from governance.cli.console import paragraph, print_json
from governance.cli.files import write
from governance.cli.waiting import progress_bar
from governance.errors import PolicyError

if TYPE_CHECKING:
    from governance.records.policy import Policy

__all__ = ["list_analyses", "policy_check", "policy_draft", "policy_new", "starter"]


def policy_new(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("policy.toml"),
) -> None:
    """Write a starter policy. Edit it before use: its bounds are examples."""
    if path.exists():
        raise PolicyError(f"{path}: exists; a new file name is accepted")
    write(path, starter())
    paragraph(f"Wrote {path}. Adapt the lines marked <-.")
    paragraph(f"Next: governance policy check {quote(str(path))}")


def starter() -> bytes:
    """The starter policy as it is written, which fits no model until it is edited."""
    from importlib.resources import files

    return files("templates").joinpath("policy.toml").read_bytes()


def policy_draft(
    model_uri: ModelUri,
    data: Annotated[
        Path, typer.Option(help="Labelled images: class folders, a list, a .tar or an .npz.")
    ],
    path: Annotated[Path, typer.Option("--out", help="Policy file to write.")] = Path(
        "policy.toml"
    ),
    minutes: Annotated[
        float, typer.Option(help="Time at hand for one assessment.", min=1, max=10_000)
    ] = 30,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    allow_pickle: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--allow-pickle", help="Load a pickled model, which runs its code.")
    ] = False,
    class_names: Annotated[
        Path | None,
        typer.Option(help="Names of the model's outputs in order: a line each, or JSON."),
    ] = None,
) -> None:
    """Write a policy for one model, from trying it on labelled images.

    Every line of the policy says why it stands there. Nothing is written for a model that does no
    better than chance, for other classes, or for fewer than 100 images. A starter policy that
    nobody edited is replaced.
    """
    from governance.workflows.drafting import draft_policy

    if path.exists() and not (path.is_file() and path.read_bytes() == starter()):
        raise PolicyError(
            f"{path}: exists; a new file name is accepted, or a starter policy that nobody edited"
        )
    if not path.parent.is_dir():
        raise PolicyError(f"{path}: its folder does not exist; a file in one that does is accepted")
    with progress_bar() as progress:
        draft = draft_policy(
            model_uri,
            data,
            place=_place(data, path),
            minutes=minutes,
            device=device,
            allow_pickle=allow_pickle,
            names=class_names,
            names_place=None if class_names is None else _place(class_names, path),
            progress=progress,
        )
    write(path, draft.text.encode())
    for sentence in draft.seen:
        paragraph(sentence)
    paragraph(f"Wrote {path}. Read it before use.")
    paragraph(f"Next: governance policy check {quote(str(path))}")


def _place(data: Path, policy: Path) -> str:
    """The images as the policy names them: from its own folder where they lie in there."""
    found, home = data.resolve(), policy.parent.resolve()
    return str(found.relative_to(home) if found.is_relative_to(home) else found)


def policy_check(
    path: Annotated[Path, typer.Argument(help="Policy file (TOML).")],
    data: Annotated[
        Path | None, typer.Option(help="Labelled images in the place of the policy's own.")
    ] = None,
) -> None:
    """Report every problem of a policy at once, and how often models would pass it.

    Said for each expectation on a share of images: the chance that a good and a bad model meet it
    on these images, and the images that it would take.
    """
    from governance.workflows import orchestration

    read = orchestration.read_policy(path)
    judged = orchestration.judged_by(read)
    said = _on_images(judged, data)
    blocking = sum(item.severity == "block" for item in read.expectations)
    paragraph(
        f"{path}: {len(read.analyses)} analyses, {len(read.expectations)} expectations "
        f"({blocking} blocking). {read.digest}"
    )
    for sentence in said:
        paragraph(sentence)


def _on_images(policy: "Policy", data: Path | None) -> list[str]:
    """What can be said of a policy on its images, a sentence each.

    Raises:
        PolicyError: For a class that the validation images do not have.
        SubjectError: For images that cannot be opened, or a class that has too few of them.
    """
    from governance.records.wording import first_few
    from governance.subject.class_names import in_order
    from governance.subject.images import open_validation
    from governance.workflows import class_counts
    from governance.workflows.policy_chances import chances

    place = Path(policy.validation) if data is None else data
    if data is None and ":/" in policy.validation and not place.exists():
        nothing = f"Nothing was checked on the images, which lie at {policy.validation}: "
        return [nothing + "--data FOLDER names a copy on this machine."]
    images = in_order(open_validation(place, str(place), policy.images), policy.model).identity
    class_counts.check_classes(policy, images)
    left = [f"{kind} ({number})" for kind, number in (images.skipped or {}).items()]
    said = [f"Left out of {place}: {first_few(left)}."] if left else []
    return [*said, *map(str, chances(policy, images))]


def list_analyses(as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """List the installed analyses with their parameters and metrics."""
    import dataclasses

    from governance import analyses
    from governance.records.serialisation import to_data
    from governance.subject.subject import NEEDS

    installed: dict[str, Any] = {}
    for name in analyses.names():
        kind = analyses.find(name)
        installed[name] = {
            "about": analyses.about(name).partition("\n")[0],
            "needs": kind.needs,
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
        paragraph(f"{name}  {item['about']}")
        paragraph(f"asks for {NEEDS[item['needs']]}", indent=2)
        parameters = ", ".join(f"{key} = {value!r}" for key, value in item["parameters"].items())
        paragraph(f"parameters: {parameters or 'none'}", indent=2)
        for key, meaning in item["metrics"].items():
            paragraph(f"{name}.{key}: {meaning}", indent=2)

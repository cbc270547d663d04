"""Command: `governance demo`, and what it prints."""

import time
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.cli.arguments import AsJson, Keys, SigningKey
from governance.cli.console import complain, out, paragraph, print_json, text
from governance.cli.verdicts import answer, leaning
from governance.cli.waiting import Lines
from governance.records.numbers import number

if TYPE_CHECKING:
    from governance.cli.demonstration.orders import Store
    from governance.cli.demonstration.running import DemoVersion
    from governance.records.assessment import Assessment

__all__ = ["demo", "why"]

ACCURACY = "performance.accuracy"


def demo(
    out_dir: Annotated[
        Path, typer.Option("--out", help="New folder for database, models and reports.")
    ] = Path("demo"),
    registry: Annotated[
        str | None,
        typer.Option(
            help="MLflow server in the place of a database in that folder.", metavar="URI"
        ),
    ] = None,
    signing_key: SigningKey = None,
    keys: Keys = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Train and assess three digit classifiers, in two minutes.

    All three are registered and held against one policy, and one is rejected. Everything stays in
    the new folder. MLflow servers are not touched, unless --registry or --config names one.
    """
    from governance.cli.demonstration.orders import Store
    from governance.cli.demonstration.running import run_demo

    store = Store.embedded(out_dir) if registry is None else Store(uri=registry)
    store = replace(store, signing_key=signing_key, keys=keys)
    # Lines on a terminal, too: two versions are worked on at once.
    lines = Lines(time.monotonic)
    versions = run_demo(out_dir, store, tell=lambda step: lines(step, 0, 1))
    if as_json:
        print_json({"versions": [_summary(version) for version in versions]})
    else:
        _show(versions, store)


def _show(versions: list["DemoVersion"], store: "Store") -> None:
    from governance.cli.demonstration.orders import NAME

    out.print("Three versions, one policy:")
    for version in versions:
        accuracy = number(version.assessment.metrics.get(ACCURACY))
        answer(
            version.verdict,
            leaning(version.verdict),
            f": version {version.number}, {version.story}; accuracy {accuracy}",
        )
    for version in versions:
        sentences = why(version.assessment)
        if sentences:
            _print(f"Why version {version.number} is {version.verdict}:")
        for sentence in sentences:
            paragraph(sentence, start="- ")
    _print("Reports:")
    for version in versions:
        _print(f"- version {version.number}: {version.pdf or 'none'}")
        if version.unprinted:
            complain(f"version {version.number} was not printed: {version.unprinted}")
    last = versions[-1].number
    keys = "" if store.keys is None else f" --keys {quote(str(store.keys))}"
    _print(f"Next, ask the gate about version {last}; it answers with its exit code:")
    _print(f"  MLFLOW_TRACKING_URI={quote(store.uri)} governance gate models:/{NAME}/{last}{keys}")


def _print(line: str) -> None:
    """A line that may be copied: not broken, whatever the width of the terminal."""
    out.print(text(line), soft_wrap=True)


def why(assessment: "Assessment") -> list[str]:
    """Why a version is not approved: what decided, what else is open, and what accuracy says."""
    from reports.findings import findings

    if assessment.decision.verdict == "approved":
        return []
    told = findings(assessment)
    grave = [item for item in told if item.open and item.severity != "warn"][:2]
    sentences = [item.sentence for item in grave]
    accuracy = next((item for item in told if item.metric == ACCURACY), None)
    if accuracy is not None and accuracy.outcome == "met":
        said = f"{accuracy.sentence[:1].lower()}{accuracy.sentence[1:]}"
        sentences.append(f"A gate on accuracy alone would let it pass: {said}")
    return sentences


def _summary(version: "DemoVersion") -> dict[str, Any]:
    """What `--json` prints of a version."""
    return {
        "version": version.number,
        "story": version.story,
        "verdict": version.verdict,
        "why": why(version.assessment),
        "assessment": str(version.folder),
        "pdf": None if version.pdf is None else str(version.pdf),
        "run_id": version.run_id,
    }

"""Commands about change between versions: `compare`, `history`, `references`, `drift selftest`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.cli.arguments import AsJson, ModelUri
from governance.cli.console import misuse, paragraph, print_json, table
from governance.cli.files import write
from governance.cli.verdicts import answer
from governance.cli.waiting import progress_bar
from governance.records.numbers import interval, number

if TYPE_CHECKING:
    from governance.cli.verdicts import Leaning
    from governance.drift import Comparison, SelfTest
    from governance.records.lineage import History
    from governance.records.policy import Policy
    from governance.registry import Reference
    from governance.workflows.comparing import Compared

__all__ = ["compare", "history", "references_add", "references_make", "selftest"]

#: What the command line answers for the verdict of a comparison.
CODES = {"EQUIVALENT": 0, "DRIFT": 10, "INCONCLUSIVE": 30}

AtPolicy = Annotated[Path | None, typer.Option("--policy", help="Policy file (TOML).")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
KINDS = "retrain, lineage or checkpoint"


def compare(
    old_uri: Annotated[
        str,
        typer.Argument(metavar="OLD_URI", help="The version before: a model, or an assessment."),
    ],
    new_uri: Annotated[
        str, typer.Argument(metavar="NEW_URI", help="The new version: a model, or an assessment.")
    ],
    policy: AtPolicy = None,
    references: Annotated[
        list[str] | None,
        typer.Option(help="A reference run: a model or an assessment. May be repeated."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as HTML.")] = None,
    device: Device = "auto",
    everything: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--all", help="Print all notes on the comparison.")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Compare the reasons of two versions on the same images.

    Exits with 0 if they are equivalent, 10 for drift, 30 if it cannot be told. Nothing is recorded.
    """
    from governance.workflows.comparing import compare_models

    with progress_bar() as progress:
        found = compare_models(
            old_uri,
            new_uri,
            policy=_policy(policy),
            references=references or (),
            device=device,
            drawn=html is not None,
            progress=progress,
        )
    if html:
        from reports.comparison import to_html

        write(html, to_html(found.new).encode())
    code = CODES["INCONCLUSIVE"] if found.withdrawn else CODES[found.comparison.verdict]
    if as_json:
        print_json(_compared(found, code))
    else:
        _show(found, everything=everything)
    raise typer.Exit(code)


def references_make(
    model_uri: ModelUri,
    recipe: Annotated[
        str,
        typer.Option(
            help="Training function as module:function; called with a seed and a start model."
        ),
    ],
    count: Annotated[
        int, typer.Option("-n", help="Number of reference runs, those recorded before included.")
    ] = 9,
    lineage: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--lineage", help="Fine-tune the version instead of training anew.")
    ] = False,
    policy: AtPolicy = None,
    device: Device = "auto",
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Run your own training with other seeds, and record the results as reference runs.

    The weights of reference runs are not kept.
    """
    from governance.workflows.references import make_references

    _import_from_here()
    with progress_bar() as progress:
        made = make_references(
            model_uri,
            recipe,
            count,
            lineage=lineage,
            policy=_policy(policy),
            device=device,
            progress=progress,
        )
    _references(made, as_json=as_json)


def references_add(
    model_uri: ModelUri,
    others: Annotated[
        list[str], typer.Argument(metavar="OTHER_URI...", help="Addresses of the models.")
    ],
    kind: Annotated[str, typer.Option(help=f"What they are: {KINDS}.")],
    policy: AtPolicy = None,
    device: Device = "auto",
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Record existing models as reference runs of a version. The models stay where they are."""
    from governance.records.drift_terms import KINDS as ACCEPTED
    from governance.workflows.references import add_references

    known = next((item for item in ACCEPTED if item == kind), None)
    if known is None:
        misuse(f"--kind {kind!r}: {KINDS} is accepted")
    with progress_bar() as progress:
        added = add_references(
            model_uri, others, known, policy=_policy(policy), device=device, progress=progress
        )
    _references(added, as_json=as_json)


def selftest(
    model_uri: ModelUri,
    recipe: Annotated[
        str | None, typer.Option(help="module:function that trains a test fault of your own.")
    ] = None,
    policy: AtPolicy = None,
    device: Device = "auto",
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Test the drift detector on a version: no alarm on equal weights, one on a test fault.

    The version itself is not changed.
    """
    from governance.workflows.selftest import prove_detector

    _import_from_here()
    with progress_bar() as progress:
        what, tests = prove_detector(
            model_uri, recipe=recipe, policy=_policy(policy), device=device, progress=progress
        )
    passed = all(item.passed is True for item in tests)
    if as_json:
        print_json({"fault": what, "passed": passed, "tests": [_test(item) for item in tests]})
    else:
        paragraph(what)
        for item in tests:
            paragraph(item.words)
    raise typer.Exit(0 if passed else CODES["INCONCLUSIVE"])


def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the registered model.")],
    last: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Number of newest versions, besides the first one."),
    ] = 30,
    html: Annotated[Path | None, typer.Option(help="Write the history as HTML.")] = None,
    record: Annotated[  # noqa: FBT002 - a flag of the command line
        bool,
        typer.Option(help="Log the history to MLflow, as metrics over the version's number."),
    ] = False,
    everything: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--all", help="Print the intervals and the numbers of images as well.")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Show verdicts, metrics and drift of all versions of a model.

    Everything comes from records. Nothing is measured, and nothing is written unless asked.
    """
    from governance.workflows import version_history

    found = version_history.read_history(name, last)
    run_id = version_history.log(found) if record else None
    if html:
        from reports.history import to_html

        write(html, to_html(found, version_history.plots(found)).encode())
    if as_json:
        print_json({**found.summary(), "run_id": run_id})
        return
    _versions(found, everything=everything)
    if found.left_out:
        paragraph(f"{found.left_out} versions after the first are left out; --last takes more")
    if html:
        paragraph(f"Report: {html}")
    if run_id:
        paragraph(f"Recorded: run {run_id} holds the metrics by version")
    else:
        paragraph("Nothing was recorded; --record logs these numbers to MLflow")


def _versions(found: "History", *, everything: bool) -> None:
    """One version a row, and below them what keeps a record from being relied on."""
    columns = ("version", "verdict", "assessed", "accuracy", "drift to previous", "to first")
    rows = []
    for entry in found.entries:
        pairs = (entry.accuracy, entry.to_previous, entry.to_first)
        shown = [
            f"{number(value)} {interval(ends) if everything else ''}".strip()
            for value, ends in pairs
        ]
        rows.append((entry.version, entry.verdict, entry.created[:16], *shown))
    table(columns, rows)
    for entry in found.entries:
        for problem in entry.problems:
            paragraph(f"version {entry.version}: {problem}")


def _policy(path: Path | None) -> "Policy | None":
    if path is None:
        return None
    from governance.workflows import orchestration

    return orchestration.read_policy(path)


def _import_from_here() -> None:
    """Let a recipe lie in the working directory; last, so that it hides nothing of ours."""
    import sys

    sys.path.append(str(Path.cwd()))


def _compared(found: "Compared", code: int) -> dict[str, Any]:
    from governance.records.serialisation import to_data

    comparison = found.comparison
    questions = ("identity", "exchangeability", "equivalence", "to_first")
    measurement = found.evidence.measurement
    return {
        "old": comparison.old.uri,
        "new": comparison.new.uri,
        "verdict": comparison.verdict,
        "exit_code": code,
        "reasons": list(comparison.reasons),
        "withdrawn": list(found.withdrawn),
        "references": {"kind": comparison.kind, "uris": list(comparison.references)},
        "answers": {name: to_data(getattr(comparison, name)) for name in questions},
        "flips": _flips(comparison),
        "false_alarms": _test(comparison.false_alarms),
        "metrics": to_data(measurement.metrics) if measurement else {},
        "intervals": to_data(measurement.intervals) if measurement else {},
        "notes": list(measurement.notes) if measurement else [],
    }


def _flips(comparison: "Comparison") -> dict[str, Any] | None:
    """The images whose answer changed, and whether that is more than chance."""
    from governance.records.serialisation import to_data

    found = comparison.flips
    if found is None:
        return None
    kinds = {"newly_wrong": found.turned.wrong, "newly_right": found.turned.right}
    return {
        "images": found.turned.n,
        "all_images": found.everything,
        "p": found.turned.p,
        "worse": list(found.worse),
        **{name: to_data(items) for name, items in kinds.items()},
    }


#: The answer of a comparison in one sentence, and what it means for the reader.
ANSWERS: "dict[str, tuple[str, str, Leaning]]" = {
    "EQUIVALENT": ("", "decides for the same reasons as", "good"),
    "DRIFT": ("", "decides for other reasons than", "bad"),
    "INCONCLUSIVE": ("It cannot be told whether ", "decides for the same reasons as", "open"),
}


def _show(found: "Compared", *, everything: bool) -> None:
    """The answer in one sentence, why, and the answer to each of the three questions."""
    comparison = found.comparison
    old, new = comparison.old.uri, comparison.new.uri
    given = "INCONCLUSIVE" if found.withdrawn else comparison.verdict
    start, decides, which = ANSWERS[given]
    answer(given, which, f": {start}{new} {decides} {old}.")
    for reason in found.withdrawn:
        paragraph(f"Withdrawn: {reason}")
    notes = found.evidence.measurement.notes if found.evidence.measurement else ()
    turned = (comparison.flips.words,) if comparison.flips else ()
    told = notes if everything else (*comparison.reasons, *turned, *_answers(comparison))
    for note in told:
        paragraph(note, start="- ")
    if not everything and len(notes) > len(told):
        paragraph(f"--all shows all {len(notes)} notes.")
    if not comparison.references:
        paragraph(f"Next: governance references make {quote(old)} --recipe module:function")


def _answers(comparison: "Comparison") -> tuple[str, ...]:
    asked = (comparison.identity, comparison.exchangeability, comparison.equivalence)
    return tuple(item.words for item in asked)


def _references(made: "tuple[Reference, ...]", *, as_json: bool) -> None:
    from governance.records.serialisation import to_data

    if as_json:
        print_json({"references": [to_data(item) for item in made]})
        return
    rows = [(item.run_id, item.kind, item.version, item.recipe, item.seed) for item in made]
    table(("run", "kind", "of version", "recipe", "seed"), rows)


def _test(item: "SelfTest") -> dict[str, Any]:
    from governance.records.serialisation import to_data

    data: dict[str, Any] = to_data(item)
    return data

"""Commands for auditors: `bundle`, `verify` and `replay`."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.cli.arguments import AsJson, ModelUri
from governance.cli.console import misuse, out, paragraph, print_json, text
from governance.cli.exit_codes import MISMATCH, UNTOLD
from governance.cli.files import write
from governance.cli.recorded import recorded
from governance.cli.verdicts import leaning, mark
from governance.cli.waiting import progress_bar

if TYPE_CHECKING:
    from governance.approval.auditing import Verification
    from governance.cli.verdicts import Leaning
    from governance.records.assessment import Assessment
    from governance.workflows.replaying import Replay

__all__ = ["bundle", "replay", "verify"]

REPLAYED = {"reproduced": 0, "untold": UNTOLD, "differs": MISMATCH}
WORDS = {"reproduced": "reproduced", "untold": "cannot be told", "differs": "differs"}
LEANINGS: "dict[str, Leaning]" = {"reproduced": "good", "untold": "open", "differs": "bad"}


def bundle(
    model_uri: ModelUri,
    out_file: Annotated[Path, typer.Option("--out", help="File for the bundle.", metavar="FILE")],
    keys: Annotated[
        Path | None,
        typer.Option(help="Keyring to put into the bundle.", metavar="KEYRING"),
    ] = None,
) -> None:
    """Put all that an auditor needs about a version into one file.

    The file holds the signed statements, the record with its tables and reports, the list of the
    model's files and the keyring. The model's weights are not in it.
    """
    from governance.workflows import bundling

    content = bundling.bundle_of(model_uri, keys).packed()
    write(out_file, content)
    out.print(text(f"{out_file}: {len(content)} bytes about {model_uri}"), soft_wrap=True)


def verify(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Bundle that `governance bundle` wrote.",
        ),
    ],
    ring: Annotated[Path, typer.Option(help="Your own keyring.", metavar="KEYRING")],
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Time (UTC) at which the statement must count; now if not given.",
        ),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Verify a bundle offline: digests, signatures and verdict.

    The verdict is judged again. Neither MLflow nor the model is needed, and nothing is measured.
    Exits with the code of the verdict, or with 40 if anything differs.
    """
    from governance.approval.auditing import verified_bundle
    from governance.approval.bundles import opened_bundle
    from governance.approval.signed_rings import load_ring

    moment = time.time() if at is None else at.replace(tzinfo=UTC).timestamp()
    found = verified_bundle(opened_bundle(file), load_ring(ring), moment)
    code = found.exit_code(MISMATCH)
    if as_json:
        print_json({"exit_code": code, **_verified(found)})
        raise typer.Exit(code)
    for check in found.checks:
        paragraph(f"{check.about}: {check.text}", start=f"{check.state:7} ")
    verdict = found.verdict
    said = mark("does not verify", "bad") if found.differs else mark(verdict, leaning(verdict))
    out.print(f"{text(found.version.uri)}: {said}", soft_wrap=True)
    raise typer.Exit(code)


def _verified(found: "Verification") -> dict[str, Any]:
    said = found.standing.statement
    return {
        "uri": found.version.uri,
        "verdict": found.verdict,
        "differs": found.differs,
        "expires": None if said is None else said.expires,
        "checks": [
            {"about": check.about, "state": check.state, "text": check.text}
            for check in found.checks
        ],
    }


def replay(
    source: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE|ASSESSMENT_DIR|MODEL_URI",
            help="Bundle, folder of an assessment, or address of a model with a record.",
        ),
    ],
    seed: Annotated[
        int, typer.Option(help="Number that picks the analyses; choose it after the assessment.")
    ],
    sample: Annotated[
        str, typer.Option(help="Share of the analyses to measure again, such as 10%.")
    ] = "10%",
    model: Annotated[
        str | None,
        typer.Option(help="Address or folder of the model; the one on record if not given."),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(help="Validation images; those that the recorded policy names if not given."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    allow_pickle: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--allow-pickle", help="Load a pickled model, which runs its code.")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Measure a part of an assessment again, and compare.

    Exits with 0 if all of it was reproduced, 40 if something differs, and 30 if nothing follows.
    No signature is checked.
    """
    share = _share(sample)
    from governance.workflows import replaying

    assessment = _recorded(source)
    with progress_bar() as progress:
        found = replaying.replay_model(
            assessment,
            share=share,
            seed=seed,
            model=model,
            images=images,
            device=device,
            allow_pickle=allow_pickle,
            progress=progress,
        )
    code = REPLAYED[found.outcome]
    if as_json:
        print_json({"exit_code": code, **_data(assessment, found)})
    else:
        _tell(assessment, found)
    raise typer.Exit(code)


def _share(sample: str) -> float:
    """The share that a text such as `10%` says, or the end with misuse."""
    number, sign, rest = sample.partition("%")
    try:
        share = float(number) / 100
    except ValueError:
        share = 0.0
    if not sign or rest or not 0 < share <= 1:
        misuse(f"--sample {sample}: a percentage above 0% and up to 100% is accepted")
    return share


def _recorded(source: str) -> "Assessment":
    """The assessment in a bundle or a folder, or on record for a model."""
    from governance.approval import bundles

    if os.path.isfile(source):  # noqa: PTH113 - an address may be longer than a path
        return bundles.recorded(bundles.opened_bundle(Path(source)))
    return recorded(source)[0]


def _tell(assessment: "Assessment", found: "Replay") -> None:
    where = text(assessment.identity.uri)
    out.print(f"{where}: {mark(WORDS[found.outcome], LEANINGS[found.outcome])}", soft_wrap=True)
    paragraph(f"Record: {assessment.digest}")
    picked = f"{len(found.parts)} of {found.of} analyses"
    if found.stack:
        paragraph(f"Measured {picked} again on another stack, compared within tolerances:")
        for name, (recorded, here) in found.stack.items():
            paragraph(f"{name}: {recorded} on record, {here} here", indent=2)
    else:
        paragraph(f"Measured {picked} again on the same stack, compared bit for bit.")
    ranked = sorted(found.parts, key=lambda part: list(LEANINGS).index(part.outcome), reverse=True)
    for part in ranked:
        paragraph(f"{part.analysis}: {WORDS[part.outcome]}")
        for reason in part.reasons:
            paragraph(reason, indent=2)
    for name, why in found.left_out.items():
        paragraph(f"{name}: not measured again; {why}")


def _data(assessment: "Assessment", found: "Replay") -> dict[str, Any]:
    return {
        "uri": assessment.identity.uri,
        "digest": assessment.digest,
        "outcome": found.outcome,
        "same_stack": not found.stack,
        "stack": {name: list(pair) for name, pair in found.stack.items()},
        "of": found.of,
        "parts": [
            {"analysis": part.analysis, "outcome": part.outcome, "reasons": list(part.reasons)}
            for part in found.parts
        ],
        "left_out": dict(found.left_out),
    }

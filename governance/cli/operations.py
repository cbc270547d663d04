"""Commands for whoever runs a registry: `inventory` and `audit`. Both change nothing."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from governance.cli.arguments import AsJson, Keys
from governance.cli.configuration import MaybeConfig
from governance.cli.console import misuse, out, paragraph, print_json, table, text

if TYPE_CHECKING:
    from governance.registry.audit import Wanted
    from governance.registry.inventory import Inventory

__all__ = ["audit", "inventory"]

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
Moment = datetime | None


def inventory(
    *,
    config: MaybeConfig = None,
    keys: Keys = None,
    uris: Annotated[
        bool,
        typer.Option(
            "--uris",
            help="Print only the addresses of the versions to assess, the most urgent first.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is in the registry, and what to assess first.

    It also says what a governed server would refuse. Nothing is changed. The table `[registry]` of
    the configuration says which aliases and stages are protected.
    """
    from governance.approval import load_ring
    from governance.approval.protection import Protection
    from governance.errors import PolicyError
    from governance.registry.inventory import inventory as take_inventory

    protection = Protection() if config is None else Protection.at(config)
    if protection.problem is not None:
        raise PolicyError(protection.problem)
    ring = None if keys is None else load_ring(keys)
    found = take_inventory(protection, ring, time.time())
    if uris:
        for item in found.backlog:
            out.print(text(item.uri), soft_wrap=True)
    elif as_json:
        print_json(_stock(found))
    else:
        _show(found)


def _stock(found: "Inventory") -> dict[str, Any]:
    import dataclasses

    return {
        "models": [dataclasses.asdict(item) for item in found.models],
        "versions": [
            {**dataclasses.asdict(item), "refused": list(item.refused), "waits": item.waits}
            for item in found.versions
        ],
    }


def _show(found: "Inventory") -> None:
    uses = sum(len(item.uses) for item in found.versions)
    refused = sum(len(item.refused) for item in found.versions)
    rows = [
        (str(item.priority), item.uri, ", ".join(item.uses), item.state, item.why)
        for item in found.versions
        if item.waits or item.refused
    ]
    if rows:
        table(("priority", "version", "used as", "state", "why"), rows)
        out.print()
    paragraph(f"models: {len(found.models)}, versions: {len(found.versions)}")
    if found.unchecked:
        paragraph(
            f"versions whose verdict was not checked: {len(found.unchecked)}; --keys KEYRING tells "
            "which of them wait for an assessment"
        )
    else:
        paragraph(f"versions that wait for an assessment: {len(found.backlog)}")
    checked = " that was checked" if found.unchecked else ""
    paragraph(f"{refused} of {uses} protected uses rest on no approval{checked}")
    ready = [item.name for item in found.models if not item.refused]
    paragraph(f"nothing would be refused of: {', '.join(ready) or 'no model'}")
    reporting = [item.name for item in found.models if item.mode == "report"]
    paragraph(f"in mode report: {', '.join(reporting) or 'no model'}")


def audit(
    *,
    audit: Annotated[
        str,
        typer.Option(
            help="URL of the database that holds the server's audit, such as sqlite:///mlflow.db.",
        ),
    ],
    model: Annotated[str | None, typer.Option(help="Only of this registered model.")] = None,
    version: Annotated[str | None, typer.Option(help="Only of this version number.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this login.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as set_registered_model_alias.")
    ] = None,
    outcome: Annotated[
        Literal["allowed", "refused", "reported"] | None, typer.Option(help="Only this outcome.")
    ] = None,
    since: Annotated[
        Moment, typer.Option(formats=FORMATS, help="Only from this time on (UTC).")
    ] = None,
    until: Annotated[
        Moment, typer.Option(formats=FORMATS, help="Only up to this time (UTC).")
    ] = None,
    last: Annotated[
        int, typer.Option(help="Number of decisions shown, the last ones.", min=1)
    ] = 50,
    count: Annotated[
        bool, typer.Option("--count", help="Show numbers by model, action and outcome instead.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Write all decisions asked for to this new file, as JSON lines."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a governed server let pass and refused.

    Its database is only read.
    """
    from governance.registry.audit import Wanted, counts, entries

    wanted = Wanted(
        model=model, version=version, user=user, action=action, outcome=outcome,
        since=_utc(since), until=_utc(until),
    )  # fmt: skip
    if export is not None:
        number = _export(export, audit, wanted)
        out.print(text(f"{export}: {number} decisions"), soft_wrap=True)
        return
    if count:
        rows = [dict(row) for row in counts(audit, wanted)]
    else:
        rows = [dict(row) for row in entries(audit, wanted, last)]
    if as_json:
        print_json({"counts" if count else "decisions": rows})
        return
    columns = ("model", "action", "outcome", "number") if count else SHOWN
    cells = [["" if row[name] is None else str(row[name]) for name in columns] for row in rows]
    table(columns, cells)


#: Columns of a decision on a terminal; `--json` and `--export` have all.
SHOWN = ("time", "user", "action", "model", "version", "alias", "outcome", "reason")


def _export(file: Path, database: str, wanted: "Wanted") -> int:
    """Write the decisions to a new file, one a line; after an error a part stays."""
    from governance.registry.audit import entries

    number = 0
    try:
        with file.open("x", encoding="utf-8") as lines:
            for row in entries(database, wanted):
                lines.write(json.dumps(row, sort_keys=True) + "\n")
                number += 1
    except OSError as error:
        misuse(f"{file}: cannot be written: {error.strerror}; a new file is accepted")
    return number


def _utc(moment: Moment) -> Moment:
    return None if moment is None else moment.replace(tzinfo=UTC)

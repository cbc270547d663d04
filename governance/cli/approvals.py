"""Commands about signatures: `keys`, `waive`, `revoke`."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from governance.cli.answers import misuse
from governance.cli.arguments import AsJson, ModelUri
from governance.cli.console import out, print_json, text

__all__ = ["keys_list", "keys_new", "revoke", "waive"]

Ring = Annotated[Path, typer.Option("--keys", help="Ring of public keys.", metavar="KEYRING")]
Approver = Annotated[Path, typer.Option("--key", help="An approver's private key.", metavar="FILE")]


class Role(StrEnum):
    """What a key may sign."""

    ASSESSOR = "assessor"
    APPROVER = "approver"


def keys_new(
    file: Annotated[Path, typer.Argument(help="New file for the private key.")],
    owner: Annotated[str, typer.Option(help="Whose it is; an approver by the name MLflow knows.")],
    role: Annotated[Role, typer.Option(help="An assessor signs verdicts, an approver waivers.")],
    keys: Ring,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Make a key; its public half is added to the ring, which is made if there is none."""
    from governance.approval import Keyring, PrivateKey

    if not owner.strip():
        misuse("--owner: is empty; a name is needed")
    if keys.exists():
        Keyring.load(keys)
    public = PrivateKey.new(file).public(
        owner=owner, role=role.value, not_before=datetime.now(UTC).replace(microsecond=0)
    )
    Keyring.add(keys, public)
    if as_json:
        print_json({"id": public.id, "owner": owner, "role": role.value, "file": str(file)})
    else:
        out.print(text(f"{file}: the key {public.id}; keep it secret"), soft_wrap=True)
        out.print(text(f"{keys}: signatures of {owner} count as {role}'s"), soft_wrap=True)


def keys_list(
    keys: Annotated[Path, typer.Argument(metavar="KEYRING", help="Ring of public keys.")],
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Show whose signatures count."""
    from governance.approval import Keyring

    names = ("not_before", "not_after", "revoked")
    rows = [
        {"id": key.id, "owner": key.owner, "role": key.role}
        | {name: None if (at := getattr(key, name)) is None else at.isoformat() for name in names}
        for key in Keyring.load(keys).keys
    ]
    if as_json:
        print_json({"keys": rows})
        return
    table = Table("id", "owner", "role", "not before", "not after", "revoked")
    for row in rows:
        table.add_row(*(text(value or "") for value in row.values()))
    out.print(table)


def waive(
    model_uri: ModelUri,
    metric: Annotated[str, typer.Option(help="<analysis>.<metric>, exactly one.")],
    bound: Annotated[float, typer.Option(help="The worst value that is still waived.")],
    reason: Annotated[str, typer.Option(help="Why, for the reader of the report.")],
    expires: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC), within 90 days.")
    ],
    key: Approver,
    keys: Ring,
) -> None:
    """Let one expectation of one version fail within a bound, from its next assessment on."""
    from governance import registry
    from governance.approval import Keyring, PrivateKey

    version = registry.resolve(model_uri)
    tag = registry.waive(
        version,
        metric=metric,
        bound=bound,
        reason=reason,
        # The day itself still counts.
        until=int(expires.replace(tzinfo=UTC).timestamp()) + 24 * 3600 - 1,
        key=PrivateKey.load(key),
        ring=Keyring.load(keys),
    )
    out.print(text(f"{version.uri}: {metric} is waived up to {bound:.15g} ({tag})"), soft_wrap=True)
    out.print(text("It counts once the version is assessed again."), soft_wrap=True)


def revoke(
    model_uri: ModelUri,
    reason: Annotated[str, typer.Option(help="Why, for whoever asks.")],
    key: Approver,
) -> None:
    """Take back whatever was said for a version, for good."""
    from governance import registry
    from governance.approval import PrivateKey

    version = registry.resolve(model_uri)
    registry.revoke(version, reason, PrivateKey.load(key))
    out.print(
        text(f"{version.uri}: revoked; aliases it has stay until someone removes them"),
        soft_wrap=True,
    )

"""Commands about keys and signatures: `keys`, `waive`, `revoke`."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from governance.cli.arguments import AsJson, ModelUri
from governance.cli.console import misuse, out, print_json, text

__all__ = ["keys_list", "keys_new", "revoke", "waive"]

Ring = Annotated[
    Path, typer.Option("--keys", help="Keyring: TOML file of public keys.", metavar="KEYRING")
]
Approver = Annotated[
    Path, typer.Option("--key", help="Private key of an approver.", metavar="FILE")
]


class Role(StrEnum):
    """The kind of statement that a key may sign."""

    ASSESSOR = "assessor"
    APPROVER = "approver"


def keys_new(
    file: Annotated[
        Path, typer.Argument(help="New file for the private key; an existing file is refused.")
    ],
    owner: Annotated[
        str, typer.Option(help="Name of the owner; of an approver the name that MLflow knows.")
    ],
    role: Annotated[
        Role,
        typer.Option(help="An assessor signs verdicts; an approver signs waivers and revocations."),
    ],
    keys: Ring,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Make a private key and add its public half to a keyring, which is made if there is none."""
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
    keys: Annotated[
        Path, typer.Argument(metavar="KEYRING", help="Keyring: TOML file of public keys.")
    ],
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """List the keys whose signatures count, with owner, role and dates."""
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
    metric: Annotated[str, typer.Option(help="Full name of the one metric: <analysis>.<metric>.")],
    bound: Annotated[float, typer.Option(help="Worst value of the metric that is still waived.")],
    reason: Annotated[str, typer.Option(help="Reason, printed in the report.")],
    expires: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"], help="Last day (UTC) of the waiver, at most 90 days from now."
        ),
    ],
    key: Approver,
    keys: Ring,
) -> None:
    """Permit a version to miss one expectation, down to a bound, from its next assessment on."""
    from governance import registry
    from governance.approval import Keyring, PrivateKey

    ring = Keyring.load(keys)
    version = registry.resolve(model_uri, ring.registry)
    tag = registry.waive(
        version,
        metric=metric,
        bound=bound,
        reason=reason,
        # The day itself still counts.
        until=int(expires.replace(tzinfo=UTC).timestamp()) + 24 * 3600 - 1,
        key=PrivateKey.load(key),
        ring=ring,
    )
    out.print(text(f"{version.uri}: {metric} is waived up to {bound:.15g} ({tag})"), soft_wrap=True)
    out.print(text("It counts once the version is assessed again."), soft_wrap=True)


def revoke(
    model_uri: ModelUri,
    reason: Annotated[str, typer.Option(help="Reason, shown by the gate and the registry.")],
    key: Approver,
) -> None:
    """Permanently withdraw the approval of a model version. Aliases that point to it stay."""
    from governance import registry
    from governance.approval import PrivateKey

    version = registry.resolve(model_uri)
    registry.revoke(version, reason, PrivateKey.load(key))
    out.print(
        text(f"{version.uri}: revoked; aliases it has stay until someone removes them"),
        soft_wrap=True,
    )

"""Commands about keys and signatures: `keys`, `waive`, `revoke`, `countersign`."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from governance.cli.arguments import AsJson, ModelUri, login
from governance.cli.console import misuse, out, paragraph, print_json, table, text

__all__ = ["countersign", "keys_list", "keys_new", "keys_sign", "revoke", "waive"]

Ring = Annotated[
    Path,
    typer.Option(
        "--keys", help="Keyring, or the file of root keys that signed one.", metavar="KEYRING"
    ),
]
Approver = Annotated[
    Path, typer.Option("--key", help="Private key of an approver.", metavar="FILE")
]


#: File of a signed ring beside the ring, and how a file of root keys begins that names it.
SIGNED = "keyring.signed.json"
ROOT_HEAD = f'ring = "{SIGNED}"\n'


class Role(StrEnum):
    """The kind of statement that a key may sign."""

    ASSESSOR = "assessor"
    APPROVER = "approver"
    ROOT = "root"
    SIGNER = "signer"


class Algorithm(StrEnum):
    """The algorithm that a key signs with."""

    ED25519 = "ed25519"
    P256 = "p256"


def keys_new(
    file: Annotated[
        Path, typer.Argument(help="New file for the private key; an existing file is refused.")
    ],
    role: Annotated[
        Role,
        typer.Option(
            help="An assessor signs verdicts, an approver waivers and revocations, a root "
            "the keyring."
        ),
    ],
    keys: Annotated[
        Path, typer.Option("--keys", help="Keyring that the key is added to.", metavar="KEYRING")
    ],
    owner: Annotated[
        str | None,
        typer.Option(
            help="Name of the owner, of an approver the name that MLflow knows; your login name if "
            "not given."
        ),
    ] = None,
    algorithm: Annotated[
        Algorithm, typer.Option(help="Ed25519, or ECDSA on the curve P-256.")
    ] = Algorithm.ED25519,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Make a private key and add its public half to a keyring.

    The keyring is made if there is none.
    """
    from governance.approval import Keyring, PrivateKey

    if owner is None:
        owner = login()
    if not owner.strip():
        misuse("--owner: is empty; a name is accepted, and without --owner your login name counts")
    if keys.exists():
        Keyring.load(keys)
    public = PrivateKey.new(file, algorithm.value).public(
        owner=owner, role=role.value, not_before=datetime.now(UTC).replace(microsecond=0)
    )
    Keyring.add(keys, public, head=ROOT_HEAD if role == Role.ROOT else "")
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
    from governance.approval import load_ring
    from governance.approval.public_keys import pem

    ring = load_ring(keys)
    names = ("not_before", "not_after", "revoked")
    rows = [
        {"id": key.id, "owner": key.owner, "role": key.role}
        | {name: None if (at := getattr(key, name)) is None else at.isoformat() for name in names}
        for key in ring.keys
    ]
    if as_json:
        known = [row | {"pem": pem(key.public)} for row, key in zip(rows, ring.keys, strict=True)]
        print_json(
            {
                "registry": ring.registry,
                "version": ring.version,
                "signed": ring.signed,
                "keys": known,
            }
        )
        return
    how = "signed by root keys" if ring.signed else "not signed by root keys"
    paragraph(f"{keys}: version {ring.version}, {how}")
    columns = ("id", "owner", "role", "not before", "not after", "revoked")
    table(columns, [[value or "" for value in row.values()] for row in rows])


def keys_sign(
    ring: Annotated[Path, typer.Argument(metavar="KEYRING", help="Keyring: TOML file.")],
    key: Annotated[Path, typer.Option("--key", help="Private key of a root.", metavar="FILE")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The signed keyring; keyring.signed.json beside it.", metavar="FILE"
        ),
    ] = None,
) -> None:
    """Sign a keyring with a root key.

    A keyring that changed since it was signed gets the next version.
    """
    from governance.approval import PrivateKey
    from governance.approval.signed_rings import sign_ring

    signed = file or ring.with_name(SIGNED)
    found = sign_ring(ring, PrivateKey.load(key), signed)
    out.print(text(f"{signed}: version {found.version} of {ring}"), soft_wrap=True)


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
    """Permit a version to miss one expectation, for a while.

    The permission reaches down to a bound, and counts from the next assessment on.
    """
    from governance import registry
    from governance.approval import PrivateKey, load_ring

    ring = load_ring(keys)
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
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", help="Keyring; needed where it names its registry.", metavar="KEYRING"
        ),
    ] = None,
) -> None:
    """Permanently withdraw the approval of a model version.

    Aliases that point to it stay.
    """
    from governance import registry
    from governance.approval import PrivateKey, load_ring

    version = registry.resolve(model_uri, "" if keys is None else load_ring(keys).registry)
    registry.revoke(version, reason, PrivateKey.load(key))
    out.print(
        text(f"{version.uri}: revoked; aliases it has stay until someone removes them"),
        soft_wrap=True,
    )


def countersign(
    model_uri: ModelUri,
    key: Annotated[
        Path,
        typer.Option(
            "--key", help="Private key of another assessor, or of an approver.", metavar="FILE"
        ),
    ],
    keys: Ring,
) -> None:
    """Add a signature to the approval of a version.

    It is added only if the record and the files of the version agree with the approval.
    """
    from tempfile import TemporaryDirectory

    from governance import registry
    from governance.approval import PrivateKey, load_ring

    signer, ring = PrivateKey.load(key), load_ring(keys)
    with TemporaryDirectory(prefix="governance-") as scratch:
        answer = registry.ask(model_uri, Path(scratch), keys=keys)
    if answer.reasons:
        for reason in answer.reasons:
            out.print(text(reason), soft_wrap=True)
        raise typer.Exit(answer.exit_code)
    owners = registry.countersign_approval(answer.version, signer, ring)
    policy = "" if answer.statement is None else f" under {answer.statement.policy_title}"
    said = f"{answer.version.uri}: approved{policy}; signed by {', '.join(owners)}"
    out.print(text(said), soft_wrap=True)

"""Signing: statements about a version, made, signed and written on it.

A governed registry takes the signed statement and sets the plain tags from it. A plain registry
takes whatever is written, so that the plain tags are written as well.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from governance.approval import (
    LONGEST_DETAIL,
    Keyring,
    Signer,
    Statement,
    check_approver,
    cleaned,
    countersign,
    read,
    sign,
    statement_digest,
    waiver_tag,
    waivers_among,
)
from governance.approval.lifecycle import LIFECYCLE, state_of
from governance.approval.signed_statements import counting
from governance.approval.standing import RegisteredVersion, standing
from governance.approval.tags import replaced_tag
from governance.approval.verdict_claims import claims
from governance.errors import ApprovalError, RegistryError
from governance.records.assessment import Assessment
from governance.records.policy import Policy
from governance.records.waiver import Waiver
from governance.registry.versions import (
    APPROVAL,
    AUTHOR,
    MISSING,
    PENDING,
    RUNNING,
    STATUS,
    ModelVersion,
    refusals,
    registered,
)

__all__ = [
    "about",
    "authors",
    "countersign_approval",
    "in_progress",
    "not_assessable",
    "put_statement",
    "resumed",
    "revoke",
    "sign_progress",
    "verdict_of",
    "waive",
    "waivers",
]

DAY = 24 * 3600
#: Maximum number of days that a verdict counts; after that the version is assessed again.
VERDICT_DAYS = 365
#: Seconds for which `running` and `pending` count.
PROGRESS_SECONDS = DAY
#: Number of years that a revocation counts, which is for good.
REVOKED_YEARS = 100


def about(version: ModelVersion) -> dict[str, Any]:
    """The fields of a statement that name its version.

    Raises:
        RegistryError: If the version is not registered.
    """
    if version.ref is None:
        raise RegistryError(f"{version.uri}: not registered; nothing is signed about it")
    return {"ref": version.ref, "source": version.source or ""}


def verdict_of(
    version: ModelVersion,
    assessment: Assessment,
    *,
    run_id: str,
    record: str,
    manifest: str,
    now: float,
    policy_fixed: int | None = None,
) -> Statement:
    """The verdict that an assessor signs. It expires with the first waiver that it rests on.

    Args:
        version: Registered.
        assessment: As judged.
        run_id: The run that holds the record.
        record: Digest of the record.
        manifest: Digest of its manifest.
        now: Seconds since 1970.
        policy_fixed: When the policy had been read, before anything was measured under it, in
            seconds since 1970; now where nobody saw to it.

    Raises:
        ApprovalError: If a waiver has expired in the meantime.
    """
    until = [int(now) + VERDICT_DAYS * DAY, *(item.expires for item in assessment.waivers)]
    return Statement(
        kind="verdict",
        **about(version),
        issued=int(now),
        expires=min(until),
        model_id=version.model_id,
        policy_fixed=int(now) if policy_fixed is None else policy_fixed,
        **claims(assessment, run_id=run_id, record=record, manifest=manifest),
    )


def in_progress(
    version: ModelVersion, status: str, now: float, policy: Policy | None = None
) -> Statement:
    """The statement that a version is `running` or `pending`; it counts for a day.

    Args:
        version: Registered.
        status: `running` or `pending`.
        now: Seconds since 1970.
        policy: Policy that is fixed now, before anything is measured under it.

    Raises:
        RegistryError: If the version is not registered, or the status needs more than that.
    """
    if status not in {RUNNING, PENDING}:
        raise RegistryError(f"{version.uri}: {status!r} needs a record; running and pending do not")
    return Statement(
        kind="verdict",
        **about(version),
        issued=int(now),
        expires=int(now) + PROGRESS_SECONDS,
        verdict=status,  # type: ignore[arg-type]
        policy_title=None if policy is None else cleaned(policy.title),
        policy_digest=None if policy is None else policy.digest,
        policy_fixed=None if policy is None else int(now),
    )


def not_assessable(version: ModelVersion, why: str, now: float) -> Statement:
    """The verdict `undetermined` of a version that could not be assessed, with the reason."""
    return Statement(
        kind="verdict",
        **about(version),
        issued=int(now),
        expires=int(now) + VERDICT_DAYS * DAY,
        verdict="undetermined",
        model_id=version.model_id,
        detail=cleaned(why, LONGEST_DETAIL),
    )


def resumed(version: ModelVersion, tags: Mapping[str, str], key: Signer, now: float) -> Statement:
    """What an interrupted assessment leaves on a version, to be signed by its assessor.

    The verdict that stood before is signed anew, anything else becomes `pending`. Only what this
    very key signed is signed again, so that nobody has a text of theirs signed by putting it on a
    version.
    """
    own = key.public(owner="self", role="assessor", not_before=datetime.fromtimestamp(0, UTC))
    ring = Keyring((own,), registry=version.registered_as.registry)
    before = standing(RegisteredVersion(tags=tags, **about(version)), ring, now)
    stood = before.statement
    if stood is not None and not before.doubtful("replaced"):
        state = state_of(stood.kind, stood.verdict, expired=stood.expires <= now)
        if LIFECYCLE[state].interrupted == state != PENDING:
            return replace(stood, issued=max(int(now), stood.issued))
    return in_progress(version, PENDING, now)


def put_statement(
    version: ModelVersion,
    statement: Statement,
    key: Signer,
    over: Mapping[str, str] | None = None,
    before: Callable[[str], None] | None = None,
) -> Mapping[str, str]:
    """Sign a statement and put it on its version, in place of the one that stands there now.

    Args:
        version: Registered.
        statement: What is signed.
        key: Private key to sign with.
        over: Tags of the version as they were read when it was decided to sign. A governed registry
            refuses the statement if another one came in since; they are read now if not given.
        before: Called with the signed statement before it is put on the version.

    Returns:
        The version's tags afterwards; a governed registry has set the plain ones, too.

    Raises:
        MlflowException: If MLflow refuses.
        RegistryError: If the version is gone.
    """
    client, ref = MlflowClient(), version.registered_as
    if statement.kind == "waiver":
        token = sign(statement, key)
        client.set_model_version_tag(ref.name, ref.version, waiver_tag(token), token)
        return dict(registered(version).tags)
    held = (registered(version).tags if over is None else over).get(APPROVAL)
    replaces = None if held is None else statement_digest(held)
    token = sign(replace(statement, replaces=replaces), key)
    if before is not None:
        before(token)
    client.set_model_version_tag(ref.name, ref.version, APPROVAL, token)
    tags = dict(registered(version).tags)
    if held is not None and replaced_tag(held) not in tags:
        # A plain registry does not remember that the statement of before counts no more.
        client.set_model_version_tag(
            ref.name, ref.version, replaced_tag(held), statement_digest(token)
        )
    return tags


def sign_progress(
    version: ModelVersion, status: str, key: Signer, now: float, policy: Policy | None = None
) -> None:
    """Sign `running` or `pending` for a version; on a plain registry the plain tag is set, too.

    Raises:
        MlflowException: If MLflow refuses.
        RegistryError: If the version is gone.
    """
    tags = put_statement(version, in_progress(version, status, now, policy), key)
    if tags.get(STATUS) != status:
        ref = version.registered_as
        MlflowClient().set_model_version_tag(ref.name, ref.version, STATUS, status)


def revoke(version: ModelVersion, reason: str, key: Signer, now: float | None = None) -> None:
    """Permanently withdraw the approval of a version; its status becomes `rejected`.

    Aliases that point to it stay. A governed registry sets no protected alias on it any more.

    Args:
        version: Registered.
        reason: Reason, shown by the gate and the registry.
        key: Private key of an approver.
        now: Seconds since 1970; the time of the clock if not given.

    Raises:
        ApprovalError: If the reason is empty or too long.
        RegistryError: If MLflow refuses.
    """
    issued = int(time.time() if now is None else now)
    statement = Statement(
        kind="revocation",
        **about(version),
        issued=issued,
        expires=issued + REVOKED_YEARS * 365 * DAY,
        detail=reason,
    )
    with refusals(f"{version.uri}: revoking"):
        if put_statement(version, statement, key).get(STATUS) != "rejected":
            ref = version.registered_as
            MlflowClient().set_model_version_tag(ref.name, ref.version, STATUS, "rejected")


def waive(
    version: ModelVersion,
    *,
    metric: str,
    bound: float,
    reason: str,
    until: int,
    key: Signer,
    ring: Keyring,
    now: float | None = None,
) -> str:
    """Permit a version to miss one expectation, down to a bound, from its next assessment on.

    Args:
        version: Registered.
        metric: `<analysis>.<metric>`.
        bound: Worst value that is still waived.
        reason: Reason, printed in the report.
        until: Time of expiry in seconds since 1970, at most 90 days from now.
        key: Private key of an approver.
        ring: Keyring with the owner of the key.
        now: Seconds since 1970; the time of the clock if not given.

    Returns:
        Name of the tag that holds the waiver.

    Raises:
        ApprovalError: If the waiver is none that could count, such as one by the version's author.
        RegistryError: If MLflow refuses.
    """
    moment = time.time() if now is None else now
    statement = Statement(
        kind="waiver",
        **about(version),
        issued=int(moment),
        expires=until,
        metric=metric,
        bound=bound,
        detail=reason,
    )
    token = sign(statement, key)
    check_approver(read(token, ring, moment), authors(version))
    with refusals(f"{version.uri}: waiving {metric}"):
        put_statement(version, statement, key)
    return waiver_tag(token)


def waivers(
    version: ModelVersion, ring: Keyring, now: float | None = None
) -> tuple[tuple[Waiver, ...], tuple[str, ...]]:
    """The waivers on a version that count now, and why the others do not.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    moment = time.time() if now is None else now
    with refusals(f"{version.uri}: reading its waivers"):
        tags = registered(version).tags
    return waivers_among(tags, ring, moment, authors=authors(version), **about(version))


def countersign_approval(
    version: ModelVersion, key: Signer, ring: Keyring, now: float | None = None
) -> tuple[str, ...]:
    """Add the signature of one more key to the approval of a version.

    Args:
        version: Registered; whoever signs has held its record against its files before.
        key: Private key of another assessor, or of an approver.
        ring: Keyring with the owner of the key.
        now: Seconds since 1970; the time of the clock if not given.

    Returns:
        Owners of the keys that have signed the approval.

    Raises:
        ApprovalError: If no approval counts, or the key does not.
        RegistryError: If MLflow refuses.
    """
    moment = time.time() if now is None else now
    with refusals(f"{version.uri}: reading its approval"):
        tags = dict(registered(version).tags)
    here = RegisteredVersion(tags=tags, authors=authors(version), **about(version))
    answer = standing(here, ring, moment, expected="approved")
    if answer.statement is None or not answer.counts:
        raise ApprovalError(f"{version.uri}: {problem}" for problem in answer.problems)
    mine = ring.signer(key.id, answer.statement.issued, f"{version.uri}: your signature")
    # A registry refuses what holds a signature that counts no more, of a key revoked since.
    token = countersign(counting(tags[APPROVAL], ring), key)
    with refusals(f"{version.uri}: signing its approval"):
        ref = version.registered_as
        MlflowClient().set_model_version_tag(ref.name, ref.version, APPROVAL, token)
    return tuple(sorted({mine.owner, *(item.owner for item in answer.signers)}))


def authors(version: ModelVersion) -> tuple[str, ...]:
    """Names of the user who made a version, as the server and the training run know them.

    Raises:
        RegistryError: If MLflow cannot be asked.
    """
    with refusals(f"{version.uri}: looking up who made it"):
        entry = registered(version)
        names = [entry.tags.get(AUTHOR), entry.user_id]
        try:
            run = MlflowClient().get_run(version.run_id) if version.run_id else None
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            run = None
    if run is not None:
        names += [run.data.tags.get("mlflow.user"), run.info.user_id]
    return tuple(sorted({name for name in names if name}))

"""Statements: verdicts, waivers and revocations as signed tokens, and how untrusted ones are read.

A token is `base64url(canonical JSON) + "." + base64url(Ed25519 signature)`, both without padding;
the signature is over the bytes of the JSON. Ed25519 after Bernstein et al. (RFC 8032), as the
package `cryptography` has it.
"""

import base64
import binascii
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidSignature

from governance.approval.keys import Keyring, PrivateKey
from governance.approval.lifecycle import SIGNERS, Kind, Status
from governance.errors import ApprovalError, EvidenceError
from governance.records.serialisation import FLAT, IF_SET, canonical, from_data, parse, to_data
from governance.records.version_ref import VersionRef
from governance.records.waiver import SKEW

__all__ = [
    "LONGEST_DETAIL",
    "LONGEST_WAIVER",
    "SKEW",
    "Statement",
    "decode",
    "early",
    "read",
    "sign",
    "token_digest",
    "unbound",
    "verified",
]

#: Maximum length of a token in characters. MLflow takes 100,000 in a tag and shows it on its page.
LONGEST = 16_384
#: Maximum length of free text in characters.
LONGEST_DETAIL = 2_000
#: Maximum time that a waiver holds, in seconds.
LONGEST_WAIVER = 90 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A verdict, a waiver or a revocation of one version, by the holder of a key.

    Attributes:
        kind: An assessor signs a `verdict`; an approver signs a `waiver` or a `revocation`.
        ref: The registered version that it is about.
        source: Source of the version, as MLflow keeps it.
        issued: Time of signing, in seconds since 1970.
        expires: Time from which it does not count any more, in seconds since 1970.
        verdict: Verdict, `running` or `pending`; None for a waiver and a revocation.
        model_id: Id of MLflow's LoggedModel; None where there is none.
        artifact_digest: Digest of the model's files as assessed.
        model_digest: Digest of the model's tensors as assessed.
        policy_title: Title of the policy that the version was judged by.
        policy_digest: Digest of the policy that the version was judged by.
        validation_digest: Digest of the validation images.
        run_id: Id of the run that holds the record.
        assessment_digest: Digest of the record.
        manifest: Digest of the record's manifest.
        waivers: sha256 of each signed waiver that the verdict rests on.
        metric: Metric that a waiver waives; None for other kinds.
        bound: Worst value that a waiver still waives; None for other kinds.
        detail: Reason of a waiver or a revocation; error of a version that could not be assessed.
        replaces: sha256 of the token that stood on the version when this one was signed; None where
            none stood, and in tokens of earlier releases.
        key: Id of the key that signed it; `sign` fills it in.
        schema: Version of the format.
    """

    kind: Kind
    ref: VersionRef = field(metadata=FLAT)
    source: str
    issued: int
    expires: int
    verdict: Status | None = None
    model_id: str | None = None
    artifact_digest: str | None = None
    model_digest: str | None = None
    policy_title: str | None = None
    policy_digest: str | None = None
    validation_digest: str | None = None
    run_id: str | None = None
    assessment_digest: str | None = None
    manifest: str | None = None
    waivers: tuple[str, ...] = ()
    metric: str | None = None
    bound: float | None = None
    detail: str = ""
    replaces: str | None = field(default=None, metadata=IF_SET)
    key: str = ""
    schema: int = 1

    def __post_init__(self) -> None:
        where = f"{self.kind} of {self.ref.name} version {self.ref.version}"
        problems = (*_contradictions(self), *_out_of_bounds(self))
        if problems:
            raise ApprovalError(f"{where}: {problem}" for problem in problems)


def _contradictions(statement: Statement) -> Iterator[str]:
    if (statement.kind == "verdict") != (statement.verdict is not None):
        yield f"verdict {statement.verdict!r}; a verdict says one, nothing else does"
    if statement.verdict == "approved" and not all(
        (
            statement.artifact_digest,
            statement.model_digest,
            statement.policy_digest,
            statement.assessment_digest,
        )
    ):
        yield "approves without the digests of model, policy and assessment"
    waiving = statement.kind == "waiver"
    if waiving != (statement.metric is not None) or waiving != (statement.bound is not None):
        both = f"metric {statement.metric!r}, bound {statement.bound!r}"
        yield f"{both}; a waiver, and it alone, has both"
    if statement.kind != "verdict" and not statement.detail.strip():
        yield "gives no reason"
    if waiving and statement.replaces is not None:
        yield "is a waiver and replaces a statement; waivers stand beside the others"


def _out_of_bounds(statement: Statement) -> Iterator[str]:
    if statement.schema != 1:
        yield f"schema {statement.schema}; 1 is accepted"
    if statement.metric is not None and not _exact(statement.metric):
        yield f"metric {statement.metric!r}; one `<analysis>.<metric>` is accepted, no pattern"
    if statement.bound is not None and not math.isfinite(statement.bound):
        yield f"bound {statement.bound}; a finite number is accepted"
    if len(statement.detail) > LONGEST_DETAIL:
        yield f"text of {len(statement.detail)} characters; {LONGEST_DETAIL} are accepted"
    if not 0 <= statement.issued < statement.expires:
        yield f"issued {statement.issued}, expires {statement.expires}; the other order is accepted"
    seconds = statement.expires - statement.issued
    if statement.kind == "waiver" and seconds > LONGEST_WAIVER:
        yield f"holds for {seconds} s; {LONGEST_WAIVER // 86400} days at most"


def _exact(metric: str) -> bool:
    analysis, dot, name = metric.partition(".")
    return bool(analysis and dot and name) and not set(metric) & set("*?{}")


def sign(statement: Statement, key: PrivateKey) -> str:
    """The statement as a token, with the key's id in it.

    Raises:
        ApprovalError: If the token would be longer than what `read` takes.
    """
    payload = canonical(to_data(replace(statement, key=key.id)))
    token = f"{_encoded(payload)}.{_encoded(key.secret.sign(payload))}"
    if len(token) > LONGEST:
        raise ApprovalError(f"token of {len(token)} characters; {LONGEST} are accepted")
    return token


def decode(token: str) -> Statement:
    """The statement of a token, whoever signed it. Only the form of the token is checked.

    Raises:
        ApprovalError: If the token is not one that `sign` writes.
    """
    return _parts(token)[0]


def verified(token: str, ring: Keyring) -> Statement:
    """The statement of a token that a key of the ring signed, whose role may sign such a statement.

    Neither the time nor the version that it is about is looked at.

    Args:
        token: Untrusted.
        ring: Whose signatures count.

    Raises:
        ApprovalError: If it is malformed, or its key is unknown, revoked, of the wrong role, was
            not in use at the time, or did not make the signature.
    """
    statement, problems = _signed(token, ring)
    if problems:
        raise ApprovalError(problems)
    return statement


def read(token: str, ring: Keyring, now: float) -> Statement:
    """The statement of a token that can be relied on at the time `now`, about whatever version.

    Args:
        token: Untrusted.
        ring: Whose signatures count.
        now: Seconds since 1970.

    Raises:
        ApprovalError: If it is not `verified`, expired or not yet valid; all problems at once.
    """
    statement, problems = _signed(token, ring)
    where = _about(statement)
    if early(statement, now):
        problems.append(f"{where}: is not valid before {statement.issued}, and it is {int(now)}")
    if statement.expires <= now:
        problems.append(f"{where}: expired at {statement.expires}, and it is {int(now)}")
    if problems:
        raise ApprovalError(problems)
    return statement


def early(statement: Statement, now: float) -> bool:
    """Whether a statement was issued later than now, by more than two clocks may differ."""
    return statement.issued > now + SKEW


def _about(statement: Statement) -> str:
    return f"statement about {statement.ref.name} version {statement.ref.version}"


def _signed(token: str, ring: Keyring) -> tuple[Statement, list[str]]:
    """The statement that a key of the ring signed, and what is wrong with the role of the key."""
    statement, payload, signature = _parts(token)
    where = _about(statement)
    key = ring.signer(statement.key, statement.issued, where)
    try:
        key.public.verify(signature, payload)
    except InvalidSignature as error:
        raise ApprovalError(
            f"{where}: its signature was not made by the key {key.id} ({key.owner})"
        ) from error
    role = SIGNERS[statement.kind]
    if key.role == role:
        return statement, []
    wrong = f"is a {statement.kind} signed by the {key.role} {key.owner}"
    return statement, [f"{where}: {wrong}; one of the role {role} is accepted"]


def _parts(token: str) -> tuple[Statement, bytes, bytes]:
    if len(token) > LONGEST:
        raise ApprovalError(f"token of {len(token)} characters; {LONGEST} are accepted")
    first, dot, second = token.partition(".")
    try:
        payload, signature = _decoded(first), _decoded(second)
    except (ValueError, binascii.Error) as error:
        raise ApprovalError(f"no signed statement: {error}") from error
    if not dot or len(signature) != 64:  # noqa: PLR2004 - bytes of an Ed25519 signature
        raise ApprovalError("no signed statement: a payload, a dot and a signature are accepted")
    try:
        statement = from_data(Statement, parse(payload, "statement"), "statement")
    except ApprovalError:
        raise
    except EvidenceError as error:
        raise ApprovalError(error.problems) from error
    if canonical(to_data(statement)) != payload:
        raise ApprovalError("statement: is not written as this version of governance writes it")
    return statement, payload, signature


def unbound(statement: Statement, *, ref: VersionRef, source: str | None) -> tuple[str, ...]:
    """Why a statement is about another version than the one at hand; empty where it is not.

    Args:
        statement: As read.
        ref: The version at hand.
        source: What was registered as that version.
    """
    pairs = [
        (name, getattr(ref, name), getattr(statement.ref, name))
        for name in ref.differences(statement.ref)
    ]
    if statement.source != source:
        pairs.append(("source", source, statement.source))
    return tuple(
        f"its {name} is {here!r} and the statement is about {there!r}"
        for name, here, there in pairs
    )


def token_digest(token: str) -> str:
    """Hexadecimal sha256 of a token, by which waivers and the audit name it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    content = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    # Base64 has several spellings of the same bytes; a token has one.
    if _encoded(content) != text:
        raise ValueError("not written as base64url without padding")
    return content

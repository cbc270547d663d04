"""Statements: verdicts, waivers and revocations as signed tokens, and reading them with suspicion.

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
from governance.records.serialisation import FLAT, canonical, from_data, parse, to_data
from governance.records.version_ref import VersionRef

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

#: Characters of a token at most; MLflow takes 100,000 in a tag and shows it on the page.
LONGEST = 16_384
#: Characters of free text at most.
LONGEST_DETAIL = 2_000
#: Seconds that a waiver holds at most.
LONGEST_WAIVER = 90 * 24 * 3600
#: Seconds that the clocks of signer and reader may be apart.
SKEW = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What someone says about one version, and until when they stand by it.

    Attributes:
        kind: A `verdict` is an assessor's; a `waiver` and a `revocation` are an approver's.
        ref: The registered version that it is about.
        source: What was registered.
        issued: Seconds since 1970.
        expires: Seconds since 1970; from then on it counts for nothing.
        verdict: Or `running` or `pending`; of a verdict alone.
        model_id: Of MLflow's LoggedModel, where there is one.
        artifact_digest: Of the model's files as assessed.
        model_digest: Of its tensors as assessed.
        policy_title: Of the policy it was judged by.
        policy_digest: Of the policy it was judged by.
        validation_digest: Of the images it was assessed on.
        run_id: The run that holds the record.
        assessment_digest: Of the record.
        manifest: Digest of the record's manifest.
        waivers: sha256 of each signed waiver that the verdict rests on.
        metric: Of a waiver alone: the one metric that is waived.
        bound: Of a waiver alone: the worst value that is still waived.
        detail: The reason of a waiver or a revocation; the error where nothing could be judged.
        key: Id of the key that signed it; `sign` fills it in.
        schema: Of the statement.
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
    key: str = ""
    schema: int = 1

    def __post_init__(self) -> None:
        where = f"{self.kind} of {self.ref.name} version {self.ref.version}"
        problems = (*_contradictions(self), *_out_of_bounds(self))
        if problems:
            raise ApprovalError(f"{where}: {problem}" for problem in problems)


def _contradictions(said: Statement) -> Iterator[str]:
    if (said.kind == "verdict") != (said.verdict is not None):
        yield f"verdict {said.verdict!r}; a verdict says one, nothing else does"
    if said.verdict == "approved" and not all(
        (said.artifact_digest, said.model_digest, said.policy_digest, said.assessment_digest)
    ):
        yield "approves without the digests of model, policy and assessment"
    waiving = said.kind == "waiver"
    if waiving != (said.metric is not None) or waiving != (said.bound is not None):
        yield f"metric {said.metric!r}, bound {said.bound!r}; a waiver, and it alone, has both"
    if said.kind != "verdict" and not said.detail.strip():
        yield "gives no reason"


def _out_of_bounds(said: Statement) -> Iterator[str]:
    if said.schema != 1:
        yield f"schema {said.schema}; 1 is accepted"
    if said.metric is not None and not _exact(said.metric):
        yield f"metric {said.metric!r}; one `<analysis>.<metric>` is accepted, no pattern"
    if said.bound is not None and not math.isfinite(said.bound):
        yield f"bound {said.bound}; a finite number is accepted"
    if len(said.detail) > LONGEST_DETAIL:
        yield f"text of {len(said.detail)} characters; {LONGEST_DETAIL} are accepted"
    if not 0 <= said.issued < said.expires:
        yield f"issued {said.issued}, expires {said.expires}; the other order is accepted"
    if said.kind == "waiver" and said.expires - said.issued > LONGEST_WAIVER:
        yield f"holds for {said.expires - said.issued} s; {LONGEST_WAIVER // 86400} days at most"


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
    """The statement of a token, whoever made it: nothing but its form is checked.

    Raises:
        ApprovalError: If it is no token; all texts but those `sign` writes are refused.
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
    """Why a statement is about another version than this one; nothing where it is about it.

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
    """sha256 of a token, hexadecimal: how waivers and the audit name it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    content = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    # Base64 has several spellings of the same bytes; a token has one.
    if _encoded(content) != text:
        raise ValueError("not written as base64url without padding")
    return content

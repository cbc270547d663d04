"""Statements: verdicts, waivers and revocations as in-toto statements, signed and read back.

A signed statement is an in-toto Statement (v1) in a DSSE envelope. Its subject is one registered
version, by digests of what it is, of its files and of its tensors; its predicate says the rest.
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from governance.approval.envelopes import (
    Envelope,
    check_bounds,
    countersigned,
    digest_of,
    joined,
    opened,
    sealed,
    signed_by,
    text_of,
)
from governance.approval.former_tokens import check_form
from governance.approval.keyring import Keyring, PublicKey
from governance.approval.keys import Signer
from governance.approval.lifecycle import SIGNERS, Kind, Status, step_of
from governance.approval.printable import unprintable
from governance.errors import ApprovalError, EvidenceError
from governance.records.serialisation import FLAT, canonical, from_data, parse, to_data
from governance.records.version_ref import VersionRef
from governance.records.waiver import SKEW

__all__ = [
    "IN_TOTO",
    "LONGEST_DETAIL",
    "LONGEST_WAIVER",
    "PREDICATES",
    "SKEW",
    "STATEMENT",
    "Signed",
    "Statement",
    "countersign",
    "decode",
    "early",
    "payload_of",
    "read",
    "sign",
    "statement_digest",
    "statement_in",
    "subject_of",
    "unbound",
    "verified",
    "with_signatures_of",
]

#: Type of an envelope's payload, and of the statement in it.
IN_TOTO, STATEMENT = "application/vnd.in-toto+json", "https://in-toto.io/Statement/v1"
#: What the predicate of each kind of statement is called.
PREDICATES: Mapping[Kind, str] = MappingProxyType(
    {
        "verdict": "urn:mlflow-governance:verdict:v1",
        "waiver": "urn:mlflow-governance:waiver:v1",
        "revocation": "urn:mlflow-governance:revocation:v1",
    }
)

#: Maximum length of free text in characters, and of a name.
LONGEST_DETAIL, LONGEST_NAME, LONGEST_SOURCE = 2_000, 500, 2_000
DAY = 24 * 3600
#: Maximum time that a waiver holds, in seconds.
LONGEST_WAIVER = 90 * DAY
#: Maximum time in seconds that a statement holds, by what it does to its version. A revocation is
#: for good, whether its time has passed or not.
LONGEST_TIME = MappingProxyType(
    {
        "progress": DAY,
        "verdict": 365 * DAY,
        "waiver": LONGEST_WAIVER,
        "revocation": 100 * 365 * DAY,
    }
)
#: Latest time in seconds since 1970: the end of the year 9999, as dates are written.
LATEST = 253_402_300_799

DIGESTS = (
    "artifact_digest",
    "model_digest",
    "policy_digest",
    "validation_digest",
    "environment_digest",
    "assessment_digest",
    "manifest",
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: Names of the digests of a version that in-toto's digest set holds.
FILES, TENSORS, VERSION = "sha256", "governanceTensors", "governanceVersion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A verdict, a waiver or a revocation of one version, by the holder of a key.

    Attributes:
        kind: An assessor signs a `verdict`; an approver signs a `waiver` or a `revocation`.
        ref: The registered version that it is about, with its registry and workspace.
        source: Source of the version, as MLflow keeps it.
        issued: Time of signing, in seconds since 1970.
        expires: Time from which it does not count any more, in seconds since 1970.
        verdict: Verdict, `running` or `pending`; None for a waiver and a revocation.
        model_id: Id of MLflow's LoggedModel; None where there is none.
        artifact_digest: Digest of the model's files as assessed.
        model_digest: Digest of the model's tensors as assessed.
        policy_title: Title of the policy that the version is judged by.
        policy_digest: Digest of the policy that the version is judged by.
        policy_fixed: When the assessor had read the policy, before anything was measured under it,
            in seconds since 1970.
        validation_digest: Digest of the validation images.
        environment_digest: Digest of the versions, packages and device of the assessment.
        code_version: Version of mlflow-governance that measured and judged.
        run_id: Id of the run that holds the record.
        assessment_digest: Digest of the record.
        manifest: Digest of the record's manifest.
        waivers: Digest of each signed waiver that the verdict rests on.
        metric: Metric that a waiver waives; None for other kinds.
        bound: Worst value that a waiver still waives; None for other kinds.
        detail: Reason of a waiver or a revocation; error of a version that could not be assessed.
        replaces: Digest of the statement that stood on the version when this one was signed; None
            where none stood.
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
    policy_fixed: int | None = None
    validation_digest: str | None = None
    environment_digest: str | None = None
    code_version: str | None = None
    run_id: str | None = None
    assessment_digest: str | None = None
    manifest: str | None = None
    waivers: tuple[str, ...] = ()
    metric: str | None = None
    bound: float | None = None
    detail: str = ""
    replaces: str | None = None

    def __post_init__(self) -> None:
        where = f"{self.kind} of {self.ref.name!a} version {self.ref.version[:30]}"
        problems = (*_contradictions(self), *_out_of_bounds(self), *_badly_written(self))
        if problems:
            raise ApprovalError(f"{where}: {problem}" for problem in problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A statement that keys of a ring signed.

    Attributes:
        statement: What was signed.
        digest: Digest that names the statement.
        signers: The keys whose signatures count, of whatever role; one at least has the role that
            the statement needs.
    """

    statement: Statement
    digest: str
    signers: tuple[PublicKey, ...]


def _contradictions(statement: Statement) -> Iterator[str]:
    if (statement.kind == "verdict") != (statement.verdict is not None):
        yield f"verdict {statement.verdict!r}; a verdict says one, nothing else does"
    if statement.verdict == "approved" and not all(
        (
            statement.artifact_digest,
            statement.model_digest,
            statement.policy_digest,
            statement.policy_fixed,
            statement.assessment_digest,
        )
    ):
        yield "approves without the digests of model, policy and assessment, or without a time"
    waiving = statement.kind == "waiver"
    if waiving != (statement.metric is not None) or waiving != (statement.bound is not None):
        both = f"metric {statement.metric!r}, bound {statement.bound!r}"
        yield f"{both}; a waiver, and it alone, has both"
    if statement.kind != "verdict" and not statement.detail.strip():
        yield "gives no reason"
    if waiving and statement.replaces is not None:
        yield "is a waiver and replaces a statement; waivers stand beside the others"
    if (statement.policy_fixed or 0) > statement.issued:
        yield f"policy fixed at {statement.policy_fixed}, after it was issued"


def _out_of_bounds(statement: Statement) -> Iterator[str]:
    if statement.metric is not None and not _exact(statement.metric):
        yield f"metric {statement.metric!r}; one `<analysis>.<metric>` is accepted, no pattern"
    if statement.bound is not None and not math.isfinite(statement.bound):
        yield f"bound {statement.bound}; a finite number is accepted"
    if not 0 <= statement.issued < statement.expires <= LATEST:
        yield (
            f"issued {statement.issued}, expires {statement.expires}; the other order is accepted, "
            f"up to {LATEST}"
        )
        return
    seconds = statement.expires - statement.issued
    longest = LONGEST_TIME[step_of(statement.kind, statement.verdict)]
    if seconds > longest:
        yield f"holds for {seconds} s; {longest // DAY} days at most"


def _badly_written(statement: Statement) -> Iterator[str]:
    names = {
        "registry": statement.ref.registry,
        "workspace": statement.ref.workspace,
        "name": statement.ref.name,
        "version": statement.ref.version,
        "source": statement.source,
        "model id": statement.model_id,
        "policy title": statement.policy_title,
        "code version": statement.code_version,
        "run id": statement.run_id,
        "metric": statement.metric,
        "text": statement.detail,
    }
    longest = {"text": LONGEST_DETAIL, "source": LONGEST_SOURCE}
    for name, text in names.items():
        problem = unprintable(text or "", longest.get(name, LONGEST_NAME))
        if problem is not None:
            yield f"{name} {problem}"
    for name in DIGESTS:
        digest = getattr(statement, name)
        if digest is not None and not DIGEST.fullmatch(digest):
            wrong = f"{name.replace('_', ' ')} {digest[:80]!r}"
            yield f"{wrong}; sha256: and 64 hexadecimal digits are accepted"
    for digest in (*statement.waivers, *filter(None, [statement.replaces])):
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            yield f"names the statement {digest[:80]!r}; 64 hexadecimal digits are accepted"


def _exact(metric: str) -> bool:
    analysis, dot, name = metric.partition(".")
    return bool(analysis and dot and name) and not set(metric) & set("*?{}")


def subject_of(
    ref: VersionRef, source: str, *, files: str | None, tensors: str | None
) -> dict[str, Any]:
    """A registered version as the subject of an in-toto statement.

    Args:
        ref: The version, with its registry and workspace.
        source: What was registered.
        files: Digest of the model's files.
        tensors: Digest of the model's tensors.
    """
    identity = {**to_data(ref), "registry": ref.registry, "workspace": ref.workspace}
    whole = hashlib.sha256(canonical({**identity, "source": source})).hexdigest()
    digests = {FILES: files, TENSORS: tensors, VERSION: whole}
    known = {name: text.removeprefix("sha256:") for name, text in digests.items() if text}
    return {"name": ref.uri, "digest": known}


def payload_of(statement: Statement) -> bytes:
    """The bytes that are signed; what is not set is left out."""
    data = to_data(statement)
    files, tensors = data.pop("artifact_digest"), data.pop("model_digest")
    data |= {"registry": statement.ref.registry, "workspace": statement.ref.workspace}
    kind = PREDICATES[data.pop("kind")]
    return canonical(
        {
            "_type": STATEMENT,
            "subject": [subject_of(statement.ref, statement.source, files=files, tensors=tensors)],
            "predicateType": kind,
            "predicate": {key: item for key, item in data.items() if item not in (None, [])},
        }
    )


def statement_in(payload: bytes) -> Statement:
    """The statement in the bytes of an envelope, if they are written as we write them.

    Raises:
        ApprovalError: If they are not.
    """
    kinds = {uri: kind for kind, uri in PREDICATES.items()}
    try:
        check_bounds(payload.decode())
        data = parse(payload, "statement")
        digests, predicate = data["subject"][0]["digest"], dict(data["predicate"])
        registry, workspace = (str(predicate.pop(name)) for name in ("registry", "workspace"))
        known = {"artifact_digest": digests.get(FILES), "model_digest": digests.get(TENSORS)}
        known = {key: f"sha256:{item}" for key, item in known.items() if item is not None}
        statement = from_data(
            Statement, {**predicate, **known, "kind": kinds[data["predicateType"]]},
            "statement",
        )  # fmt: skip
        ref = replace(statement.ref, registry=registry, workspace=workspace)
        statement = replace(statement, ref=ref)
    except ApprovalError:
        raise
    except EvidenceError as error:
        raise ApprovalError(error.problems) from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ApprovalError(f"statement: is none about a registered version: {error!r}") from error
    if payload_of(statement) != payload:
        raise ApprovalError("statement: is not written as this version of governance writes it")
    return statement


def sign(statement: Statement, key: Signer) -> str:
    """The statement in an envelope that one key signed, as compact JSON.

    Raises:
        ApprovalError: If it would be longer than what `read` takes.
    """
    return text_of(sealed(payload_of(statement), IN_TOTO, key))


def countersign(token: str, key: Signer) -> str:
    """A signed statement with the signature of one more key.

    Raises:
        ApprovalError: If it is malformed, or has too many signatures.
    """
    return text_of(countersigned(_opened(token), key))


def with_signatures_of(token: str, other: str | None) -> str:
    """A signed statement with the signatures of another text too, if that holds the same one."""
    if other is None or other == token or statement_digest(other) != statement_digest(token):
        return token
    return text_of(joined(_opened(token), _opened(other)))


def decode(token: str) -> Statement:
    """The statement of an envelope, whoever signed it. Only the form is checked.

    Raises:
        ApprovalError: If the text is not one that `sign` writes.
    """
    return statement_in(_opened(token).payload)


def verified(token: str, ring: Keyring) -> Signed:
    """The statement of an envelope that a key of the ring signed, whose role may sign such a one.

    Neither the time nor the version that it is about is looked at.

    Args:
        token: Untrusted.
        ring: Whose signatures count.

    Raises:
        FormerTokenError: If it is signed as releases before this format did.
        ApprovalError: If it is malformed, or each of its keys is unknown, revoked, of the wrong
            role, was not in use at the time, or did not make its signature.
    """
    signed, problems = _verified(token, ring)
    if problems:
        raise ApprovalError(problems)
    return signed


def read(token: str, ring: Keyring, now: float) -> Signed:
    """The statement of an envelope that can be relied on at a time, about whatever version.

    Args:
        token: Untrusted.
        ring: Whose signatures count.
        now: Seconds since 1970.

    Raises:
        ApprovalError: If it is not `verified`, expired or not yet valid; all problems at once.
    """
    signed, problems = _verified(token, ring)
    statement, where = signed.statement, _about(signed.statement)
    if early(statement, now):
        problems.append(f"{where}: is not valid before {statement.issued}, and it is {int(now)}")
    if statement.expires <= now:
        problems.append(f"{where}: expired at {statement.expires}, and it is {int(now)}")
    if problems:
        raise ApprovalError(problems)
    return signed


def early(statement: Statement, now: float) -> bool:
    """Whether a statement was issued later than now, by more than two clocks may differ."""
    return statement.issued > now + SKEW


def _about(statement: Statement) -> str:
    return f"statement about {statement.ref.name} version {statement.ref.version}"


def _verified(token: str, ring: Keyring) -> tuple[Signed, list[str]]:
    """The statement that keys of the ring signed, and what is wrong with the roles of all of them.

    Raises:
        ApprovalError: If no key of the ring signed it.
    """
    envelope = _opened(token)
    statement = statement_in(envelope.payload)
    where, role = _about(statement), SIGNERS[statement.kind]
    signers, problems = signed_by(envelope, ring, statement.issued, where)
    if not signers:
        raise ApprovalError(problems.values())
    signed = Signed(statement=statement, digest=digest_of(envelope), signers=signers)
    if any(key.role == role for key in signers):
        return signed, []
    wrong = f"is a {statement.kind} signed by the {signers[0].role} {signers[0].owner}"
    return signed, [f"{where}: {wrong}; one of the role {role} is accepted", *problems.values()]


def unsound(token: str, ring: Keyring) -> tuple[str, ...]:
    """Why signatures of an envelope do not count, a sentence each; empty where all do.

    Raises:
        ApprovalError: If it is malformed.
    """
    envelope = _opened(token)
    statement = statement_in(envelope.payload)
    _, problems = signed_by(envelope, ring, statement.issued, _about(statement))
    return tuple(problems.values())


def _opened(token: str) -> Envelope:
    check_form(token)
    return opened(token, IN_TOTO)


def unbound(
    statement: Statement, *, ref: VersionRef, source: str | None, registry: str
) -> tuple[str, ...]:
    """Why a statement is about another version than the one at hand; empty where it is not.

    Args:
        statement: As read.
        ref: The version at hand.
        source: What was registered as that version.
        registry: Name of the registry at hand, as its keyring has it.
    """
    here = replace(ref, registry=registry)
    names = ("registry", "workspace", "name", "version", "created")
    pairs = [(name, getattr(here, name), getattr(statement.ref, name)) for name in names]
    pairs.append(("source", source or "", statement.source))
    return tuple(
        f"its {name} is {at_hand!r} and the statement is about {signed!r}"
        for name, at_hand, signed in pairs
        if at_hand != signed
    )


def statement_digest(token: str) -> str:
    """Digest that names a signed statement, whoever signed it, in 64 hexadecimal digits.

    A text that is no statement is named by its own sha256.
    """
    try:
        return digest_of(_opened(token))
    except ApprovalError:
        return hashlib.sha256(token.encode(errors="backslashreplace")).hexdigest()

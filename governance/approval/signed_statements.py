"""Signed statements: statements as in-toto has them, in envelopes, made and read back.

The payload of an envelope is an in-toto Statement (v1). Its subject is one registered version, by
digests of what it is, of its files and of its tensors; its predicate says the rest.
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from governance.approval.envelopes import (
    bounded_data,
    countersigned,
    digest_of,
    enveloped,
    joined,
    opened,
    sealed,
    signatures_of,
    signed_by,
    text_of,
)
from governance.approval.former_tokens import check_form
from governance.approval.keyring import Keyring, PublicKey
from governance.approval.keys import Signer
from governance.approval.lifecycle import SIGNERS, Kind
from governance.approval.statements import Statement, early
from governance.errors import ApprovalError, EvidenceError
from governance.records.serialisation import canonical, from_data, to_data
from governance.records.version_ref import VersionRef

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

__all__ = [
    "IN_TOTO",
    "PREDICATES",
    "STATEMENT",
    "Signed",
    "countersign",
    "counting",
    "decode",
    "payload_of",
    "read",
    "sign",
    "statement_digest",
    "statement_in",
    "subject_of",
    "unsound",
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

#: Names of the digests of a version that in-toto's digest set holds.
FILES, TENSORS, VERSION = "sha256", "governanceTensors", "governanceVersion"


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
        data = bounded_data(payload, "statement")
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


def counting(token: str, ring: Keyring) -> str:
    """A signed statement with those of its signatures alone that count.

    Raises:
        ApprovalError: If it is malformed.
    """
    envelope = _opened(token)
    statement = statement_in(envelope.payload)
    signers, _ = signed_by(envelope, ring, statement.issued, _about(statement))
    made = signatures_of(envelope)
    kept = {key.id: made[key.id] for key in signers}
    return text_of(enveloped(envelope.payload, envelope.payload_type, kept))


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


def _opened(token: str) -> "Envelope":
    check_form(token)
    return opened(token, IN_TOTO)


def statement_digest(token: str) -> str:
    """Digest that names a signed statement, whoever signed it, in 64 hexadecimal digits.

    A text that is no statement is named by its own sha256.
    """
    try:
        return digest_of(_opened(token))
    except ApprovalError:
        return hashlib.sha256(token.encode(errors="backslashreplace")).hexdigest()

"""Envelopes: signed bytes with the signatures of one or several keys, as DSSE 1.0 has them.

An envelope is JSON: `payload` (base64), `payloadType`, and `signatures`, each with the `keyid` of
its key and `sig` (base64). Each signature is over the type and the payload together, so that none
fits a payload of another type. What was signed is named by the sha256 of just that, whoever signed
it: one more signature, another order or another spelling of one makes nothing new of it.
https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from governance.approval.keyring import Keyring, PublicKey
from governance.approval.keys import Signer
from governance.approval.public_keys import verifies
from governance.errors import ApprovalError
from governance.records.bounded import json_data

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

__all__ = [
    "LONGEST",
    "MOST_SIGNATURES",
    "bounded_data",
    "countersigned",
    "digest_of",
    "enveloped",
    "joined",
    "opened",
    "payload_in",
    "sealed",
    "signatures_of",
    "signed_by",
    "text_of",
]

#: Maximum length of an envelope in characters. MLflow takes 100,000 in a tag and shows it on its
#: page.
LONGEST = 16_384
#: Maximum number of signatures of an envelope.
MOST_SIGNATURES = 8
#: Maximum length of one signature in bytes; 64 of Ed25519, up to 72 of ECDSA on P-256.
LONGEST_SIGNATURE = 80
#: Maximum depth of JSON, and maximum number of digits of a number in it.
DEEPEST, MOST_DIGITS = 8, 20

KEY_ID = re.compile(r"[0-9a-f]{64}")


def enveloped(
    payload: bytes, payload_type: str, signatures: Mapping[str, bytes] = MappingProxyType({})
) -> "Envelope":
    """Bytes in an envelope, with signatures by key id.

    The library is loaded here. It loads boto3 where that is installed, which takes a fifth of a
    second, and whoever imports MLflow imports this module by way of our plug-ins.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Signature

    made = {name: Signature(name, content.hex()) for name, content in signatures.items()}
    return Envelope(payload, payload_type, made)


def sealed(payload: bytes, payload_type: str, key: Signer) -> "Envelope":
    """A new envelope around bytes that one key signed."""
    return countersigned(enveloped(payload, payload_type), key)


def countersigned(envelope: "Envelope", key: Signer) -> "Envelope":
    """An envelope with the signature of one more key.

    Raises:
        ApprovalError: If there are too many signatures.
    """
    signature = {key.id: key.sign(envelope.pae())}
    return joined(enveloped(envelope.payload, envelope.payload_type, signature), envelope)


def joined(envelope: "Envelope", other: "Envelope") -> "Envelope":
    """An envelope with its own signatures and those of other keys in another one of the same.

    Raises:
        ApprovalError: If the other one holds something else, or there are too many signatures.
    """
    if digest_of(other) != digest_of(envelope):
        raise ApprovalError("holds another statement than the envelope to be joined with")
    signatures = {**signatures_of(other), **signatures_of(envelope)}
    if len(signatures) > MOST_SIGNATURES:
        raise ApprovalError(f"{len(signatures)} signatures; {MOST_SIGNATURES} are accepted")
    return enveloped(envelope.payload, envelope.payload_type, signatures)


def signatures_of(envelope: "Envelope") -> dict[str, bytes]:
    """The signatures of an envelope by the id of the key that is said to have made them."""
    return {name: bytes.fromhex(item.signature) for name, item in envelope.signatures.items()}


def text_of(envelope: "Envelope", longest: int = LONGEST) -> str:
    """An envelope as compact JSON.

    Raises:
        ApprovalError: If it would be longer than what `opened` takes.
    """
    text = json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":"))
    if len(text) > longest:
        raise ApprovalError(f"envelope of {len(text)} characters; {longest} are accepted")
    return text


def opened(text: str, payload_type: str, longest: int = LONGEST) -> "Envelope":
    """The envelope in a text. No signature is looked at.

    Args:
        text: Untrusted.
        payload_type: Type that the payload must have.
        longest: Maximum length in characters.

    Raises:
        ApprovalError: If it is no envelope of such a payload, or is beyond its bounds.
    """
    if len(text) > longest:
        raise ApprovalError(f"envelope of {len(text)} characters; {longest} are accepted")
    data = bounded_data(text.encode(errors="backslashreplace"), "no signed statement")
    if not isinstance(data, dict) or set(data) != {"payload", "payloadType", "signatures"}:
        raise ApprovalError(
            "no signed statement: a DSSE envelope has payload, payloadType and signatures, and "
            "nothing else"
        )
    if data["payloadType"] != payload_type:
        raise ApprovalError(
            f"no signed statement: its payloadType is {str(data['payloadType'])[:80]!r}; "
            f"{payload_type} is accepted"
        )
    signatures = dict(_signatures(data["signatures"]))
    return enveloped(_decoded(data["payload"]), payload_type, signatures)


def _signatures(items: object) -> Iterator[tuple[str, bytes]]:
    if not isinstance(items, list) or not 0 < len(items) <= MOST_SIGNATURES:
        raise ApprovalError(f"no signed statement: 1 to {MOST_SIGNATURES} signatures are accepted")
    seen = set[str]()
    for item in items:
        if not isinstance(item, dict) or set(item) != {"keyid", "sig"}:
            raise ApprovalError("no signed statement: a signature has keyid and sig")
        name, content = str(item["keyid"]), _decoded(item["sig"])
        if not KEY_ID.fullmatch(name) or name in seen or len(content) > LONGEST_SIGNATURE:
            raise ApprovalError(
                "no signed statement: one signature of each key is accepted, with the key's id in "
                "64 hexadecimal digits"
            )
        seen.add(name)
        yield name, content


def _decoded(text: object) -> bytes:
    """Bytes of base64 in one of the two alphabets that DSSE allows."""
    try:
        return base64.b64decode(str(text).encode("ascii").translate(URL_SAFE), validate=True)
    except (ValueError, binascii.Error) as error:
        raise ApprovalError(f"no signed statement: {error}") from error


URL_SAFE = bytes.maketrans(b"-_", b"+/")


def bounded_data(content: bytes, where: str) -> Any:
    """Plain data of JSON that is signed: flatter and of shorter numbers than other JSON.

    Raises:
        ApprovalError: If it is no JSON, or beyond the bounds.
    """
    return json_data(content, where, ApprovalError, depth=DEEPEST, digits=MOST_DIGITS)


def payload_in(message: bytes, payload_type: str) -> bytes:
    """The payload in the bytes that a signature is over.

    Raises:
        ApprovalError: If they are none of a payload of that type.
    """
    begin = b"DSSEv1 %d %s " % (len(payload_type), payload_type.encode())
    size, _, payload = message.removeprefix(begin).partition(b" ")
    if enveloped(payload, payload_type).pae() != message:
        raise ApprovalError(f"{size[:20]!r}: no message of the type {payload_type}")
    return payload


def digest_of(envelope: "Envelope") -> str:
    """Hexadecimal sha256 of what was signed: the payload's type and bytes, without signatures."""
    return hashlib.sha256(envelope.pae()).hexdigest()


def signed_by(
    envelope: "Envelope", ring: Keyring, issued: float, where: str
) -> tuple[tuple[PublicKey, ...], Mapping[str, str]]:
    """The keys of a ring that signed an envelope, and by key id why other signatures do not count.

    Args:
        envelope: As opened.
        ring: Whose signatures count.
        issued: When it was signed, in seconds since 1970.
        where: Name of the statement in messages.
    """
    signers: list[PublicKey] = []
    problems: dict[str, str] = {}
    for name, signature in signatures_of(envelope).items():
        try:
            key = ring.signer(name, issued, where)
        except ApprovalError as error:
            problems[name] = str(error)
            continue
        if verifies(key.public, signature, envelope.pae()):
            signers.append(key)
        else:
            problems[name] = f"{where}: its signature was not made by the key {name} ({key.owner})"
    return tuple(signers), problems

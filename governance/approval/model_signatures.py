"""Model signatures: who signed a model's files, in the format of OpenSSF Model Signing.

The signature is the file `model.sig` beside the files that it covers: a Sigstore bundle, made with
`model_signing sign key`. The key is one of the ring, of the role `signer`, on the curve P-256.
https://github.com/ossf/model-signing-spec
"""

import base64
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.exceptions import InvalidSignature

from governance.approval.keyring import Keyring, PublicKey
from governance.approval.public_keys import pem
from governance.errors import ApprovalError, SubjectError
from governance.records.identity import ModelSignature
from governance.records.serialisation import parse

__all__ = ["SIGNATURE", "signature_of"]

#: Name of the file.
SIGNATURE = "model.sig"
#: Maximum size of the file in bytes: a line for each file of the model.
LARGEST = 4 * 1024**2


def signature_of(
    folder: Path, ring: Keyring | None, now: float, *, unsigned: Collection[str] = ()
) -> ModelSignature | None:
    """Who signed the files of a model; None where nobody did.

    Args:
        folder: Folder of the model, without links.
        ring: Whose signatures count; without one, a signature is not checked.
        now: Seconds since 1970.
        unsigned: Names of files that were added when the folder was downloaded.

    Raises:
        ApprovalError: If there is a signature that is not by a key that counts on these files.
        SubjectError: If the package that checks it is not installed.
    """
    path = folder / SIGNATURE
    if not path.exists():
        return None
    if not path.is_file():
        raise ApprovalError(
            f"{SIGNATURE}: is no file; that of `model_signing sign key` is accepted"
        )
    if ring is None:
        return ModelSignature()
    if path.stat().st_size > LARGEST:
        raise ApprovalError(f"{SIGNATURE}: is larger than {LARGEST} bytes, which are accepted")
    try:
        hint, covered = _content(parse(path.read_bytes(), SIGNATURE))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise ApprovalError(
            f"{SIGNATURE}: is no signature made with a key ({error!r}); that of `model_signing "
            "sign key` is accepted"
        ) from error
    key = _key(ring, hint, now)
    present = {item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file()}
    if uncovered := sorted(present - covered - {SIGNATURE} - set(unsigned)):
        raise ApprovalError(
            f"{SIGNATURE}: does not cover {uncovered[0]}; a signature of all files is accepted"
        )
    _verify(folder, key, [path, *(folder / name for name in unsigned)])
    return ModelSignature(signer=key.owner, key=key.id)


def _content(bundle: Mapping[str, Any]) -> tuple[str, set[str]]:
    """Hint at the key of a signature, and the names of the files that it says to cover.

    Nothing is verified.
    """
    hint = str(bundle["verificationMaterial"]["publicKey"]["hint"])
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"], validate=True)
    predicate = parse(payload, f"{SIGNATURE}: its payload")["predicate"]
    how = predicate["serialization"]
    if (how["method"], how["hash_type"]) != ("files", "sha256"):
        raise ValueError("files are accepted, each with its sha256")
    return hint, {str(item["name"]) for item in predicate["resources"]}


def _key(ring: Keyring, hint: str, now: float) -> PublicKey:
    for key in ring.keys:
        if key.role == "signer" and hashlib.sha256(pem(key.public).encode()).hexdigest() == hint:
            if why := key.unusable(now):
                raise ApprovalError(f"{SIGNATURE}: {why}")
            return key
    raise ApprovalError(
        f"{SIGNATURE}: signed with the key {hint[:64]!r}, which no signer of the keyring has; add "
        "the key with the role signer, or register the model without the file"
    )


def _verify(folder: Path, key: PublicKey, ignored: list[Path]) -> None:
    try:
        from model_signing import hashing, verifying  # noqa: PLC0415 - an extra, for signed models
    except ImportError as error:
        raise SubjectError(
            f"{SIGNATURE}: the model is signed, and what checks that is not installed: pip install "
            "'mlflow-governance[model-signing]'"
        ) from error
    how = hashing.Config().use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
    how = how.set_ignored_paths(paths=ignored, ignore_git_paths=False)
    with TemporaryDirectory(prefix="governance-") as scratch:
        public = Path(scratch) / "key.pem"
        public.write_text(pem(key.public), encoding="ascii")
        config = verifying.Config().use_elliptic_key_verifier(public_key=public)
        try:
            config.set_hashing_config(how).verify(folder, folder / SIGNATURE)
        except (InvalidSignature, ValueError, LookupError, TypeError, OSError) as error:
            why = str(error) or type(error).__name__
            raise ApprovalError(
                f"{SIGNATURE}: is not the signature of {key.owner} on these files: {why[:300]}"
            ) from error

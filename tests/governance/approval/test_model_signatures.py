"""Signatures beside a model: who signed which files, with OpenSSF's own tool as the signer."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from governance.approval import Keyring, PrivateKey
from governance.approval.model_signatures import SIGNATURE, signature_of
from governance.errors import ApprovalError, EvidenceError
from governance.records.identity import ModelSignature

pytest.importorskip("model_signing")
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
NOTE = "registered_model_meta"


def edit(**changes):
    """Changes the envelope in the signature's file."""

    def change(folder):
        bundle = json.loads((folder / SIGNATURE).read_text())
        bundle["dsseEnvelope"].update(changes)
        (folder / SIGNATURE).write_text(json.dumps(bundle))

    return change


def folder_instead(folder):
    (folder / SIGNATURE).unlink()
    (folder / SIGNATURE).mkdir()


@pytest.fixture(scope="module")
def developer():
    return PrivateKey(generate_private_key(SECP256R1()))


@pytest.fixture
def ring(developer):
    return Keyring((developer.public(owner="Bob", role="signer", not_before=START),))


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "model.pt2").write_bytes(b"weights")
    return folder


@pytest.fixture
def signed(model, developer, tmp_path):
    """Signs the model with the tool's own API."""
    from model_signing import hashing, signing  # noqa: PLC0415 - an extra

    def sign(*ignored, key=developer):
        content = key.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "developer.pem").write_bytes(content)
        paths = [model / SIGNATURE, *(model / name for name in ignored)]
        how = hashing.Config().set_ignored_paths(paths=paths, ignore_git_paths=False)
        config = signing.Config().use_elliptic_key_signer(private_key=tmp_path / "developer.pem")
        config.set_hashing_config(how).sign(model, model / SIGNATURE)
        return model

    return sign


def test_a_model_without_the_file_is_not_signed(model, ring):
    assert signature_of(model, ring, NOW) is None


def test_without_a_ring_a_signature_is_not_checked(signed):
    assert signature_of(signed(), None, NOW) == ModelSignature()


def test_the_owner_of_the_key_signed_all_files(signed, ring):
    found = signature_of(signed(), ring, NOW)

    assert found == ModelSignature(signer="Bob", key=ring.keys[0].id)


def test_what_mlflow_adds_to_a_download_need_not_be_signed(signed, ring):
    folder = signed()
    (folder / NOTE).write_text("x")

    assert signature_of(folder, ring, NOW, unsigned=(NOTE,)).signer == "Bob"
    with pytest.raises(ApprovalError, match=f"does not cover {NOTE}"):
        signature_of(folder, ring, NOW)


#: A signature whose payload is 9,000 lists inside one another.
DEEP = {
    "verificationMaterial": {"publicKey": {"hint": "x"}},
    "dsseEnvelope": {"payload": base64.b64encode(b"[" * 9000 + b"]" * 9000).decode()},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "data/model.pt2").write_bytes(b"others"), "is not the signature"),
        (lambda folder: (folder / "data/more").write_bytes(b""), "does not cover data/more"),
        (lambda folder: (folder / "MLmodel").unlink(), "is not the signature"),
        (lambda folder: (folder / SIGNATURE).write_bytes(b"{}"), "is no signature made with a key"),
        (lambda folder: (folder / SIGNATURE).write_bytes(b"\xff"), "cannot be read"),
        (lambda folder: (folder / SIGNATURE).write_text(json.dumps(DEEP)), "lists or tables"),
        (lambda folder: (folder / SIGNATURE).write_bytes(b"0" * 5_000_000), "is larger than"),
        (folder_instead, "is no file"),
        (edit(payload=base64.b64encode(b"[" * 100_000).decode()), "its payload: cannot be read"),
        (edit(signatures=[]), "is not the signature"),
    ],
)
def test_a_signature_of_other_files_counts_for_nothing(signed, ring, change, said):
    folder = signed()
    change(folder)

    with pytest.raises(EvidenceError, match=said):
        signature_of(folder, ring, NOW)


def test_a_signer_who_left_out_the_weights_signed_no_model(signed, ring):
    with pytest.raises(ApprovalError, match=r"does not cover data/model\.pt2"):
        signature_of(signed("data"), ring, NOW)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"role": "assessor"}, "no signer of the keyring has"),
        ({"revoked": START}, "was revoked"),
        ({"not_after": START}, "was not in use"),
    ],
)
def test_only_a_signer_whose_key_is_in_use_signs_models(signed, ring, changed, said):
    other = Keyring(tuple(replace(key, **changed) for key in ring.keys))

    with pytest.raises(ApprovalError, match=said):
        signature_of(signed(), other, NOW)


def test_a_key_that_is_not_in_the_ring_signs_nothing(signed, ring):
    stranger = PrivateKey(generate_private_key(SECP256R1()))

    with pytest.raises(ApprovalError, match="no signer of the keyring has"):
        signature_of(signed(key=stranger), ring, NOW)


def test_another_signature_under_the_hint_of_a_known_key_is_none(signed, ring):
    folder = signed()
    known = json.loads((folder / SIGNATURE).read_text())
    forged = json.loads((signed(key=PrivateKey(generate_private_key(SECP256R1()))) / SIGNATURE)
                        .read_text())  # fmt: skip
    forged["verificationMaterial"] = known["verificationMaterial"]
    (folder / SIGNATURE).write_text(json.dumps(forged))

    with pytest.raises(ApprovalError, match="is not the signature of Bob"):
        signature_of(folder, ring, NOW)

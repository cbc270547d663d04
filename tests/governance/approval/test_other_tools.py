"""Other tools: what `docs/how-to/verify.md` shows, by OpenSSL, which shares no code with ours."""

import base64
import json
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from governance.approval import PrivateKey, sign
from governance.approval.public_keys import pem

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs OpenSSL's command")


def openssl(*arguments):
    """Whether OpenSSL agrees."""
    ended = subprocess.run(
        ["openssl", *map(str, arguments)],  # noqa: S607 - whichever the machine has
        capture_output=True,
        check=False,
    )
    return ended.returncode == 0


@pytest.fixture
def written(tmp_path):
    """Writes key, signature and signed bytes of an envelope, as the page says; their paths."""

    def write(token, key, change=lambda payload: payload):
        envelope = json.loads(token)
        kind = envelope["payloadType"].encode()
        payload = change(base64.b64decode(envelope["payload"]))
        paths = [tmp_path / name for name in ("key.pem", "signature", "signed")]
        paths[0].write_text(pem(key.secret.public_key()))
        paths[1].write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
        paths[2].write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
        return paths

    return write


def verifies(kind, key, signature, signed):
    """Whether the bytes were signed, by the command that fits the kind of key."""
    if kind == "P-256":
        return openssl("dgst", "-sha256", "-verify", key, "-signature", signature, signed)
    return openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin"),
        *("-in", signed, "-sigfile", signature),
    )


@pytest.mark.parametrize("kind", ["Ed25519", "P-256"])
def test_openssl_verifies_the_same_envelope(verdict, assessor, written, kind):
    key = assessor if kind == "Ed25519" else PrivateKey(generate_private_key(SECP256R1()))
    token = sign(verdict(), key)

    assert verifies(kind, *written(token, key))
    changed = written(token, key, lambda payload: payload.replace(b"approved", b"rejected"))
    assert not verifies(kind, *changed)


def test_the_bytes_inside_are_an_in_toto_statement(verdict, assessor):
    said = json.loads(base64.b64decode(json.loads(sign(verdict(), assessor))["payload"]))

    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["subject"][0]["name"] == "models:/digits/3"
    assert said["predicate"]["verdict"] == "approved"

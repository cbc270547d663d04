"""Public keys: none for which somebody without the secret half can sign, and one spelling each."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from governance.approval.public_keys import key_id, pem, public_from, verifies, written

FIELD = 2**255 - 19
#: The y of the points whose order divides 8, of which 4 are of order 8 (RFC 8032, 5.1.2).
EIGHTH = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
SMALL = (0, 1, FIELD - 1, EIGHTH, FIELD - EIGHTH)


def read(content):
    return public_from(base64.b64encode(content).decode())


def encoded(y, sign=0):
    return (y + (sign << 255)).to_bytes(32, "little")


def test_anybody_signs_for_a_key_of_zeros_and_so_it_is_refused():
    zeros = Ed25519PublicKey.from_public_bytes(bytes(32))

    forged = [message for message in range(48) if verifies(zeros, bytes(64), b"%d" % message)]

    assert forged  # some of 48, with a signature that nobody made
    assert read(bytes(32)) is None


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [*SMALL, FIELD, FIELD + 1, 2**255 - 1])
def test_small_orders_and_numbers_above_the_field_are_refused(y, sign):
    assert read(encoded(y, sign)) is None


@given(content=st.binary(min_size=32, max_size=32))
def test_of_any_bytes_those_taken_are_written_again_the_same(content):
    key = read(content)

    assert key is None or base64.b64decode(written(key)) == content


def test_a_point_with_a_part_of_small_order_is_refused():
    from governance.approval.public_keys import _sum  # noqa: PLC0415 - to make one

    content = Ed25519PrivateKey.generate().public_key().public_bytes(
        Encoding.Raw, PublicFormat.Raw
    )  # fmt: skip
    number = int.from_bytes(content, "little")
    odd, y = number >> 255, number & (2**255 - 1)
    d = -121665 * pow(121666, -1, FIELD) % FIELD
    square = (y * y - 1) * pow(d * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    x = x if x * x % FIELD == square else x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    x = x if x & 1 == odd else FIELD - x
    u, v, w, _ = _sum((x, y, 1, x * y % FIELD), (0, FIELD - 1, 1, 0))  # and the point of order 2
    mixed = encoded(v * pow(w, -1, FIELD) % FIELD, u * pow(w, -1, FIELD) % FIELD & 1)

    assert read(content) is not None
    assert read(mixed) is None


@pytest.mark.parametrize(
    "content", [b"\0", b"\0" * 65, b"\4" + bytes(64), b"\4" + b"\1" * 64, b"\2" + bytes(32)]
)
def test_points_off_p256_and_at_infinity_are_refused(content):
    assert read(content) is None


def test_a_point_of_p256_has_one_spelling():
    key = generate_private_key(SECP256R1()).public_key()
    compressed = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    assert EllipticCurvePublicKey.from_encoded_point(SECP256R1(), compressed) == key
    assert read(compressed) is None
    assert public_from(written(key)) == key


@pytest.mark.parametrize("text", ["", "AAAA", "=" * 44, None, 7, "A" * 44 + "\n"])
def test_what_is_no_base64_of_a_key_is_refused(text):
    assert public_from(text) is None


def test_the_id_is_what_openssl_prints():
    """openssl pkey -pubin -in key.pem -outform DER | sha256sum."""
    import hashlib  # noqa: PLC0415 - beside its use
    import subprocess  # noqa: PLC0415 - as above

    key = Ed25519PrivateKey.generate().public_key()

    made = subprocess.run(
        ["/usr/bin/openssl", "pkey", "-pubin", "-outform", "DER"],
        input=pem(key).encode(), capture_output=True, check=True,
    )  # fmt: skip
    assert hashlib.sha256(made.stdout).hexdigest() == key_id(key)

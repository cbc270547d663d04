"""Public keys: the two kinds that are accepted, their bytes, their ids, and what they verify.

An Ed25519 key (RFC 8032) is written as its 32 bytes, an ECDSA key on P-256 (FIPS 186-5) as the 65
bytes of its point. A key for which anybody can make signatures is refused: OpenSSL takes the point
of order 4 that 32 zero bytes are, and then one in six messages verifies with a signature of zeros.
"""

import base64
import binascii
import hashlib

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["ACCEPTED", "PublicHalf", "key_id", "pem", "public_from", "verifies", "written"]

PublicHalf = Ed25519PublicKey | EllipticCurvePublicKey

ACCEPTED = "the 32 bytes of an Ed25519 key or the 65 of a P-256 key in base64 are needed"

ED25519_BYTES, P256_BYTES = 32, 65
#: Curve25519 in Edwards form: its field, its constant d, and the order of the group of the keys.
FIELD = 2**255 - 19
D = -121665 * pow(121666, -1, FIELD) % FIELD
ORDER = 2**252 + 27742317777372353535851937790883648493

#: A point in extended coordinates: X, Y, Z and T with x = X/Z, y = Y/Z and xy = T/Z.
Point = tuple[int, int, int, int]
NEUTRAL: Point = (0, 1, 1, 0)


def public_from(text: object) -> PublicHalf | None:
    """The key that a text holds in base64; None where it holds none that is accepted."""
    try:
        content = base64.b64decode(str(text), validate=True)
        if len(content) == P256_BYTES:
            return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), content)
        if len(content) == ED25519_BYTES and _of_prime_order(content):
            return Ed25519PublicKey.from_public_bytes(content)
    except (ValueError, binascii.Error):
        pass
    return None


def written(key: PublicHalf) -> str:
    """A key in base64, as `public_from` takes it."""
    if isinstance(key, Ed25519PublicKey):
        content = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        content = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.b64encode(content).decode()


def key_id(key: PublicHalf) -> str:
    """sha256 of a key's SubjectPublicKeyInfo in hexadecimal, which OpenSSL prints as well."""
    content = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(content).hexdigest()


def pem(key: PublicHalf) -> str:
    """A key as other tools read it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def verifies(key: PublicHalf, signature: bytes, message: bytes) -> bool:
    """Whether the holder of a key signed a message."""
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Signature, SSlibKey

    known = SSlibKey.from_crypto(key, keyid=key_id(key))
    try:
        known.verify_signature(Signature(known.keyid, signature.hex()), message)
    except UnverifiedSignatureError:
        return False
    return True


def _of_prime_order(content: bytes) -> bool:
    """Whether 32 bytes are the one spelling of a point of the group whose order is prime."""
    number = int.from_bytes(content, "little")
    odd, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    if y >= FIELD or x * x % FIELD != square or (x == 0 and odd):
        return False
    if x & 1 != odd:
        x = FIELD - x
    return (x, y) != (0, 1) and _is_neutral(_times(ORDER, (x, y, 1, x * y % FIELD)))


def _is_neutral(point: Point) -> bool:
    x, y, z, _ = point
    return x == 0 and y == z


def _times(factor: int, point: Point) -> Point:
    found = NEUTRAL
    while factor:
        if factor & 1:
            found = _sum(found, point)
        point, factor = _sum(point, point), factor >> 1
    return found


def _sum(one: Point, other: Point) -> Point:
    """Two points of the curve added (RFC 8032, 5.1.4)."""
    (x, y, z, t), (u, v, w, s) = one, other
    a, b = (y - x) * (v - u) % FIELD, (y + x) * (v + u) % FIELD
    c, d = 2 * t * s * D % FIELD, 2 * z * w % FIELD
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % FIELD, g * h % FIELD, f * g % FIELD, e * h % FIELD

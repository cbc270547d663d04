import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from governance.approval import (
    LONGEST_WAIVER,
    Keyring,
    PrivateKey,
    Statement,
    decode,
    read,
    sign,
    token_digest,
    unbound,
)
from governance.errors import ApprovalError, EvidenceError
from governance.records.serialisation import canonical, to_data

NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(payload, key):
    """A token of any bytes, signed properly."""
    return f"{encoded(payload)}.{encoded(key.secret.sign(payload))}"


def test_what_was_signed_is_what_is_read(verdict, waiver, assessor, approver, ring):
    assert read(sign(verdict(), assessor), ring, NOW) == replace(verdict(), key=assessor.id)
    assert read(sign(waiver(), approver), ring, NOW) == replace(waiver(), key=approver.id)


def test_a_token_is_the_canonical_record_and_an_ed25519_signature_of_it(verdict, assessor):
    first, second = sign(verdict(), assessor).split(".")

    payload = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4))
    signature = base64.urlsafe_b64decode(second + "==")
    assert json.loads(payload) == to_data(replace(verdict(), key=assessor.id))
    assessor.secret.public_key().verify(signature, payload)


def test_an_approval_error_is_evidence_that_does_not_match():
    assert issubclass(ApprovalError, EvidenceError)


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(verdict, assessor, ring, place, bit):
    token = bytearray(sign(verdict(), assessor).encode())
    token[place % len(token)] ^= 1 << bit

    with pytest.raises(ApprovalError):
        read(token.decode("latin-1"), ring, NOW)


@given(text=st.text(max_size=200))
def test_any_text_is_refused_without_a_crash(ring, text):
    with pytest.raises(ApprovalError):
        read(text, ring, NOW)


@given(payload=st.binary(max_size=200))
def test_any_signed_bytes_are_refused_without_a_crash(assessor, ring, payload):
    with pytest.raises(ApprovalError):
        read(signed(payload, assessor), ring, NOW)


def test_a_payload_of_another_shape_is_refused_even_if_signed(verdict, assessor, ring):
    data = to_data(replace(verdict(), key=assessor.id))
    spellings = {
        "unknown field": canonical({**data, "admin": True}),
        "missing field": canonical({key: data[key] for key in data if key != "source"}),
        "left to its default": canonical({key: data[key] for key in data if key != "waivers"}),
        "another type": canonical({**data, "created": "1700000000000"}),
        "another kind": canonical({**data, "kind": "blessing"}),
        "no finite number": canonical({**data, "bound": None}).replace(b"null", b"NaN", 1),
        "not canonical": json.dumps(data).encode(),
        "a key twice": canonical(data).replace(b"{\n", b'{\n  "name": "digits",\n', 1),
        "another schema": canonical({**data, "schema": 2}),
        "a list": canonical([data]),
    }

    for payload in spellings.values():
        with pytest.raises(ApprovalError):
            read(signed(payload, assessor), ring, NOW)


def test_base64_has_one_spelling(verdict, assessor, ring):
    token = sign(verdict(), assessor)

    for other in (f"{token}=", f"{token}\n", token.replace(".", "=."), token.replace(".", "..")):
        with pytest.raises(ApprovalError, match="no signed statement"):
            read(other, ring, NOW)


def test_a_long_token_is_refused_before_it_is_looked_at(ring):
    with pytest.raises(ApprovalError, match="characters"):
        read("A" * 20_000, ring, NOW)


def test_a_long_text_cannot_be_signed(verdict):
    with pytest.raises(ApprovalError, match="2000 are accepted"):
        verdict(verdict="undetermined", detail="x" * 2001)


@pytest.mark.parametrize(
    ("issued", "expires", "says"),
    [
        (NOW - 10, NOW, "expired"),
        (NOW - 10, NOW - 1, "expired"),
        (NOW + 301, NOW + 1000, "not valid before"),
    ],
)
def test_a_statement_counts_in_its_time_alone(verdict, assessor, ring, issued, expires, says):
    token = sign(verdict(issued=issued, expires=expires), assessor)

    with pytest.raises(ApprovalError, match=says):
        read(token, ring, NOW)


def test_clocks_may_be_five_minutes_apart(verdict, assessor, ring):
    assert read(sign(verdict(issued=NOW + 300), assessor), ring, NOW)


@pytest.mark.parametrize("kind", ["verdict", "waiver", "revocation"])
def test_each_kind_has_its_role(verdict, waiver, assessor, approver, ring, kind):
    said = {
        "verdict": verdict(),
        "waiver": waiver(),
        "revocation": waiver(kind="revocation", metric=None, bound=None),
    }[kind]
    right, wrong = (assessor, approver) if kind == "verdict" else (approver, assessor)

    assert read(sign(said, right), ring, NOW).kind == kind
    with pytest.raises(ApprovalError, match="of the role"):
        read(sign(said, wrong), ring, NOW)


def test_a_key_that_is_not_in_the_ring_does_not_count(verdict, ring):
    with pytest.raises(ApprovalError, match="not in the ring"):
        read(sign(verdict(), PrivateKey(Ed25519PrivateKey.generate())), ring, NOW)


def test_naming_another_ones_key_does_not_help(verdict, assessor, ring):
    thief = PrivateKey(Ed25519PrivateKey.generate())
    payload = canonical(to_data(replace(verdict(), key=assessor.id)))

    with pytest.raises(ApprovalError, match="not made by the key"):
        read(signed(payload, thief), ring, NOW)


def test_a_revoked_key_never_counts_even_for_what_it_signed_before(verdict, assessor, ring):
    revoked = replace(ring.keys[0], revoked=datetime.fromtimestamp(NOW, UTC))

    with pytest.raises(ApprovalError, match="was revoked"):
        read(sign(verdict(), assessor), Keyring((revoked,)), NOW)


def test_a_key_taken_out_of_use_counts_for_what_it_signed_before(verdict, assessor, ring):
    closed = Keyring((replace(ring.keys[0], not_after=datetime.fromtimestamp(NOW - 60, UTC)),))

    assert read(sign(verdict(issued=NOW - 61), assessor), closed, NOW)
    with pytest.raises(ApprovalError, match="not in use"):
        read(sign(verdict(issued=NOW - 59), assessor), closed, NOW)


def test_two_keys_count_side_by_side_while_one_is_exchanged(verdict, assessor, ring):
    fresh = PrivateKey(Ed25519PrivateKey.generate())
    start = ring.keys[0].not_before + timedelta(days=1)
    both = Keyring((*ring.keys, fresh.public(owner="worker", role="assessor", not_before=start)))

    assert read(sign(verdict(), assessor), both, NOW).key == assessor.id
    assert read(sign(verdict(), fresh), both, NOW).key == fresh.id


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": None},
        {"kind": "waiver"},
        {"metric": "performance.accuracy", "bound": 0.5},
        {"artifact_digest": None},
        {"policy_digest": ""},
        {"assessment_digest": None},
        {"issued": NOW, "expires": NOW},
        {"issued": -1},
    ],
)
def test_a_verdict_that_contradicts_itself_cannot_be_made(verdict, changes):
    with pytest.raises(ApprovalError):
        verdict(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"bound": None},
        {"bound": float("nan")},
        {"bound": float("inf")},
        {"metric": None},
        {"metric": "*"},
        {"metric": "performance.*"},
        {"metric": "performance.recall.{class}"},
        {"metric": "accuracy"},
        {"metric": ".accuracy"},
        {"detail": " "},
        {"verdict": "approved"},
        {"expires": NOW - 10 + LONGEST_WAIVER + 1},
    ],
)
def test_a_waiver_that_is_too_wide_cannot_be_made(waiver, changes):
    with pytest.raises(ApprovalError):
        waiver(**changes)


def test_a_waiver_holds_ninety_days(waiver):
    assert waiver(expires=NOW - 10 + 90 * 24 * 3600)


def test_a_revocation_needs_a_reason(waiver):
    with pytest.raises(ApprovalError, match="no reason"):
        waiver(kind="revocation", metric=None, bound=None, detail="")


@pytest.mark.parametrize(
    ("what", "value"),
    [("name", "other"), ("version", "4"), ("created", 1), ("source", "x")],
)
def test_a_statement_is_about_one_version_alone(verdict, what, value):
    statement, elsewhere = verdict(), verdict(**{what: value})

    assert unbound(statement, ref=statement.ref, source=statement.source) == ()
    (problem,) = unbound(statement, ref=elsewhere.ref, source=elsewhere.source)
    assert what in problem


def test_the_form_can_be_read_without_any_ring(verdict, assessor):
    assert decode(sign(verdict(), assessor)).ref.name == "digits"


def test_all_problems_are_told_at_once(verdict, approver, ring):
    with pytest.raises(ApprovalError) as refused:
        read(sign(verdict(expires=NOW - 1), approver), ring, NOW)

    assert len(refused.value.problems) == 2


def test_the_digest_of_a_token_is_its_sha256():
    assert token_digest("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_a_statement_names_no_more_than_it_must(verdict, assessor):
    assert len(sign(verdict(), assessor)) < 1500
    assert isinstance(verdict(), Statement)


def test_a_statement_that_replaces_none_has_the_bytes_of_earlier_releases(verdict, assessor):
    payload, _, _ = sign(verdict(), assessor).partition(".")
    later, _, _ = sign(verdict(replaces="0" * 64), assessor).partition(".")

    assert b"replaces" not in base64.urlsafe_b64decode(payload + "==")
    assert json.loads(base64.urlsafe_b64decode(later + "=="))["replaces"] == "0" * 64
    assert decode(sign(verdict(replaces="0" * 64), assessor)).replaces == "0" * 64


def test_a_waiver_replaces_nothing(waiver):
    with pytest.raises(ApprovalError, match="waivers stand beside the others"):
        waiver(replaces="0" * 64)

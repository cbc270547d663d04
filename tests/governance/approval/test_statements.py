"""Signed statements: what was signed is what is read, by the keys of the ring, in its time."""

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from strategies import statements

from governance.approval import (
    LONGEST_WAIVER,
    FormerTokenError,
    Keyring,
    PrivateKey,
    Statement,
    countersign,
    decode,
    read,
    sign,
    statement_digest,
    unbound,
    with_signatures_of,
)
from governance.approval.envelopes import opened, sealed, text_of
from governance.approval.signed_statements import IN_TOTO, unsound
from governance.errors import ApprovalError, EvidenceError
from governance.records.serialisation import canonical

NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())
DAY = 24 * 3600


def payload_of(token):
    return base64.b64decode(json.loads(token)["payload"])


def signed(payload, key, kind=IN_TOTO):
    """An envelope of any bytes, signed properly."""
    return text_of(sealed(payload, kind, key))


def changed(token, **changes):
    return json.dumps({**json.loads(token), **changes})


def test_what_was_signed_is_what_is_read(verdict, waiver, assessor, approver, ring):
    assert read(sign(verdict(), assessor), ring, NOW).statement == verdict()
    assert read(sign(waiver(), approver), ring, NOW).statement == waiver()
    assert [key.owner for key in read(sign(verdict(), assessor), ring, NOW).signers] == ["worker"]


@given(statement=statements())
def test_a_statement_comes_back_from_its_bytes(approver, statement):
    assert decode(sign(statement, approver)) == statement


def test_a_statement_is_an_in_toto_statement_in_a_dsse_envelope(verdict, assessor):
    envelope = json.loads(sign(verdict(), assessor))

    payload = base64.b64decode(envelope["payload"])
    said = json.loads(payload)
    kind = envelope["payloadType"].encode()
    (signature,) = envelope["signatures"]
    # DSSE 1.0: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
    message = b" ".join((b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload))
    assessor.secret.public_key().verify(base64.b64decode(signature["sig"]), message)
    assert (kind, said["_type"]) == (
        b"application/vnd.in-toto+json", "https://in-toto.io/Statement/v1",
    )  # fmt: skip
    assert said["subject"][0]["digest"]["sha256"] == "a" * 64
    assert said["subject"][0]["digest"]["governanceTensors"] == "b" * 64
    assert said["predicate"]["policy_fixed"] == verdict().policy_fixed


def test_an_approval_error_is_evidence_that_does_not_match():
    assert issubclass(ApprovalError, EvidenceError)


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_no_bit_of_what_is_signed_can_be_changed(verdict, assessor, ring, place, bit):
    token = sign(verdict(), assessor)
    payload = bytearray(payload_of(token))
    payload[place % len(payload)] ^= 1 << bit

    with pytest.raises(ApprovalError):
        read(changed(token, payload=base64.b64encode(payload).decode()), ring, NOW)


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_no_bit_of_a_signature_can_be_changed(verdict, assessor, ring, place, bit):
    token = sign(verdict(), assessor)
    (one,) = json.loads(token)["signatures"]
    content = bytearray(base64.b64decode(one["sig"]))
    content[place % len(content)] ^= 1 << bit
    other = {**one, "sig": base64.b64encode(content).decode()}

    with pytest.raises(ApprovalError):
        read(changed(token, signatures=[other]), ring, NOW)


@given(kind=st.text(max_size=40).filter(lambda kind: kind != IN_TOTO))
def test_the_type_of_the_payload_is_signed_too(verdict, assessor, ring, kind):
    payload = payload_of(sign(verdict(), assessor))
    elsewhere = json.dumps(sealed(payload, kind, assessor).to_dict())

    for token in (elsewhere, changed(elsewhere, payloadType=IN_TOTO)):
        with pytest.raises(ApprovalError):
            read(token, ring, NOW)


@given(text=st.text(max_size=200))
def test_any_text_is_refused_without_a_crash(ring, text):
    with pytest.raises(ApprovalError):
        read(text, ring, NOW)


@given(payload=st.binary(max_size=200))
def test_any_signed_bytes_are_refused_without_a_crash(assessor, ring, payload):
    with pytest.raises(ApprovalError):
        read(signed(payload, assessor), ring, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip


@given(place=st.sampled_from(("_type", "subject", "predicateType", "predicate")), value=json_values)
def test_a_signed_part_of_any_shape_is_refused_without_a_crash(
    verdict, assessor, ring, place, value
):
    data = json.loads(payload_of(sign(verdict(), assessor)))

    with pytest.raises(ApprovalError):
        read(signed(canonical({**data, place: value}), assessor), ring, NOW)


def test_a_payload_of_another_shape_is_refused_even_if_signed(verdict, assessor, ring):
    data = json.loads(payload_of(sign(verdict(), assessor)))
    said, subject = data["predicate"], data["subject"]

    def says(**changes):
        return canonical({**data, "predicate": {**said, **changes}})

    spellings = {
        "unknown field": says(admin=True),
        "missing field": canonical(
            {**data, "predicate": {key: said[key] for key in said if key != "created"}}
        ),
        "its default": says(waivers=[]),
        "another type": says(created="1700000000000"),
        "no finite number": says(bound=5.0).replace(b"5.0", b"NaN"),
        "another kind": canonical({**data, "predicateType": "urn:mlflow-governance:verdict:v2"}),
        "another statement": canonical({**data, "_type": "https://in-toto.io/Statement/v0.1"}),
        "two subjects": canonical({**data, "subject": subject * 2}),
        "another subject": canonical({**data, "subject": [{**subject[0], "name": "models:/x/1"}]}),
        "one more digest": canonical(
            {**data, "subject": [{**subject[0], "digest": {**subject[0]["digest"], "md5": "0"}}]}
        ),
        "not canonical": json.dumps(data).encode(),
        "a key twice": canonical(data).replace(b"{\n", b'{\n  "_type": "x",\n', 1),
        "a list": canonical([data]),
        "deep": b"[" * 5000 + b"]" * 5000,
        "a long number": b"1" * 5000,
    }

    for payload in spellings.values():
        with pytest.raises(ApprovalError):
            read(signed(payload, assessor), ring, NOW)


def test_an_envelope_has_three_parts_and_bounded_signatures(verdict, assessor, ring):
    token = sign(verdict(), assessor)
    data = json.loads(token)
    (one,) = data["signatures"]
    wrong = [
        changed(token, more=1),
        changed(token, signatures=[]),
        changed(token, signatures=[one, one]),
        changed(token, signatures=[{**one, "keyid": f"{place:064x}"} for place in range(9)]),
        changed(token, signatures=[{**one, "keyid": None}]),
        changed(token, signatures=[{**one, "cert": ""}]),
        changed(token, signatures=[{**one, "sig": "A" * 2000}]),
        changed(token, payload=data["payload"] + "\n"),
        changed(token, payload=7),
        json.dumps([data]),
        "null",
    ]

    for other in wrong:
        with pytest.raises(ApprovalError):
            read(other, ring, NOW)


def test_a_long_envelope_is_refused_before_it_is_looked_at(ring):
    with pytest.raises(ApprovalError, match="characters"):
        read("A" * 20_000, ring, NOW)


def test_a_long_text_without_an_end_costs_no_more_than_reading_it():
    begun = time.process_time()
    with pytest.raises(ApprovalError, match="no signed statement"):
        opened('"' + '\\"' * 10**6, IN_TOTO, 2**22)
    assert time.process_time() - begun < 5  # hours, if each place were looked at from every other


def test_a_deep_envelope_is_refused_before_it_is_parsed(ring):
    with pytest.raises(ApprovalError, match="more than 8 lists or tables"):
        read("[" * 10_000, ring, NOW)


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


@pytest.mark.parametrize(
    ("changes", "longest"),
    [
        ({"verdict": "running"}, DAY),
        ({"verdict": "pending"}, DAY),
        ({"verdict": "approved"}, 365 * DAY),
        ({"verdict": "rejected"}, 365 * DAY),
        ({"kind": "revocation", "verdict": None, "detail": "leaked"}, 36_500 * DAY),
    ],
)
def test_every_kind_has_its_longest_time_when_it_is_read(
    verdict, assessor, approver, ring, changes, longest
):
    key = approver if "kind" in changes else assessor
    said = verdict(**changes, expires=NOW - 10 + longest)
    token = sign(said, key)
    data = json.loads(payload_of(token))
    data["predicate"]["expires"] += 1
    longer = signed(canonical(data), key)

    assert read(token, ring, NOW).statement == said
    with pytest.raises(ApprovalError, match="days at most"):
        read(longer, ring, NOW)


@pytest.mark.parametrize("issued", [10**12, 10**18])
def test_a_statement_of_no_year_that_can_be_written_is_refused(verdict, issued):
    with pytest.raises(ApprovalError, match="the other order"):
        verdict(issued=issued, expires=issued + 10)


@pytest.mark.parametrize("kind", ["verdict", "waiver", "revocation"])
def test_each_kind_has_its_role(verdict, waiver, assessor, approver, ring, kind):
    said = {
        "verdict": verdict(),
        "waiver": waiver(),
        "revocation": waiver(kind="revocation", metric=None, bound=None),
    }[kind]
    right, wrong = (assessor, approver) if kind == "verdict" else (approver, assessor)

    assert read(sign(said, right), ring, NOW).statement.kind == kind
    with pytest.raises(ApprovalError, match="of the role"):
        read(sign(said, wrong), ring, NOW)


def test_a_key_that_is_not_in_the_ring_does_not_count(verdict, ring):
    with pytest.raises(ApprovalError, match="not in the keyring"):
        read(sign(verdict(), PrivateKey(Ed25519PrivateKey.generate())), ring, NOW)


def test_naming_another_ones_key_does_not_help(verdict, assessor, ring):
    thief = PrivateKey(Ed25519PrivateKey.generate())
    token = sign(verdict(), thief).replace(thief.id, assessor.id)

    with pytest.raises(ApprovalError, match="not made by the key"):
        read(token, ring, NOW)


def test_a_revoked_key_never_counts_even_for_what_it_signed_before(verdict, assessor, ring):
    revoked = replace(ring.keys[0], revoked=datetime.fromtimestamp(NOW, UTC))

    with pytest.raises(ApprovalError, match="was revoked"):
        read(sign(verdict(), assessor), Keyring((revoked,)), NOW)


def test_a_key_taken_out_of_use_counts_for_what_it_signed_before(verdict, assessor, ring):
    closed = Keyring((replace(ring.keys[0], not_after=datetime.fromtimestamp(NOW - 60, UTC)),))
    early, late = ({"issued": NOW - before} for before in (61, 59))

    assert read(sign(verdict(**early), assessor), closed, NOW)
    with pytest.raises(ApprovalError, match="not in use"):
        read(sign(verdict(**late), assessor), closed, NOW)


def test_two_keys_count_side_by_side_while_one_is_exchanged(verdict, assessor, ring):
    fresh = PrivateKey(Ed25519PrivateKey.generate())
    start = ring.keys[0].not_before + timedelta(days=1)
    both = Keyring((*ring.keys, fresh.public(owner="worker", role="assessor", not_before=start)))

    for key in (assessor, fresh):
        (signer,) = read(sign(verdict(), key), both, NOW).signers
        assert signer.id == key.id


def test_the_order_of_signatures_and_one_of_a_stranger_change_nothing(
    verdict, assessor, approver, ring
):
    token = countersign(sign(verdict(), assessor), approver)
    stranger = PrivateKey(Ed25519PrivateKey.generate())
    signatures = json.loads(token)["signatures"]
    tokens = [
        token,
        changed(token, signatures=signatures[::-1]),
        countersign(token, stranger),
    ]

    found = [read(item, ring, NOW) for item in tokens]

    assert {item.digest for item in found} == {statement_digest(token)}
    assert all({key.owner for key in item.signers} == {"worker", "Ann"} for item in found)
    assert [len(unsound(item, ring)) for item in tokens] == [0, 0, 1]


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_whoever_spells_a_signature_otherwise_makes_no_other_statement(
    verdict, ring, tmp_path, algorithm
):
    key = PrivateKey.new(tmp_path / "key.pem", algorithm)
    start = ring.keys[0].not_before
    known = Keyring((key.public(owner="worker", role="assessor", not_before=start),))
    token = sign(verdict(), key)
    (one,) = json.loads(token)["signatures"]
    again = json.dumps(
        {"signatures": [{**one, "sig": one["sig"].replace("+", "-").replace("/", "_")}], **{
            name: json.loads(token)[name] for name in ("payloadType", "payload")
        }}, indent=7,
    )  # fmt: skip

    other = sign(verdict(), key)  # ECDSA signs with another random number each time

    for item in (again, other):
        assert read(item, known, NOW).digest == statement_digest(item) == statement_digest(token)
    assert (other == token) == (algorithm == "ed25519")


def test_the_signatures_of_the_same_statement_are_joined(verdict, assessor, approver, ring):
    token = sign(verdict(), assessor)
    more = countersign(token, approver)

    assert with_signatures_of(token, None) == token
    assert with_signatures_of(token, sign(verdict(issued=NOW - 11), approver)) == token
    for one, other in ((token, more), (more, token), (token, sign(verdict(), approver))):
        found = read(with_signatures_of(one, other), ring, NOW)
        assert {key.owner for key in found.signers} == {"worker", "Ann"}


def test_nine_signatures_are_too_many(verdict, assessor):
    token = sign(verdict(), assessor)
    for _ in range(7):
        token = countersign(token, PrivateKey(Ed25519PrivateKey.generate()))

    with pytest.raises(ApprovalError, match="9 signatures; 8 are accepted"):
        countersign(token, PrivateKey(Ed25519PrivateKey.generate()))


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": None},
        {"kind": "waiver"},
        {"metric": "performance.accuracy", "bound": 0.5},
        {"artifact_digest": None},
        {"artifact_digest": "sha256:A"},
        {"policy_digest": ""},
        {"policy_fixed": None},
        {"policy_fixed": NOW},
        {"assessment_digest": None},
        {"waivers": ("x",)},
        {"replaces": "x"},
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


@pytest.mark.parametrize("text", ["a\u202eb", "a\u200bb", "a\x1b[2J", "a\nb", "e\u0301", "\ud800"])
def test_text_that_does_not_show_as_it_is_cannot_be_signed(waiver, verdict, text):
    for make, changes in (
        (waiver, {"detail": f"pilot {text}"}),
        (waiver, {"name": text}),
        (waiver, {"metric": f"performance.{text}"}),
        (verdict, {"policy_title": text}),
        (verdict, {"source": text}),
    ):
        with pytest.raises(ApprovalError, match=r"that show|normal form"):
            make(**changes)


def test_a_waiver_holds_ninety_days(waiver):
    assert waiver(expires=NOW - 10 + 90 * 24 * 3600)


def test_a_revocation_needs_a_reason(waiver):
    with pytest.raises(ApprovalError, match="no reason"):
        waiver(kind="revocation", metric=None, bound=None, detail="")


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("registry", "staging"), ("workspace", "team"), ("name", "other"), ("version", "4"),
        ("created", 1), ("source", "x"),
    ],
)  # fmt: skip
def test_a_statement_is_about_one_version_alone(verdict, what, value):
    statement, elsewhere = verdict(), verdict(**{what: value})

    def against(other):
        return unbound(statement, ref=other.ref, source=other.source, registry=other.ref.registry)

    assert against(statement) == ()
    (problem,) = against(elsewhere)
    assert what in problem


def test_the_form_can_be_read_without_any_ring(verdict, assessor):
    assert decode(sign(verdict(), assessor)).ref.name == "digits"


def test_all_problems_are_told_at_once(verdict, approver, ring):
    with pytest.raises(ApprovalError) as refused:
        read(sign(verdict(expires=NOW - 1), approver), ring, NOW)

    assert len(refused.value.problems) == 2


def test_what_is_no_statement_is_named_by_its_sha256():
    assert statement_digest("a") == (
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    )


def test_a_statement_names_no_more_than_it_must(verdict, assessor):
    assert len(sign(verdict(), assessor)) < 2100
    assert isinstance(verdict(), Statement)


def test_a_waiver_replaces_nothing(waiver):
    with pytest.raises(ApprovalError, match="waivers stand beside the others"):
        waiver(replaces="0" * 64)


def former(key, **data):
    """A statement as earlier releases signed it."""
    payload = canonical(data)
    parts = (base64.urlsafe_b64encode(part) for part in (payload, key.sign(payload)))
    return ".".join(part.rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    ("kind", "command"), [("verdict", "governance assess"), ("revocation", "governance revoke")]
)
def test_a_token_of_earlier_releases_is_told_apart_and_how_to_sign_anew(
    assessor, ring, kind, command
):
    with pytest.raises(FormerTokenError, match="not signed in a form that counts") as refused:
        read(former(assessor, kind=kind), ring, NOW)
    assert command in str(refused.value)

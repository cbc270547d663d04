"""Whether a signed statement counts: one cause at a time, and all of them at once."""

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.approval import (
    Keyring,
    PrivateKey,
    countersign,
    sign,
    statement_digest,
    waiver_tag,
)
from governance.approval.standing import RegisteredVersion, admission, last_state, standing
from governance.approval.tags import APPROVAL, STATUS, replaced_tag
from governance.records.serialisation import canonical

NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())


@pytest.fixture
def version(verdict):
    """Makes version 3 of `digits` with tags, made by the authors that are named."""

    def make(*tokens, authors=(), **tags):
        waivers = {waiver_tag(token): token for token in tokens[1:]}
        held = {APPROVAL: tokens[0]} if tokens else {}
        return RegisteredVersion(
            ref=verdict().ref, source="models:/m-1", tags={**held, **waivers, **tags},
            authors=authors,
        )  # fmt: skip

    return make


def causes(answer):
    return {doubt.cause for doubt in answer.doubts}


def test_a_statement_in_order_counts(version, verdict, assessor, ring):
    answer = standing(version(sign(verdict(), assessor)), ring, NOW, expected="approved")

    assert answer.counts
    assert answer.problems == ()
    assert answer.statement == verdict()
    assert [key.id for key in answer.signers] == [assessor.id]


@pytest.mark.parametrize(
    ("changes", "cause", "word"),
    [
        ({"expires": NOW}, "expired", "expired at 2026-06-01"),
        ({"issued": NOW + 301}, "invalid", "not valid before"),
        ({"name": "other"}, "invalid", "name"),
        ({"version": "4"}, "invalid", "version"),
        ({"created": 1}, "invalid", "created"),
        ({"source": "models:/m-2"}, "invalid", "source"),
        ({"waivers": ("f" * 64,)}, "waivers", "1 waivers"),
        ({"verdict": "review"}, "verdict", "approved is needed"),
    ],
)
def test_each_fault_is_a_doubt_of_its_cause(version, verdict, assessor, ring, changes, cause, word):
    token = sign(verdict(**changes), assessor)

    answer = standing(version(token), ring, NOW, expected="approved")

    assert causes(answer) == {cause}
    assert word in answer.problems[0]
    assert (answer.statement is None) == (cause == "invalid")


@pytest.mark.parametrize("successor", ["f" * 64, "renamed"])
def test_a_statement_that_was_replaced_counts_no_more_and_is_not_admitted(
    version, verdict, assessor, ring, successor
):
    token = sign(verdict(), assessor)
    held = version(token, **{replaced_tag(token): successor})
    elsewhere = version(sign(verdict(issued=NOW - 1), assessor), **{replaced_tag(token): successor})

    answers = (
        standing(held, ring, NOW),
        admission(APPROVAL, token, held, ring, NOW),
        admission(APPROVAL, token, elsewhere, ring, NOW),
    )

    for answer in answers:
        assert "replaced" in causes(answer)
        assert not answer.counts


def test_a_statement_comes_again_with_more_signatures_and_not_with_one_that_does_not_count(
    version, verdict, assessor, approver, ring
):
    token = sign(verdict(), assessor)
    more = countersign(token, approver)
    strange = countersign(token, PrivateKey(Ed25519PrivateKey.generate()))
    forged = more.replace(approver.id, PrivateKey(Ed25519PrivateKey.generate()).id)

    answers = [admission(APPROVAL, item, version(token), ring, NOW) for item in (token, more)]

    assert all(answer.counts for answer in answers)
    assert [len(answer.signers) for answer in answers] == [1, 2]
    for item in (strange, forged):
        assert causes(admission(APPROVAL, item, version(token), ring, NOW)) == {"invalid"}
        assert standing(version(item), ring, NOW).counts


@pytest.mark.parametrize("times", [1, 2])
def test_what_was_replaced_stays_replaced_however_it_is_signed_again(
    version, verdict, assessor, approver, ring, times
):
    token = sign(verdict(), assessor)
    again = token if times == 1 else countersign(token, approver)

    answer = admission(APPROVAL, again, version(**{replaced_tag(token): "f" * 64}), ring, NOW)

    assert "replaced" in causes(answer)


def test_a_statement_of_another_registry_is_nothing_in_this_one(version, verdict, assessor, ring):
    production = Keyring(ring.keys, registry="production")
    tokens = {name: sign(verdict(registry=name), assessor) for name in ("production", "staging")}

    assert standing(version(tokens["production"]), production, NOW).counts
    for answer in (
        standing(version(tokens["staging"]), production, NOW),
        standing(version(tokens["production"]), ring, NOW),
        standing(version(sign(verdict(), assessor)), production, NOW),
        admission(APPROVAL, tokens["staging"], version(), production, NOW),
    ):
        assert causes(answer) == {"invalid"}
        assert "registry" in answer.problems[0]


def former(key, **data):
    """A statement as earlier releases signed it."""
    payload = canonical(data)
    parts = (base64.urlsafe_b64encode(part) for part in (payload, key.sign(payload)))
    return ".".join(part.rstrip(b"=").decode() for part in parts)


def test_a_token_of_earlier_releases_counts_no_more_and_gives_way_to_a_new_statement(
    version, verdict, assessor, ring
):
    held = version(former(assessor, kind="verdict", verdict="approved"))

    assert causes(standing(held, ring, NOW)) == {"outdated"}
    assert causes(admission(APPROVAL, held.tags[APPROVAL], version(), ring, NOW)) == {"outdated"}
    assert admission(APPROVAL, sign(verdict(), assessor), held, ring, NOW).counts
    assert last_state(held, NOW) == "pending"


def test_a_revocation_of_earlier_releases_is_followed_by_none_but_a_new_one(
    version, verdict, waiver, assessor, approver, ring
):
    held = version(former(approver, kind="revocation"))
    anew = sign(waiver(kind="revocation", metric=None, bound=None), approver)

    assert "governance revoke" in standing(held, ring, NOW).problems[0]
    assert causes(admission(APPROVAL, sign(verdict(), assessor), held, ring, NOW)) == {"order"}
    assert admission(APPROVAL, anew, held, ring, NOW).counts
    assert last_state(held, NOW) == "revoked"


def test_a_version_without_a_statement_says_its_status(version, ring):
    answer = standing(version(**{STATUS: "approved"}), ring, NOW)

    assert (causes(answer), answer.statement) == ({"unsigned"}, None)
    assert "its status is approved" in answer.problems[0]


def test_what_no_key_of_the_ring_signed_is_invalid(
    version, verdict, waiver, assessor, approver, ring
):
    tokens = {
        "nonsense": "nonsense",
        "another role": sign(verdict(), approver),
        "a waiver": sign(waiver(), approver),
    }

    for token in tokens.values():
        assert causes(standing(version(token), ring, NOW)) == {"invalid"}
    unknown = Keyring(ring.keys[1:])
    assert causes(standing(version(sign(verdict(), assessor)), unknown, NOW)) == {"invalid"}


def test_a_policy_that_is_not_accepted_matters_to_approvals_alone(version, verdict, assessor, ring):
    approved, rejected = (
        sign(verdict(verdict=word), assessor) for word in ("approved", "rejected")
    )

    def nothing(*_policy):
        return False

    assert causes(standing(version(approved), ring, NOW, policy_accepted=nothing)) == {"policy"}
    assert standing(version(rejected), ring, NOW, policy_accepted=nothing).counts


def test_an_approval_counts_with_the_waivers_that_it_rests_on(
    version, verdict, waiver, assessor, approver, ring
):
    given = sign(waiver(), approver)
    token = sign(verdict(waivers=(statement_digest(given),)), assessor)

    assert standing(version(token, given), ring, NOW).counts
    assert [item.token for item in standing(version(token, given), ring, NOW).waivers] == [
        statement_digest(given)
    ]
    assert causes(standing(version(token, given, authors=("ann",)), ring, NOW)) == {"waivers"}
    assert causes(standing(version(token, given), ring, NOW + 1000)) == {"expired", "waivers"}


def test_all_doubts_are_told_at_once(version, verdict, assessor, ring):
    token = sign(verdict(version="4", expires=NOW - 1, waivers=("f" * 64,)), assessor)

    answer = standing(version(token), ring, NOW, policy_accepted=lambda *_: False)

    assert causes(answer) == {"invalid", "expired", "waivers", "policy"}


def test_a_rejection_may_be_put_on_a_version_whatever_became_of_its_waivers(
    version, verdict, assessor, ring
):
    rejected = sign(verdict(verdict="rejected", waivers=("f" * 64,)), assessor)
    approved = sign(verdict(waivers=("f" * 64,)), assessor)

    assert admission(APPROVAL, rejected, version(), ring, NOW).counts
    assert causes(admission(APPROVAL, approved, version(), ring, NOW)) == {"waivers"}


def test_a_statement_has_its_tag(version, verdict, waiver, assessor, approver, ring):
    given, said = sign(waiver(), approver), sign(verdict(), assessor)

    assert admission(waiver_tag(given), given, version(), ring, NOW).counts
    for key, token in ((APPROVAL, given), (waiver_tag(said), said), (STATUS, said)):
        assert not admission(key, token, version(), ring, NOW).counts


def test_the_last_state_is_that_of_the_statement_whoever_signed_it(
    version, verdict, waiver, approver
):
    revocation = waiver(kind="revocation", metric=None, bound=None)
    tokens = {
        "pending": (),
        "approved": (sign(verdict(), approver),),
        "expired": (sign(verdict(expires=NOW), approver),),
        "revoked": (sign(revocation, approver),),
    }

    assert {last_state(version(*token), NOW): state for state, token in tokens.items()} == {
        state: state for state in tokens
    }
    assert last_state(version("nonsense"), NOW) == "pending"

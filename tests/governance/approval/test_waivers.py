from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.approval import (
    Keyring,
    PrivateKey,
    check_approver,
    countersign,
    read,
    sign,
    statement_digest,
    waiver_tag,
)
from governance.approval.waivers import waivers_among
from governance.errors import ApprovalError
from governance.records.version_ref import VersionRef

NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())
HERE = {
    "ref": VersionRef(name="digits", version="3", created=1_700_000_000_000),
    "source": "models:/m-1",
}


def tagged(*tokens):
    return {waiver_tag(token): token for token in tokens}


def test_the_record_of_a_waiver_names_who_why_and_until_when(waiver, approver, ring):
    token = sign(waiver(), approver)

    (found,), _ = waivers_among(tagged(token), ring, NOW, **HERE)

    assert (found.metric, found.bound, found.reason) == (
        "performance.accuracy", 0.8, "pilot with ten users",
    )  # fmt: skip
    assert (found.approver, found.expires) == ("Ann", NOW + 1000)
    assert found.token == statement_digest(token)


def test_a_verdict_is_no_waiver(verdict, assessor, ring):
    counting, (problem,) = waivers_among(tagged(sign(verdict(), assessor)), ring, NOW, **HERE)

    assert counting == ()
    assert "where a waiver" in problem


def test_the_tag_is_named_after_the_token(waiver, approver):
    token = sign(waiver(), approver)

    assert waiver_tag(token) == f"governance.waiver.{statement_digest(token)[:16]}"


def test_only_waivers_of_this_version_in_their_time_count(waiver, approver, assessor, ring):
    good = sign(waiver(), approver)
    late = sign(waiver(expires=NOW), approver)
    other = sign(waiver(version="4"), approver)
    forged = sign(waiver(detail="by nobody"), assessor)

    found, problems = waivers_among(
        {**tagged(good, late, other, forged), "a": "b", "governance.waiver.0": good},
        ring,
        NOW,
        **HERE,
    )

    assert [item.token for item in found] == [statement_digest(good)]
    said = "\n".join(problems)
    assert len(problems) == 4
    assert all(word in said for word in ("expired", "'3'", "of the role", "another one's"))


@pytest.mark.parametrize("author", ["Ann", "ann", " ANN "])
def test_nobody_waives_what_they_made(waiver, approver, ring, author):
    token = sign(waiver(), approver)

    assert waivers_among(tagged(token), ring, NOW, authors=("bob",), **HERE)[0]
    found, (problem,) = waivers_among(tagged(token), ring, NOW, authors=("bob", author), **HERE)
    assert found == ()
    assert "given by someone else" in problem
    with pytest.raises(ApprovalError, match="someone else"):
        check_approver(read(token, ring, NOW), (author,))


def test_a_waiver_of_its_maker_counts_once_somebody_else_signed_it_too(waiver, approver, ring):
    bob = PrivateKey(Ed25519PrivateKey.generate())
    start = ring.keys[0].not_before
    both = Keyring((*ring.keys, bob.public(owner="bob", role="approver", not_before=start)))
    token = countersign(sign(waiver(), approver), bob)

    (found,), _ = waivers_among(tagged(token), both, NOW, authors=("ann",), **HERE)

    assert found.approver == "bob"

"""Thresholds: so many owners of keys, none of whom made the version."""

from datetime import UTC, datetime
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.approval import PrivateKey
from governance.approval.thresholds import Threshold

START = datetime(2026, 1, 1, tzinfo=UTC)


def public(owner, role):
    key = PrivateKey(Ed25519PrivateKey.generate())
    return key.public(owner=owner, role=role, not_before=START)


KEYS = [
    public("worker", "assessor"), public("worker", "assessor"), public("second", "assessor"),
    public("ann", "approver"), public("Ann", "assessor"), public("root", "root"),
]  # fmt: skip


@pytest.mark.parametrize("threshold", [1, 2, 3])
@pytest.mark.parametrize("roles", [("assessor",), ("approver",), ("assessor", "approver")])
@pytest.mark.parametrize("authors", [(), ("ANN",), ("second", "ann")])
def test_different_owners_are_counted_who_did_not_make_the_version(threshold, roles, authors):
    rule = Threshold(names=("champion",), threshold=threshold, roles=roles)
    made = {name.lower() for name in authors}

    for signers in (some for size in range(7) for some in combinations(KEYS, size)):
        counting = [
            (key.owner.lower(), key.role)
            for key in signers
            if key.role in roles and key.owner.lower() not in made
        ]
        enough = len({owner for owner, _ in counting}) >= threshold
        each = all(any(role == found for _, found in counting) for role in roles)
        assert (rule.lacking(signers, authors) is None) == (enough and each)


def test_what_is_lacking_names_who_signed_and_the_command():
    rule = Threshold(names=("champion",), threshold=2)

    text = rule.lacking(KEYS[:1], ())

    assert "is signed by worker, and 2 owners of keys are needed" in text
    assert "governance countersign" in text
    assert "nobody" in rule.lacking([], ())


@pytest.mark.parametrize("name", ["champion", "Champion", "chámpion", "prod-eu"])
def test_a_name_is_covered_in_any_spelling(name):
    assert Threshold(names=("champion", "prod*"), threshold=2).covers(name)


def test_another_name_is_not_covered():
    assert not Threshold(names=("champion", "prod*"), threshold=2).covers("candidate")

"""Matching filters by their answers to the same images."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from versions import record

from governance.drift.matching import matched, matching
from governance.drift.version import ResponseProfiles, version_of


def signatures(responses):
    return ResponseProfiles(units=tuple(range(len(responses))), responses=responses)


def drawn(units=6, images=60, seed=0):
    return np.random.default_rng(seed).normal(size=(units, images))


@given(st.permutations(range(6)), st.integers(0, 50))
def test_permuted_filters_are_all_found_again(order, seed):
    responses = drawn(seed=seed)
    order = np.array(order)

    partner, value, _ = matched(signatures(responses), signatures(responses[order]))

    assert (order[partner] == np.arange(6)).all()
    assert value == pytest.approx(np.ones(6))


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_assignment_has_the_largest_total_correlation(seed):
    one, other = drawn(4, 12, seed), drawn(4, 12, seed + 1)
    table = np.corrcoef(one, other)[:4, 4:]

    _, value, _ = matched(signatures(one), signatures(other))

    best = max(sum(table[i, j] for i, j in enumerate(order)) for order in permutations(range(4)))
    assert value.sum() == pytest.approx(best)


def test_a_constant_filter_has_no_correlation_with_any_other():
    responses = drawn(3)
    dead = responses.copy()
    dead[1] = 0.25

    _, value, correlations = matched(signatures(responses), signatures(dead))

    assert np.isnan(value).sum() == 1
    assert (correlations[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("noise", "status"), [(0.1, "comparable"), (1.0, "weak"), (5.0, "not_comparable")]
)
def test_versions_are_comparable_as_far_as_their_filters_answer_alike(noise, status):
    old = drawn(40)
    new = old + np.random.default_rng(1).normal(0, noise, old.shape)

    found, table, _ = matching(
        version_of(record("1", filters={"conv": old})),
        version_of(record("2", filters={"conv": new})),
    )

    assert found.status == status
    assert (found.filters, found.images, len(table.rows)) == (40, 60, 40)
    assert (found.identical < 0.5) == (status == "not_comparable")


def test_filters_are_born_die_split_and_merge():
    common, lost, gained, shared = drawn(1), drawn(1, seed=1), drawn(1, seed=2), drawn(1, seed=3)
    near = np.random.default_rng(4).normal(0, 0.05, (2, 60))
    # `shared` is one filter before and two afterwards.
    old = {"conv": np.concatenate([common, lost, shared])}
    new = {"conv": np.concatenate([common, gained, shared + near])}
    one, other = version_of(record("1", filters=old)), version_of(record("2", filters=new))

    there, _, _ = matching(one, other)
    back, _, _ = matching(other, one)

    assert (there.died, there.born, there.split, there.merged) == (1, 1, 1, 0)
    assert (back.died, back.born, back.split, back.merged) == (1, 1, 0, 1)


def test_redundant_filters_of_an_unchanged_version_neither_split_nor_merge():
    twin = np.concatenate([drawn(2), drawn(2) + 0.01 * drawn(2, seed=1)])

    found, _, _ = matching(
        version_of(record("1", filters={"conv": twin})),
        version_of(record("2", filters={"conv": twin[::-1]})),
    )

    assert (found.died, found.born, found.split, found.merged) == (0, 0, 0, 0)
    assert found.correlation == pytest.approx(1)


def test_versions_without_a_common_layer_or_signature_are_not_matched():
    one = version_of(record("1"))

    assert matching(one, version_of(record("2", filters={"other": drawn()})))[0].status == (
        "not_comparable"
    )
    assert matching(one, version_of(record("2", filters={})))[0].status == "not_recorded"

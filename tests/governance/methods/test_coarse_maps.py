"""Coarse maps beside naive formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from governance.errors import EvidenceError
from governance.methods.coarse_maps import (
    mass_in,
    pack,
    rank_distance,
    ranked,
    top_cells,
    top_distance,
    unpack,
)

maps = arrays(np.float64, (2, 16), elements=st.integers(0, 9).map(float))


@given(arrays(np.float16, 9, elements=st.floats(0, 1, width=16)))
def test_what_is_packed_is_unpacked(values):
    assert (unpack(pack(values), np.float16, 9, "here") == values).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [("Ä", "base64"), ("AAA=", "2 bytes; 2 numbers"), (pack(np.array([1, np.nan], "f2")), "NaN")],
)
def test_other_texts_are_refused(text, said):
    with pytest.raises(EvidenceError, match=f"here: .*{said}"):
        unpack(text, np.float16, 2, "here")


@given(maps)
def test_rank_distance_is_one_minus_spearman(pair):
    one, other = ranked(pair[:1]), ranked(pair[1:])
    flat = [len(set(row)) == 1 for row in pair]

    expected = 0.0 if all(flat) else 1.0 if any(flat) else 1 - stats.spearmanr(*pair).statistic

    assert rank_distance(one, other)[0] == pytest.approx(expected, abs=1e-9)


@given(maps)
def test_distances_are_symmetric_and_zero_to_oneself(pair):
    one, other = pair[:1], pair[1:]

    for form, distance in ((ranked, rank_distance), (top_cells, top_distance)):
        assert distance(form(one), form(other)) == pytest.approx(distance(form(other), form(one)))
        assert distance(form(one), form(one)) == pytest.approx([0.0], abs=1e-12)


@given(maps, st.floats(0.5, 9))
def test_rank_distance_does_not_depend_on_scale(pair, factor):
    assert ranked(pair * factor) == pytest.approx(ranked(pair))


def test_the_top_tenth_is_the_largest_cells():
    values = np.arange(64.0)[None]

    assert np.flatnonzero(top_cells(values)[0]).tolist() == list(range(58, 64))
    assert top_distance(top_cells(values), top_cells(values[:, ::-1]))[0] == 1
    assert top_cells(np.zeros((1, 4)))[0].tolist() == [True, False, False, False]


def test_the_mass_of_a_region_counts_cells_on_its_border_by_their_share():
    values = np.full((1, 16), 1 / 16)
    corner = np.zeros((1, 16))
    corner[0, -1] = 1

    assert mass_in(values, (0, 0, 1, 1)) == pytest.approx([1])
    assert mass_in(values, (0.1, 0.3, 0.7, 0.8)) == pytest.approx([0.6 * 0.5])
    assert mass_in(corner, (0.75, 0.75, 1, 1)) == pytest.approx([1])
    assert mass_in(corner, (0.75, 0.875, 1, 1)) == pytest.approx([0.5])

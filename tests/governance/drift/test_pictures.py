"""Pictures of a comparison."""

import numpy as np
import pytest
from versions import harmless, record, scattered, truth

from governance.drift import compare
from governance.drift.pictures import pictures
from governance.records.evidence import Measurement, Table

PNG = b"\x89PNG"


def readings(recall):
    """Records of lens and filter importance."""
    lens = Table(
        name="classes", caption="c", columns=("layer", "method", "class", "recall"),
        rows=tuple((a, "lens", c, recall) for a in "ab" for c in ("cat", "dog", "owl")),
    )  # fmt: skip
    importance = Table(
        name="filters", caption="c", columns=("layer", "unit", "class", "metric", "estimate"),
        rows=tuple(("conv", unit, "all", "dloss", recall * unit) for unit in range(5)),
    )  # fmt: skip
    return [
        ("layer_prediction", {}, Measurement(metrics={}, tables=(lens,))),
        ("filter_importance", {}, Measurement(metrics={}, tables=(importance,))),
    ]


@pytest.fixture(scope="module")
def comparison():
    new = record("2", maps=scattered(truth()[::-1], 0.2, 5), seed=2, extra=readings(0.5))
    return compare(record("1", seed=1, extra=readings(0.9)), new, harmless(5))


@pytest.mark.slow
def test_everything_that_the_records_hold_is_drawn(comparison):
    drawn = {figure.name: figure for figure in pictures(comparison)}

    assert list(drawn) == ["null", "emergence", "matched_filters", "gallery"]
    assert all(figure.image.startswith(PNG) for figure in drawn.values())
    assert "among the 5 reference runs" in drawn["null"].caption


@pytest.mark.slow
def test_maps_are_laid_over_images_where_these_are_given(comparison):
    places = [row[1] for row in comparison.table("maps").rows]
    pixels = {place: np.full((1, 8, 8), 0.5, dtype=np.float32) for place in places}

    plain, laid = (
        next(figure.image for figure in drawn if figure.name == "gallery")
        for drawn in (pictures(comparison), pictures(comparison, pixels))
    )

    assert plain != laid


@pytest.mark.slow
def test_what_the_records_lack_is_not_drawn():
    bare = compare(record("1", seed=1), record("2", seed=1, maps=truth(), filters={}))

    assert "null" not in [figure.name for figure in pictures(bare)]
    assert "emergence" not in [figure.name for figure in pictures(bare)]

"""Which features move together, as a table and as a measurement."""

import numpy as np
import pytest

from governance.analyses.feature_correlation import (
    COLUMNS,
    FeatureCorrelation,
    feature_correlation,
)
from governance.errors import AnalysisError


@pytest.fixture(scope="module")
def known(tiny_subject):
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(range(60)))
    return tiny_subject.network.model, inputs, tiny_subject.validation.labels[:60]


def test_a_table_says_all_there_is(known):
    # act
    frame = feature_correlation(*known, keep=0.0, batch_size=15)

    # assert
    assert list(frame.columns) == list(COLUMNS)
    sizes = frame.groupby("measure").size()
    assert sizes["channels"] == 2 * 6 * 5 / 2
    assert sizes["redundancy"] == sizes["dimensions"] == 2
    same = frame[(frame["measure"] == "cka") & (frame["layer_a"] == frame["layer_b"])]
    assert same["value"].to_numpy() == pytest.approx(np.ones(len(same)))
    assert "labels" in set(same["layer_a"])
    close = frame[frame["measure"].isin(["channels", "matched"])]
    assert (close["ci_lo"] <= close["value"] + 1e-9).all()
    assert (close["value"] <= close["ci_hi"] + 1e-9).all()


def test_labels_are_not_needed_and_few_pairs_are_kept(known):
    model, images, _ = known
    frame = feature_correlation(model, images, keep=0.999, batch_size=15)
    assert "labels" not in set(frame["layer_b"])
    assert (frame[frame["measure"] == "channels"]["value"].abs() > 0.999).all()


def test_the_measurement_agrees_with_the_table(tiny_subject):
    # arrange
    images = len(tiny_subject.validation)
    chosen = tiny_subject.validation.sample(images, 0)
    inputs = tiny_subject.network.inputs(tiny_subject.pixels(chosen))

    # act
    found = FeatureCorrelation(limit=0.5).run(tiny_subject, 0)
    frame = feature_correlation(
        tiny_subject.network.model, inputs, tiny_subject.validation.labels[chosen], limit=0.5
    )

    # assert
    shares = frame[frame["measure"] == "redundancy"]["value"]
    assert found.metrics["redundancy_worst"] == pytest.approx(shares.max())
    assert found.metrics["redundancy"] == pytest.approx(shares.mean())  # layers of one size
    row = frame[(frame["measure"] == "cka") & (frame["layer_b"] == "labels")].iloc[-2]
    assert found.metrics["class_alignment"] == pytest.approx(row["value"])
    assert {figure.name for figure in found.figures} == {"depths", "redundancy", "blocks"}


def test_what_does_not_exist_or_cannot_be_meant_is_refused(known):
    with pytest.raises(AnalysisError, match="does not exist"):
        feature_correlation(*known, layers=["nowhere"])
    with pytest.raises(ValueError, match="images = 2"):
        FeatureCorrelation(images=2)
    with pytest.raises(ValueError, match="limit = 1"):
        FeatureCorrelation(limit=1.0)

"""Features that move together, against naive formulas and networks whose answer is known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from governance.errors import AnalysisError
from governance.methods.correlation import LABELS, correlate
from governance.methods.correlation.estimates import _centred, fisher
from governance.methods.network import trace


class Two(nn.Module):
    """Two convolutions and a head; the second halves the resolution."""

    def __init__(self, first, second):
        super().__init__()
        self.one = nn.Conv2d(2, len(first), 1, bias=False)
        self.two = nn.Conv2d(len(first), len(second), 1, stride=2, bias=False)
        self.relu = nn.ReLU()
        self.head = nn.Linear(len(second), 2)
        with torch.no_grad():
            self.one.weight.copy_(torch.tensor(first)[..., None, None])
            self.two.weight.copy_(torch.tensor(second)[..., None, None])
        self.eval()

    def forward(self, x):
        x = self.relu(self.two(self.relu(self.one(x))))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(np.random.default_rng(0).random((40, 2, 6, 6), dtype=np.float32))


def measured(model, images, *, batch=10, **options):
    network = trace(model, images[:2], batch_size=batch)
    return correlate(network, images, layers=["one", "two"], depths=["one", "two"], **options)


def test_correlations_are_pearsons_over_images_and_positions(images):
    # arrange
    model = Two([[1.0, 0.5], [0.2, 1.0], [1.0, -0.6]], [[1.0, 0.0, 0.3], [0.0, 1.0, 0.0]])

    # act
    found = measured(model, images, keep=0.0)

    # assert
    with torch.no_grad():
        one = torch.relu(model.one(images))
        two = torch.relu(model.two(one))
    for layer, value in (("one", one), ("two", two)):
        flat = value.transpose(0, 1).flatten(1).double().numpy()
        pairs = found.channels[layer].pairs
        every = np.corrcoef(flat)
        assert len(pairs.places) == len(flat) * (len(flat) - 1) / 2
        assert pairs.correlations == pytest.approx(every[tuple(pairs.places.T)], abs=1e-6)
    small = torch.nn.functional.adaptive_avg_pool2d(one, 3)
    joint = np.corrcoef(small.transpose(0, 1).flatten(1), two.transpose(0, 1).flatten(1))[:3, 3:]
    match = found.matches["one", "two"]
    for (i, j), r in zip(match.pairs, match.correlations, strict=True):
        assert r == pytest.approx(joint[i, j], abs=1e-5)
    assert match.mean == pytest.approx(
        max(
            (abs(joint[i, 0]) + abs(joint[k, 1])) / 2 for i in range(3) for k in range(3) if i != k
        ),
        abs=1e-5,
    )


def test_a_duplicated_filter_is_redundant_and_an_unmoved_one_is_not(images):
    # arrange: channel 1 doubles channel 0, channel 3 is never above zero
    model = Two([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [[1.0, 0.0, 1.0, 0.0]])

    # act
    found = measured(model, images).channels["one"]

    # assert
    assert found.partners[:2] == pytest.approx([1, 1])
    assert found.redundant(0.9) == 0.5
    assert found.redundant(0.9, control=True) == 0
    assert found.live.tolist() == [True, True, True, False]
    assert found.dimensions == pytest.approx(9 / 5, abs=0.05)


def test_permuted_channels_are_matched_back_exactly(images):
    # arrange: the second layer is the first with its channels in another order
    order = [2, 0, 1]
    first = [[1.0, 0.2], [0.1, 1.0], [0.6, -0.4]]
    model = Two(first, np.eye(3, dtype=np.float32)[order].tolist())
    model.two.stride = (1, 1)

    # act
    match = measured(model, images).matches["one", "two"]

    # assert
    assert {tuple(pair) for pair in match.pairs.tolist()} == {(2, 0), (0, 1), (1, 2)}
    assert match.correlations == pytest.approx(np.ones(3))
    assert match.exchanged < 0.4


def unbiased(one, two):
    """Unbiased HSIC, written out as in Song et al. 2012, equation 5."""
    n = len(one)
    k, m = one @ one.T, two @ two.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    ones = np.ones(n)
    trace_term = np.trace(k @ m)
    means = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    cross = 2 / (n - 2) * (ones @ k @ m @ ones)
    return (trace_term + means - cross) / (n * (n - 3))


def test_similarity_is_the_unbiased_estimate_summed_over_batches(images):
    # arrange
    model = Two([[1.0, 0.5], [0.2, 1.0]], [[1.0, 0.3], [0.0, 1.0]])
    labels = np.arange(40) % 2

    # act
    found = measured(model, images, labels=labels)

    # assert
    mixed = np.random.default_rng(0).permutation(40)
    with torch.no_grad():
        one = torch.relu(model.one(images[mixed]))
        two = torch.relu(model.two(one))
    features = [
        one.flatten(1).double().numpy(),
        two.flatten(1).double().numpy(),
        np.eye(2)[labels[mixed]],
    ]
    sums = np.zeros((3, 3))
    for start in range(0, 40, 10):
        part = [value[start : start + 10] for value in features]
        sums += [[unbiased(a, b) for b in part] for a in part]
    scale = np.sqrt(np.outer(np.diag(sums), np.diag(sums)))
    assert found.depths == ("one", "two", LABELS)
    assert found.cka() == pytest.approx(sums / scale, abs=1e-6)
    assert np.diag(found.cka()) == pytest.approx(np.ones(3))


@pytest.mark.parametrize("seed", range(5))
def test_rounding_takes_no_similarity_beyond_1(seed):
    # A depth compared with itself came out as 1.0000000000000002.
    model = Two([[1.0, 0.5], [0.2, 1.0]], [[1.0, 0.3], [0.0, 1.0]])
    images = torch.rand(40, 2, 6, 6, generator=torch.Generator().manual_seed(seed))
    found = measured(model, images, labels=np.arange(40) % 2)
    assert found.cka().max() <= 1
    assert all(found.cka_interval(depth, depth).high <= 1 for depth in found.depths)


def test_random_features_are_not_alike_however_many_there_are():
    # arrange: 2,000 features of 30 images, where the usual estimate is near 1
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 30, 2000))

    # act
    products = [
        (_centred(torch.from_numpy(a @ a.T)) * _centred(torch.from_numpy(b @ b.T))).sum()
        for a, b in ((one, two), (one, one), (two, two))
    ]

    # assert
    centre = np.eye(30) - 1 / 30
    k, m = centre @ one @ one.T @ centre, centre @ two @ two.T @ centre
    biased = (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())
    assert biased > 0.9
    assert abs(products[0] / (products[1] * products[2]).sqrt()) < 0.3


def test_an_interval_holds_its_estimate_and_is_none_for_one_batch(images):
    model = Two([[1.0, 0.5], [0.2, 1.0]], [[1.0, 0.3], [0.0, 1.0]])
    found = measured(model, images)
    interval = found.cka_interval("one", "two")
    assert interval.low <= found.cka()[0, 1] <= interval.high
    assert measured(model, images, batch=40).cka_interval("one", "two") is None


@settings(max_examples=30, deadline=None)
@given(st.floats(-1, 1), st.integers(4, 500))
def test_fishers_interval_holds_the_correlation(r, n):
    low, high = fisher(np.array(r), n)
    assert -1 <= low <= high <= 1
    assert low - 1e-9 <= r <= high + 1e-9


def test_what_cannot_be_compared_is_refused(images):
    model = Two([[1.0, 0.5]], [[1.0], [0.5]])
    with pytest.raises(AnalysisError, match="at least 8"):
        measured(model, images[:7])
    network = trace(model, images[:2], batch_size=2)
    with pytest.raises(AnalysisError, match="no batch held 4 images"):
        correlate(network, images, layers=["one"], depths=["one", "two"])
    with pytest.raises(AnalysisError, match="feature maps"):
        correlate(network, images, layers=["head"], depths=["one", "two"])
    with pytest.raises(AnalysisError, match="NaN or infinite"):
        measured(model, images * torch.inf)


def test_layers_that_do_not_fit_into_memory_together_are_taken_in_passes(images, monkeypatch):
    # arrange
    model = Two([[1.0, 0.5], [0.2, 1.0], [1.0, -0.6]], [[1.0, 0.0, 0.3], [0.0, 1.0, 0.0]])
    whole = measured(model, images, keep=0.0)
    monkeypatch.setattr("governance.methods.network.batches.MEMORY", 2**13)

    # act
    found = measured(model, images, keep=0.0)

    # assert
    assert list(found.channels) == ["one", "two"]
    for layer, channels in found.channels.items():
        other = whole.channels[layer].pairs
        assert channels.pairs.correlations == pytest.approx(other.correlations, abs=1e-6)
    assert found.cka() == pytest.approx(whole.cka(), abs=0.1)

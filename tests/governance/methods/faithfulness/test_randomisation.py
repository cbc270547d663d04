"""Weights shuffled and put back; maps of what asks the model and of what does not."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from governance.methods.faithfulness.controls import centre_maps, random_maps
from governance.methods.faithfulness.randomisation import alike, cascade, layers, shuffled
from governance.methods.faithfulness.scores import beyond

IMAGES = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
TARGETS = [0, 1, 2, 3, 0]


@pytest.fixture
def net():
    # A reading of every pixel, so that its weights are the map.
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 4))


def gradients(model):
    def explain(images, targets, seed):
        leaf = images.clone().requires_grad_()
        with torch.enable_grad():
            model(leaf)[range(len(images)), list(targets)].sum().backward()
        for item in model.parameters():
            item.grad = None
        return (leaf.grad * images).sum(1).numpy()

    return explain


def bits(model):
    return {name: item.clone() for name, item in model.state_dict().items()}


def test_layers_come_from_the_output_down(net):
    assert layers(net) == ["3", "0"]


def test_weights_are_permuted_within_their_tensors_and_put_back_to_the_bit(net):
    before = bits(net)

    with shuffled(net, ["3"], 7):
        after = bits(net)
        assert torch.equal(after["0.weight"], before["0.weight"])
        assert not torch.equal(after["3.weight"], before["3.weight"])
        same = [item["3.weight"].flatten().sort().values for item in (before, after)]
        assert torch.equal(*same)

    assert all(torch.equal(item, before[name]) for name, item in bits(net).items())


def test_weights_are_put_back_where_the_explainer_fails(net):
    before = bits(net)

    with pytest.raises(ZeroDivisionError), shuffled(net, layers(net), 7):
        raise ZeroDivisionError

    assert all(torch.equal(item, before[name]) for name, item in bits(net).items())


def test_a_layer_is_shuffled_alike_at_every_depth(net):
    found = []
    for names in (["3"], ["3", "0"]):
        with shuffled(net, names, 7):
            found.append(net[3].weight.detach().clone())

    assert torch.equal(*found)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_likeness_is_the_rank_correlation(seed):
    one, two = np.random.default_rng(seed).integers(0, 9, (2, 3, 4, 5)).astype(float)

    wanted = [
        stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one, two, strict=True)
    ]
    assert alike(one, two) == pytest.approx(wanted)


def test_a_constant_map_is_like_nothing():
    assert alike(np.ones((1, 4, 4)), np.ones((1, 4, 4))) == (0,)


def test_maps_of_the_model_change_with_its_weights_and_it_is_left_as_found(net):
    before = bits(net)
    explain = gradients(net)
    maps = explain(IMAGES, TARGETS, 0)

    found = cascade(explain, net, IMAGES, TARGETS, maps, maps)

    assert [(depth.layers, depth.last) for depth in found.depths] == [(1, "3"), (2, "0")]
    assert found.again == pytest.approx([1] * 5)
    assert found.depths[-1].value < 0.4
    assert beyond(found.forgetting, 0.0)
    assert all(torch.equal(item, before[name]) for name, item in bits(net).items())


@pytest.mark.parametrize(
    "explain",
    [
        lambda images, *_: centre_maps((len(images), 16, 16)),
        lambda images, _, seed: random_maps((len(images), 16, 16), 50 + seed),
        lambda images, *_: images.mean(1).numpy(),
    ],
    ids=["centre", "random", "brightness"],
)
def test_maps_that_do_not_ask_the_model_are_not_sensitive(net, explain):
    maps, again = (explain(IMAGES, TARGETS, seed) for seed in (0, 1))

    assert not beyond(cascade(explain, net, IMAGES, TARGETS, maps, again, stages=1).forgetting, 0.0)


@pytest.mark.parametrize(
    ("stages", "reached"), [(1, [4]), (2, [1, 4]), (None, [1, 2, 3, 4]), (9, [1, 2, 3, 4])]
)
def test_stages_are_spread_evenly_and_end_with_all_layers(stages, reached):
    net = nn.Sequential(*[nn.Linear(2, 2) for _ in range(4)])
    maps = np.zeros((1, 16, 16))

    def explain(images, targets, seed):
        return maps

    found = cascade(explain, net, IMAGES[:1], [0], maps, maps, stages=stages)
    assert [depth.layers for depth in found.depths] == reached


def test_a_model_without_weights_shows_nothing():
    maps = np.zeros((1, 16, 16))

    found = cascade(lambda *_: maps, nn.ReLU(), IMAGES[:1], [0], maps, maps)

    assert found.depths == ()
    assert not beyond(found.forgetting, 0.0)

"""Boundaries of networks whose hyperplanes are known by hand."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from governance.methods.decision_rules.boundaries import is_linear, sample


def bent(features):
    """Class 1 where the mean of |first - second channel| over the places is above 1."""
    gap = (features[:, 0] - features[:, 1]).abs().mean((1, 2))
    return torch.stack([torch.ones_like(gap), gap], 1)


def flat(*gaps):
    """2 x 2 maps of two channels, the first above the second by each of `gaps` everywhere."""
    maps = torch.zeros(len(gaps), 2, 2, 2)
    maps[:, 0] = torch.tensor(gaps).view(-1, 1, 1) + 5
    maps[:, 1] = 5
    return maps


def seeded(seed, width=4):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(9 * width, 3)
        ).double()


def test_the_hyperplanes_of_a_piecewise_linear_network_are_found():
    # act: from inside to either side
    found = sample(bent, flat(0.2)[0], flat(3.0, -2.0, 1.5), 0)

    # assert: 1 - (first - second), 1 + (first - second), and the first again
    slopes = (found.normals * found.scales[:, None]).view(3, 2, 4)
    for slope, sign in zip(slopes, (-1, 1, -1), strict=True):
        torch.testing.assert_close(slope[0], torch.full((4,), sign / 4))
        torch.testing.assert_close(slope[1], torch.full((4,), -sign / 4))
    torch.testing.assert_close(found.offsets, torch.ones(3), atol=1e-4, rtol=0)
    assert found.opposing.tolist() == [1, 1, 1]
    expected = [[True] * 3, [False, True, False], [True, False, True]]
    assert found.inside(flat(0.9, 1.1, -1.1)).tolist() == expected


def test_from_outside_the_same_hyperplane_is_turned_round():
    found = sample(bent, flat(3.0)[0], flat(0.2, -0.5), 1)

    # Both ways leave the region of class 1 at a gap of 1.
    assert found.inside(flat(1.01, 0.99, -4.0)).tolist() == [[True] * 2, [False] * 2, [False] * 2]
    assert found.opposing.tolist() == [0, 0]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_the_image_is_inside_and_each_boundary_is_a_tie_of_two_classes(seed):
    # arrange
    suffix = seeded(seed)
    maps = torch.randn(12, 3, 3, 3, generator=torch.Generator().manual_seed(seed)).double() * 3
    with torch.no_grad():
        named = suffix(maps).argmax(1)
    label = int(named[0])
    others = maps[named != label]
    if not len(others):
        return

    # act
    found = sample(suffix, maps[0], others, label)

    # assert
    assert found.inside(maps[:1]).all()
    normals = found.normals
    assert (normals == normals.round()).all()
    assert normals.abs().max() <= 127
    assert (found.opposing != label).all()
    for place, other in enumerate(others):
        # A naive walk: the first of many steps at which the class is left.
        steps = torch.linspace(0, 1, 257, dtype=torch.float64).view(-1, 1, 1, 1)
        with torch.no_grad():
            way = suffix(maps[0] + (other - maps[0]) * steps)
        mine = way.argmax(1) == label
        left = torch.nonzero(mine[:-1] & ~mine[1:])[:, 0]
        values = found.values(maps[0] + (other - maps[0]) * steps)[:, place].abs()
        # At one of the places where the class is left, the hyperplane passes by.
        assert values[left].min() < 2e-2 * float(way.abs().max())


def test_a_boundary_without_slope_shuts_nobody_out():
    def deaf(features):
        gap = (features[:, 0, 0, 0] > 1).float() + features.sum((1, 2, 3)) * 0
        return torch.stack([1 - gap, gap + 0.25], 1)

    found = sample(deaf, flat(-4.5)[0], flat(3.0), 0)

    assert found.inside(torch.randn(10, 2, 2, 2)).all()


def test_the_same_images_give_the_same_boundaries_and_gradients_are_left_alone():
    suffix = seeded(1)
    maps = torch.randn(20, 3, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    label = int(suffix(maps[:1]).argmax())

    one, two = (sample(suffix, maps[0], maps[1:], label) for _ in range(2))

    assert torch.equal(one.values(maps), two.values(maps))
    assert all(item.grad is None for item in suffix.parameters())
    assert not one.normals.requires_grad


def test_a_linear_suffix_is_told_from_a_bent_one():
    maps = torch.randn(16, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    line = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 3, bias=False))
    # Weights of either sign, so that some outputs are below zero and a rectifier bends.
    line[2].weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    line.requires_grad_(requires_grad=False)

    assert is_linear(line, maps)
    # What all classes share may bend: differences of log-probabilities do not.
    assert is_linear(lambda x: line(x).log_softmax(1), maps)
    assert not is_linear(bent, maps)
    assert not is_linear(lambda x: line(x).relu(), maps)


def test_chosen_boundaries_keep_their_order():
    found = sample(bent, flat(0.2)[0], flat(3.0, -2.0), 0)

    some = found.chosen([1, 0])

    assert len(some) == 2
    np.testing.assert_array_equal(
        some.inside(flat(2.0, -2.0)), found.inside(flat(2.0, -2.0))[:, ::-1]
    )

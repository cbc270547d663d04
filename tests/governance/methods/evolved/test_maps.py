"""Evolved maps on predictors that read a known part of the image, beside a plain RISE."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from governance.errors import AnalysisError
from governance.methods.evolved import ENGINES, evolve_map
from governance.methods.evolved.maps import rank_correlation
from governance.methods.masking import curve
from governance.methods.masking.superpixels import baseline_image

RNG = np.random.default_rng(0)
IMAGE = torch.from_numpy(0.3 * RNG.random((3, 32, 32), dtype=np.float32))
IMAGE[:, 8:16, 16:24] = 0.9
SQUARE = np.zeros((32, 32), bool)
SQUARE[8:16, 16:24] = True

engines = pytest.mark.parametrize("engine", ENGINES)


def bright_square(images):
    """Three classes; the second where the square is bright, the third where the image is dark."""
    odds = 12 * (images[:, :, 8:16, 16:24].mean((1, 2, 3)) - 0.6)
    return torch.stack([-odds, odds, -4 - images.mean((1, 2, 3))], 1).softmax(1)


class Counted:
    """A predictor that counts the images it is given."""

    def __init__(self, predict):
        self.predict = predict
        self.images = 0

    def __call__(self, images):
        self.images += len(images)
        return self.predict(images)


def mapped(predict=bright_square, image=IMAGE, target=None, **options):
    return evolve_map(predict, image, target, **({"baseline": "black"} | options))


def rise(predict, image, veil, target, passes, seed):
    """RISE as published: 7 x 7 coins, enlarged, cropped at random, weighted by the answer."""
    rng = np.random.default_rng(seed)
    height, width = image.shape[1:]
    cell = [-(-side // 7) for side in (height, width)]
    coins = torch.from_numpy((rng.random((passes, 1, 8, 8)) < 0.5).astype(np.float32))
    large = functional.interpolate(coins, [8 * side for side in cell], mode="bilinear")[:, 0]
    heat = np.zeros((height, width))
    for start in range(0, passes, 100):
        some = large[start : start + 100]
        corner = np.stack([rng.integers(0, side, len(some)) for side in cell], 1)
        masks = torch.stack(
            [m[y : y + height, x : x + width] for m, (y, x) in zip(some, corner, strict=True)]
        )
        p = predict(torch.lerp(veil, image, masks[:, None]))[:, target]
        heat += torch.einsum("b,bhw->hw", p, masks).numpy()
    return heat


@engines
def test_the_hottest_pixels_are_where_the_model_reads(engine):
    found = mapped(engine=engine)
    hottest = np.argsort(-found.heatmap.ravel())[: SQUARE.sum()]
    assert found.status == "mapped"
    assert found.target == found.label == 1
    # Differential evolution has hardly begun to converge after 520 passes: 4 times chance.
    assert SQUARE.ravel()[hottest].mean() > (0.6 if engine == "cem" else 0.25)
    assert (found.heatmap.min(), found.heatmap.max()) == (0, 1)
    assert found.heatmap.shape == (32, 32)
    assert found.grid.shape == (7, 7)
    assert found.p_baseline < 0.1
    assert found.p_full > 0.9


def test_the_map_is_as_faithful_as_that_of_rise_at_four_times_the_passes():
    # arrange
    ours, theirs = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 5, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 5, stride=2),
            torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(200, 5),
        )  # fmt: skip
        drawn = torch.Generator().manual_seed(seed)
        for weight in net.parameters():
            torch.nn.init.normal_(weight.data, std=0.15, generator=drawn)
        image = torch.from_numpy(rng.random((3, 32, 32), dtype=np.float32))

        def predict(images, net=net):
            return (2 * net(images)).softmax(1)

        # act
        found = evolve_map(predict, image, baseline="black", seed=seed)
        veil = torch.zeros_like(image)
        with torch.no_grad():
            heat = rise(predict, image, veil, found.target, 2000, seed)
        for heats, kept in ((found.heatmap, ours), (heat, theirs)):
            areas = [
                curve(predict, image, veil, heats, found.target, kind=kind).auc
                for kind in ("insertion", "deletion")
            ]
            kept.append(areas)
    # assert
    insertion, deletion = np.mean(ours, axis=0) - np.mean(theirs, axis=0)
    assert insertion >= 0
    assert deletion <= 0.02


@settings(max_examples=12, deadline=None)
@given(st.integers(20, 200), st.sampled_from(ENGINES), st.integers(0, 99), st.integers(2, 9))
def test_every_forward_pass_is_counted_and_none_goes_over_the_budget(budget, engine, seed, grid):
    predict = Counted(bright_square)
    found = mapped(predict, budget=budget, engine=engine, seed=seed, grid=grid)
    assert found.evaluations == predict.images == budget
    assert found.grid.shape == (grid, grid)


@engines
def test_the_seed_alone_decides_whatever_the_batch(engine):
    one, again, small = (
        mapped(engine=engine, seed=3, budget=120, batch_size=size) for size in (None, None, 7)
    )
    for field in dataclasses.fields(one):
        np.testing.assert_equal(getattr(one, field.name), getattr(again, field.name))
    np.testing.assert_allclose(one.heatmap, small.heatmap, atol=1e-3)
    assert not np.array_equal(one.heatmap, mapped(engine=engine, seed=4, budget=120).heatmap)


def test_a_map_that_is_sure_of_itself_is_stable_over_seeds():
    one, two = (mapped(seed=seed) for seed in (0, 1))
    assert one.stability > 0.5
    assert rank_correlation(one.heatmap, two.heatmap) > 0.5


@engines
def test_where_the_baseline_already_decides_there_is_no_map(engine):
    found = mapped(lambda x: torch.tensor([[0.2, 0.8]]).expand(len(x), 2), engine=engine)
    assert (found.status, found.evaluations, found.stability) == ("undefined_baseline", 2, None)
    assert not found.heatmap.any()
    assert not found.grid.any()


def test_an_image_of_one_flat_colour_has_no_map():
    flat = torch.full((1, 24, 24), 0.5)
    found = evolve_map(lambda x: torch.cat([x.mean((2, 3)), 1 - x.mean((2, 3))], 1), flat)
    assert found.status == "undefined_baseline"


def test_a_class_that_nothing_moves_has_a_flat_map():
    found = mapped(lambda x: torch.tensor([[0.2, 0.8]]).expand(len(x), 2), target=0, budget=60)
    assert (found.status, found.evaluations) == ("flat", 60)
    assert not found.heatmap.any()


def test_another_class_can_be_mapped():
    found = mapped(target=0, budget=100)
    assert (found.target, found.label) == (0, 1)
    assert found.p_full < 0.1


def test_the_batch_is_halved_when_memory_runs_out():
    # arrange
    sizes = []

    def cramped(images):
        if len(images) > 4:
            raise torch.OutOfMemoryError
        sizes.append(len(images))
        return bright_square(images)

    # act
    found = mapped(cramped, budget=60, batch_size=32)
    # assert
    assert max(sizes) == 4
    assert found.evaluations == sum(sizes) == 60


def test_arrays_and_a_baseline_given_as_pixels_are_accepted():
    named = mapped(budget=60)
    given_ = mapped(lambda x: bright_square(x).numpy(), IMAGE.numpy(), budget=60,
                    baseline=torch.zeros_like(IMAGE))  # fmt: skip
    np.testing.assert_array_equal(named.heatmap, given_.heatmap)
    blurred = mapped(budget=60, baseline=baseline_image(IMAGE, "blur", SQUARE.astype(np.int64)))
    np.testing.assert_array_equal(blurred.heatmap, mapped(budget=60, baseline="blur").heatmap)
    # Superpixels of one colour each are the image again.
    assert mapped(budget=60, baseline="superpixel").status == "undefined_baseline"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predict": lambda x: 5 * bright_square(x)}, "logits"),
        ({"predict": lambda x: bright_square(x) * torch.nan}, "NaN"),
        ({"predict": lambda x: bright_square(x)[:, 0]}, "shape"),
        ({"predict": lambda x: bright_square(x)[:1]}, "shape"),
        ({"image": IMAGE * 2}, r"outside \[0, 1\]"),
        ({"image": IMAGE[0]}, "shape"),
        ({"image": IMAGE[:2]}, "shape"),
        ({"image": IMAGE[:, :15]}, "16 pixels"),
        ({"image": (IMAGE * 255).to(torch.uint8)}, "floating point"),
        ({"target": 3}, "target = 3"),
        ({"target": -1}, "target = -1"),
        ({"budget": 19}, "20 forward passes"),
        ({"grid": 1}, "grid = 1"),
        ({"grid": 33}, "grid = 33"),
        ({"engine": "ga"}, "engine 'ga'"),
        ({"batch_size": 0}, "batch_size"),
        ({"baseline": "white"}, "baseline 'white'"),
        ({"baseline": torch.zeros(3, 24, 24)}, "same shape"),
    ],
)
def test_bad_input_is_refused_with_what_would_be_accepted(change, message):
    call = {"predict": bright_square, "image": IMAGE, "baseline": "black"} | change
    with pytest.raises(AnalysisError, match=message):
        evolve_map(call.pop("predict"), call.pop("image"), **call)


def test_all_impossible_numbers_are_named_at_once():
    with pytest.raises(AnalysisError) as caught:
        mapped(budget=3, grid=0, engine="ga")
    assert len(caught.value.problems) == 3

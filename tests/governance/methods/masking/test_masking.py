"""Masks, batches, the archive and the curves, against naive loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from governance.errors import AnalysisError
from governance.methods.masking import Archive, Ask, Forward, Scene, answer, curve
from governance.methods.masking.superpixels import superpixels

IMAGE = torch.linspace(0.1, 1, 2 * 20 * 20).view(2, 20, 20)
LABELS = superpixels(IMAGE, 10)
SCENE = Scene(
    image=IMAGE,
    labels=torch.from_numpy(LABELS).flatten(),
    replacements={"black": torch.zeros_like(IMAGE), "half": torch.full_like(IMAGE, 0.5)},
)
COUNT = int(LABELS.max()) + 1


def brightness(images):
    mean = images.mean((1, 2, 3))
    return torch.stack([1 - mean, mean], 1)


@settings(max_examples=20, deadline=None)
@given(arrays(np.bool_, (3, COUNT)))
def test_masked_images_are_those_of_a_loop_over_pixels(keep):
    # act
    made = SCENE.compose(Ask(keep, "half"))
    # assert
    for b in range(3):
        for row, column in np.ndindex(20, 20):
            kept = keep[b, LABELS[row, column]]
            wanted = IMAGE[:, row, column] if kept else torch.full((2,), 0.5)
            assert torch.equal(made[b, :, row, column], wanted)


@settings(max_examples=40, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.just(17))), st.integers(1, 12))
def test_the_archive_knows_each_subset_once(keep, split):
    # arrange
    first, second = keep[:split], keep[split:]
    fresh = first[Archive(keep[:0], np.zeros((0, 2), np.float32)).unknown(first)]
    archive = Archive(fresh, np.arange(2 * len(fresh), dtype=np.float32).reshape(-1, 2))
    # act
    unknown = archive.unknown(second)
    # assert
    known = {tuple(row) for row in first}
    assert len(archive) == len(known)
    assert {tuple(second[i]) for i in unknown} == {tuple(row) for row in second} - known
    assert len(unknown) == len({tuple(second[i]) for i in unknown})
    np.testing.assert_array_equal(archive.keep[archive.find(first)], first)
    assert (archive.find(second[unknown]) == -1).all()


def test_searches_share_batches_and_each_gets_its_own_answers():
    # arrange: search k asks k + 1 times, for k + 2 subsets each time
    shapes = []

    def predict(images):
        shapes.append(len(images))
        return brightness(images)

    def search(k):
        rng = np.random.default_rng(k)
        heard = []
        for _ in range(k + 1):
            keep = rng.random((k + 2, COUNT)) < 0.5
            told = yield Ask(keep, "black")
            heard.append((keep, told))
        return heard

    # act
    results = answer(Forward(predict, 4, IMAGE), [search(k) for k in range(3)], [SCENE] * 3)
    # assert
    assert [len(heard) for heard in results] == [1, 2, 3]
    for keep, told in (pair for heard in results for pair in heard):
        wanted = brightness(SCENE.compose(Ask(keep, "black"))).numpy()
        np.testing.assert_allclose(told, wanted, rtol=1e-6)
    assert shapes == [4, 4, 1, 4, 3, 4]


def test_gradients_are_not_recorded():
    weight = torch.ones(1, requires_grad=True)
    seen = []

    def predict(images):
        output = brightness(images * weight)
        seen.append(output.requires_grad)
        return output

    Forward(predict, None, IMAGE)(3, lambda a, b: IMAGE.expand(b - a, 2, 20, 20))
    assert seen == [False]


def test_a_changing_number_of_classes_is_refused():
    forward = Forward(lambda x: torch.full((len(x), 1 + len(x)), 0.1), 2, IMAGE)
    with pytest.raises(AnalysisError, match="2 classes after 3"):
        forward(3, lambda a, b: IMAGE.expand(b - a, 2, 20, 20))


@pytest.mark.parametrize("kind", ["insertion", "deletion"])
def test_curves_reveal_whole_pixels_hottest_first(kind):
    # arrange
    heat = np.random.default_rng(0).random((20, 20))
    black = torch.zeros_like(IMAGE)
    # act
    found = curve(brightness, IMAGE, black, heat, 1, kind=kind, steps=8)
    # assert
    order = np.argsort(-heat.ravel())
    for fraction, probability in zip(found.fraction, found.probability, strict=True):
        shown = torch.zeros(400)
        shown[order[: round(fraction * 400)].copy()] = 1
        shown = shown if kind == "insertion" else 1 - shown
        assert probability == pytest.approx(float((IMAGE.flatten(1) * shown).mean()), abs=1e-6)
    assert list(found.fraction) == [i / 8 for i in range(9)]


def test_equal_heat_is_ordered_by_the_seed_and_the_area_is_the_trapezoid():
    black, flat = torch.zeros_like(IMAGE), np.zeros((20, 20))
    one, same, other = (
        curve(brightness, IMAGE, black, flat, 1, kind="insertion", steps=8, seed=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.probability, same.probability)
    assert (one.probability != other.probability).any()
    p = one.probability
    assert one.auc == pytest.approx(((p[1:] + p[:-1]) / 2 / 8).sum())


def test_heat_of_another_size_is_refused():
    with pytest.raises(AnalysisError, match="one per pixel"):
        curve(brightness, IMAGE, IMAGE, np.zeros((3, 3)), 1, kind="deletion")

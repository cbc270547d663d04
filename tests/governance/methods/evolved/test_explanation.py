"""Evolved explanations against brute force over all subsets, on predictors known by formula."""

import dataclasses
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.segmentation import slic

from governance.errors import AnalysisError
from governance.methods.evolved import evolve, evolve_many
from governance.methods.evolved.explanation import HEAT_PENALTY
from governance.methods.masking.superpixels import paper_superpixels, superpixels

# Nine cells of unequal height on an image without black, so that black is absence.
LABELS = (np.searchsorted([4, 12], np.arange(24), side="right")[:, None] * 3) + (
    np.arange(24) // 8
)[None, :]
IMAGE = torch.linspace(0.4, 1.0, 24 * 24).view(1, 24, 24)
EVERY = np.array(list(product([False, True], repeat=9)))
PIXELS = np.bincount(LABELS.ravel())


def present(images, labels=LABELS):
    """(B, n) 1 where a segment is as in IMAGE, 0 where it is black."""
    n = labels.max() + 1
    first = [np.argwhere(labels == k)[0] for k in range(n)]
    return torch.stack([(images[:, 0, r, c] > 0).float() for r, c in first], 1)


def additive(weights, bias):
    """Two classes; log odds of the second are `weights` of what is present, less `bias`."""

    def predict(images):
        odds = present(images) @ torch.tensor(weights, dtype=torch.float32) - bias
        return torch.stack([-odds, odds], 1).softmax(1)

    return predict


def interacting(seed):
    """Three classes with random single and pairwise effects."""
    rng = np.random.default_rng(seed)
    single = torch.tensor(rng.normal(0, 1, (9, 3)), dtype=torch.float32)
    pairs = torch.tensor(rng.normal(0, 0.5, (3, 9, 9)), dtype=torch.float32)

    def predict(images):
        z = present(images)
        return (z @ single + torch.einsum("bi,kij,bj->bk", z, pairs, z)).softmax(1)

    return predict


class Counted:
    """A predictor that counts the images it is given."""

    def __init__(self, predict):
        self.predict = predict
        self.images = 0

    def __call__(self, images):
        self.images += len(images)
        return self.predict(images)


def all_probabilities(predict):
    """What a predictor says of each of the 512 subsets, kept on black: (512, K)."""
    kept = torch.from_numpy(EVERY[:, LABELS])
    return predict(torch.where(kept[:, None], IMAGE, torch.zeros(()))).numpy()


def explain(predict, target=None, **options):
    defaults = {"baseline": "black", "segments": LABELS, "budget": 600}
    return evolve(predict, IMAGE, target, **(defaults | options))


def is_sufficient(p, full):
    label = full.argmax()
    return (p.argmax(1) == label) & (p[:, label] >= 0.9 * full[label].astype(float))


def naive_greedy(sufficient, p, label):
    """Forward selection by probability, then removal of what can be spared, in sizes."""
    row = {tuple(subset): i for i, subset in enumerate(EVERY)}
    chosen = np.zeros(9, bool)
    while not sufficient[row[tuple(chosen)]]:
        trials = [chosen | (np.arange(9) == i) for i in np.flatnonzero(~chosen)]
        chosen = max(trials, key=lambda s: p[row[tuple(s)], label])
    while True:
        trials = [chosen & (np.arange(9) != i) for i in np.flatnonzero(chosen)]
        spared = [s for s in trials if sufficient[row[tuple(s)]]]
        if not spared:
            return chosen @ PIXELS
        chosen = max(spared, key=lambda s: p[row[tuple(s)], label])


@pytest.mark.parametrize("seed", range(6))
def test_smallest_sufficient_region_of_an_additive_model_is_the_true_minimum(seed):
    # arrange
    weights = np.random.default_rng(seed).uniform(-0.5, 2.0, 9)
    predict = additive(weights.tolist(), float(weights.sum()) - 2.0)
    p = all_probabilities(predict)
    smallest = (EVERY[is_sufficient(p, p[-1])] @ PIXELS).min()
    # act
    found = explain(predict, seed=seed)
    # assert
    assert found.mask.sum() == smallest
    assert found.one_minimal
    assert found.p_subset >= 0.9 * found.p_full


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_region_is_never_larger_than_greedy_and_no_single_segment_can_be_spared(seed):
    # arrange
    predict = interacting(seed)
    p = all_probabilities(predict)
    sufficient = is_sufficient(p, p[-1])
    # act
    found = explain(predict, seed=seed)
    # assert
    if sufficient[0]:
        assert found.status == "undefined_baseline"
        return
    assert found.mask.sum() <= naive_greedy(sufficient, p, p[-1].argmax())
    assert found.area <= found.seed_area
    for i in np.flatnonzero(found.selected):
        without = found.selected & (np.arange(9) != i)
        assert not sufficient[(without == EVERY).all(1).argmax()]


@pytest.mark.parametrize("seed", range(5))
def test_smallest_removal_that_changes_the_label_is_the_true_minimum(seed):
    # arrange
    weights = np.random.default_rng(seed).uniform(0, 2.0, 9)
    predict = additive(weights.tolist(), float(weights.sum()) / 2)
    changes = all_probabilities(predict).argmax(1) == 0
    # act
    found = explain(predict, mode="necessary")
    # assert
    assert found.mask.sum() == (~EVERY[changes] @ PIXELS).min()
    assert found.p_rest < 0.5 < found.p_full


@pytest.mark.parametrize("seed", range(4))
def test_contrastive_removal_puts_the_named_class_ahead_with_the_smallest_area(seed):
    # arrange
    predict = interacting(seed)
    p = all_probabilities(predict)
    label = int(p[-1].argmax())
    other = (label + 1) % 3
    ahead = p[:, other] > p[:, label]
    # act
    found = explain(predict, other, mode="contrastive")
    # assert
    assert ahead.any()
    assert (found.target, found.against) == (label, other)
    assert found.mask.sum() == (~EVERY[ahead] @ PIXELS).min()


def test_pareto_mode_finds_the_true_front_where_most_subsets_can_be_evaluated():
    # arrange
    predict = interacting(3)
    p = all_probabilities(predict)
    label = p[-1].argmax()
    best = {}
    for size, value in zip(EVERY @ PIXELS, p[:, label], strict=True):
        best[size] = max(best.get(size, 0), value)
    front = [s for s in sorted(best) if all(best[t] < best[s] for t in best if t < s)]
    # act
    found = explain(predict, mode="pareto", budget=1200)
    # assert
    assert [round(point.area * 576) for point in found.pareto] == front
    assert [point.probability for point in found.pareto] == pytest.approx(
        [best[size] for size in front]
    )


def test_confidence_mode_finds_the_most_probable_subset_of_any_size():
    # arrange
    predict = interacting(5)
    p = all_probabilities(predict)
    # act
    found = explain(predict, mode="confidence")
    # assert
    assert found.p_subset == pytest.approx(p[:, p[-1].argmax()].max())


@settings(max_examples=16, deadline=None)
@given(
    st.integers(20, 400),
    st.sampled_from(["sufficient", "necessary", "pareto", "confidence"]),
    st.integers(0, 1000),
)
def test_every_forward_pass_is_counted_and_none_goes_over_the_budget(budget, mode, seed):
    # arrange
    predict = Counted(interacting(seed))
    # act
    found = explain(predict, mode=mode, budget=budget, seed=seed)
    # assert
    assert found.evaluations == predict.images <= budget


def test_the_same_seed_gives_the_same_explanation_alone_or_among_others():
    # arrange
    predict = interacting(8)
    options = {"baseline": "black", "segments": LABELS, "seed": 4}
    # act
    one, again = (evolve(predict, IMAGE, **options) for _ in range(2))
    many = evolve_many(predict, [IMAGE.flip(2), IMAGE], **options)[1]
    # assert
    for field in dataclasses.fields(one):
        values = [getattr(item, field.name) for item in (one, again, many)]
        for value in values[1:]:
            np.testing.assert_equal(value, values[0])


def test_disjoint_alternatives_are_sufficient_and_do_not_overlap():
    # arrange: any one of the three rows of cells is enough
    def predict(images):
        rows = present(images).view(-1, 3, 3).prod(2)
        odds = 8 * rows.amax(1) - 4
        return torch.stack([-odds, odds], 1).softmax(1)

    # act
    found = explain(predict)
    # assert
    assert found.area == pytest.approx(4 / 24)
    assert [subset.sum() for subset in found.alternatives] == [3, 3]
    assert (sum(found.alternatives) + found.selected.astype(int)).max() == 1
    assert found.p_rest == pytest.approx(found.p_full)
    assert found.random_percentile == 1.0


def test_the_heat_is_a_ridge_regression_of_all_that_was_asked():
    # arrange
    asked = []

    def predict(images):
        asked.append(present(images))
        return additive((np.arange(9) / 4).tolist(), 5.0)(images)

    # act: the last passes are checks under other baselines
    found = explain(predict)
    keep = torch.cat(asked).numpy()[: -len(found.cross_baseline)]
    odds = 2 * (keep @ (np.arange(9) / 4) - 5.0)
    # assert: least squares with one row more for each slope, drawing it to 0
    data = np.column_stack([keep, np.ones(len(keep))])
    pull = np.column_stack([np.sqrt(HEAT_PENALTY) * np.eye(9), np.zeros(9)])
    slopes = np.linalg.lstsq(
        np.concatenate([data, pull]), np.concatenate([odds, np.zeros(9)]), rcond=None
    )[0][:9]
    heat = [found.heatmap[k == LABELS].mean() for k in range(9)]
    np.testing.assert_allclose(heat, slopes, atol=1e-4)
    assert np.corrcoef(heat, np.arange(9))[0, 1] > 0.98


def test_a_region_that_fails_under_a_second_baseline_is_fragile():
    # arrange: the first cell and darkness elsewhere; the mean colour is not dark
    def predict(images):
        bright = images.mean((1, 2, 3))
        odds = torch.where(
            (present(images)[:, 0] > 0) & ((bright < 0.3) | (bright > 0.695)), 4.0, -4.0
        )
        return torch.stack([-odds, odds], 1).softmax(1)

    # act
    found = explain(predict)
    # assert
    assert found.status == "fragile"
    assert found.second_baseline == "mean"
    assert found.cross_baseline["mean"] < 0.5 < found.p_subset


def test_where_the_baseline_already_decides_no_region_is_given():
    found = explain(lambda x: torch.tensor([[0.2, 0.8]]).expand(len(x), 2))
    assert (found.status, found.evaluations, found.area) == ("undefined_baseline", 2, 0.0)
    assert not found.mask.any()


@pytest.mark.parametrize("side", [24, 96])
def test_an_image_of_one_flat_colour_has_no_region_that_means_anything(side):
    flat = torch.full((3, side, side), 0.5)
    found = evolve(lambda x: torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1), flat)
    assert found.status == "undefined_baseline"


def test_a_removal_that_cannot_change_the_label_is_undefined():
    found = explain(lambda x: torch.tensor([[0.2, 0.8]]).expand(len(x), 2), mode="necessary")
    assert found.status == "undefined_baseline"


def test_a_class_the_model_never_answers_is_not_found():
    # arrange
    def predict(images):
        odds = present(images).mean(1) * 4
        return torch.stack([-odds, odds, torch.full_like(odds, -9)], 1).softmax(1)

    # act and assert
    assert explain(predict, 2).status == "not_found"


def test_the_batch_is_halved_when_memory_runs_out():
    # arrange
    sizes = []

    def cramped(images):
        if len(images) > 4:
            raise torch.OutOfMemoryError
        sizes.append(len(images))
        return interacting(1)(images)

    # act
    found = explain(cramped, batch_size=32)
    # assert
    assert max(sizes) == 4
    assert found.evaluations == sum(sizes)
    assert found.area == explain(interacting(1)).area


def test_memory_that_does_not_hold_one_image_is_an_error():
    def predict(_):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        explain(predict)


def test_a_baseline_may_be_given_as_pixels_and_arrays_are_accepted():
    # arrange
    predict = additive([2.0] * 9, 9.0)
    # act
    named = explain(predict)
    given_ = explain(lambda x: predict(x).numpy(), baseline=torch.zeros_like(IMAGE))
    from_array = evolve(predict, IMAGE.numpy(), baseline="black", segments=torch.from_numpy(LABELS))
    # assert
    assert named.area == given_.area == from_array.area
    assert set(given_.cross_baseline) == {"mean", "blur", "noise"}


def test_a_photo_is_cut_by_colour_and_small_budgets_still_give_a_region():
    # arrange: a bright square on noise decides
    rng = np.random.default_rng(0)
    photo = torch.from_numpy(rng.random((3, 96, 96), dtype=np.float32) * 0.3)
    photo[:, 40:64, 40:64] = 0.9

    def predict(images):
        odds = 20 * (images[:, :, 40:64, 40:64].mean((1, 2, 3)) - 0.6)
        return torch.stack([-odds, odds], 1).softmax(1)

    square = np.zeros((96, 96), bool)
    square[40:64, 40:64] = True
    # act
    regions = [evolve(predict, photo, budget=budget) for budget in (50, 100, 600)]
    # assert
    for found in regions:
        assert found.segments.max() + 1 >= 8
        assert (found.mask & square).sum() > 0.4 * square.sum()
    assert regions[2].area <= regions[1].area <= 0.25


def test_the_profile_of_the_paper_asks_for_confidence_on_black_with_its_segments():
    # arrange
    rng = np.random.default_rng(0)
    photo = torch.from_numpy(ndimage.zoom(rng.random((3, 12, 12)), (1, 8, 8), order=1)).float()

    def predict(images):
        odds = 20 * (images[:, :, 40:64, 40:64].mean((1, 2, 3)) - 0.3)
        return torch.stack([-odds, odds], 1).softmax(1)

    # act
    found = evolve(predict, photo, budget=200, profile="paper")
    by_hand = evolve(
        predict, photo, budget=200, mode="confidence", baseline="black",
        segments=paper_superpixels(photo),
    )  # fmt: skip
    # assert
    assert found.mode == "confidence"
    assert found.second_baseline == "mean"
    np.testing.assert_array_equal(found.mask, by_hand.mask)
    np.testing.assert_array_equal(
        found.segments,
        slic(photo.permute(1, 2, 0).double().numpy(), 100, sigma=5, start_label=0),
    )


FINE = additive([2.0] * 9, 9.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predict": lambda x: 5 * FINE(x)}, "logits"),
        ({"predict": lambda x: FINE(x) * torch.nan}, "NaN"),
        ({"predict": lambda x: FINE(x)[:, 0]}, "shape"),
        ({"predict": lambda x: FINE(x)[:1]}, "shape"),
        ({"image": IMAGE * 2}, r"outside \[0, 1\]"),
        ({"image": IMAGE[0]}, "shape"),
        ({"image": IMAGE[[0, 0]]}, "shape"),
        ({"image": IMAGE * torch.nan}, r"outside \[0, 1\]"),
        ({"image": IMAGE[:, :15]}, "16 pixels"),
        ({"image": (IMAGE * 255).to(torch.uint8)}, "floating point"),
        ({"target": 2}, "target = 2"),
        ({"target": 1, "mode": "contrastive"}, "predicted class"),
        ({"mode": "contrastive"}, "needs a target"),
        ({"target": 0, "mode": "necessary"}, "necessary"),
        ({"mode": "best"}, "mode 'best'"),
        ({"profile": "published"}, "profile 'published'"),
        ({"profile": "paper", "mode": "necessary", "baseline": "mean"}, "mode, baseline, segments"),
        ({"segments": 7}, "8 to 128"),
        ({"segments": 129}, "8 to 128"),
        ({"segments": LABELS // 3}, "3 segments"),
        ({"segments": LABELS[:-1]}, "label map"),
        ({"budget": 19}, "20 forward passes"),
        ({"batch_size": 0}, "batch_size"),
        ({"baseline": "white"}, "baseline 'white'"),
        ({"baseline": torch.zeros(3, 24, 24)}, "same shape"),
    ],
)
def test_bad_input_is_refused_with_what_would_be_accepted(change, message):
    call = {"predict": FINE, "image": IMAGE, "segments": LABELS, "baseline": "black"} | change
    with pytest.raises(AnalysisError, match=message):
        evolve(call.pop("predict"), call.pop("image"), **call)


def test_no_images_no_explanations():
    assert evolve_many(FINE, []) == []
    with pytest.raises(AnalysisError, match="1 targets for 0 images"):
        evolve_many(FINE, [], [0])


def test_the_grid_of_a_small_image_is_what_superpixels_gives():
    found = evolve(FINE, IMAGE, baseline="black", budget=50)
    np.testing.assert_array_equal(found.segments, superpixels(IMAGE))

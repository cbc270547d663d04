"""Every measure of an explainer on a model whose best map is known."""

import numpy as np
import pytest
import torch
from torch import nn

from governance.errors import AnalysisError
from governance.methods.faithfulness import evaluate
from governance.methods.faithfulness.scores import beyond

SIDE = 16
IMAGES = torch.rand(6, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
QUICK = {"baselines": ("black",), "steps": 8, "subsets": 30, "samples": 2}


class Weighted(nn.Module):
    """Probability of class 1: the weighted mean of the pixels."""

    def __init__(self):
        super().__init__()
        weights = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(2)) ** 4
        self.weights = nn.Parameter(weights / weights.sum())

    def forward(self, images):
        p = (images[:, 0] * self.weights).sum((1, 2))
        return torch.stack([1 - p, p], 1)


MODEL = Weighted()


def oracle(images, targets, seed):
    sign = np.where(np.asarray(targets) == 1, 1, -1)
    return sign[:, None, None] * (images[:, 0] * MODEL.weights).detach().numpy()


def by_name(found):
    return {item.metric: item for item in found.scores}


def test_the_oracle_is_better_than_chance_in_all_that_is_about_faith():
    found = evaluate(oracle, MODEL, IMAGES, [1] * 6, model=MODEL, **QUICK)

    scores = by_name(found)
    assert set(scores) == {
        "insertion", "deletion", "mu_fidelity", "max_sensitivity", "sparseness",
    }  # fmt: skip
    assert all(scores[name].better_than_random for name in scores)
    assert scores["mu_fidelity"].value == pytest.approx(1, abs=1e-6)
    assert scores["insertion"].interval.n == 6
    assert beyond(found.cascade.forgetting, 0.0)
    assert found.passes > 0
    assert len(found.rows) == 5 * 6


@pytest.mark.parametrize("kind", ["constant", "random"])
def test_a_map_that_says_nothing_is_not_better_than_random(kind):
    def explain(images, targets, seed):
        if kind == "constant":
            return np.full((len(images), SIDE, SIDE), 0.3)
        return np.random.default_rng(seed + 9).random((len(images), SIDE, SIDE))

    scores = by_name(evaluate(explain, MODEL, IMAGES, [1] * 6, **QUICK))

    faithful = ("insertion", "deletion", "mu_fidelity")
    assert not any(scores[name].better_than_random for name in faithful)
    if kind == "constant":
        # It never changes: stability alone cannot tell that it says nothing.
        assert scores["max_sensitivity"].value == 0
        assert scores["insertion"].values == scores["insertion"].controls["constant"]


def test_two_runs_agree_and_targets_default_to_the_prediction():
    one, two = (evaluate(oracle, MODEL, IMAGES, **QUICK) for _ in range(2))

    assert one.scores == two.scores
    told = MODEL(IMAGES).argmax(1).tolist()
    assert one.scores == evaluate(oracle, MODEL, IMAGES, told, **QUICK).scores
    assert one.cascade is None


def test_scores_that_rank_the_images_the_other_way_round_conflict():
    found = evaluate(oracle, MODEL, IMAGES, [1] * 6, **QUICK)

    assert len(found.conflicts) == 5 * 4 / 2
    place = {item.metric: index for index, item in enumerate(found.scores)}
    taus = {(a, b): tau for a, b, tau in found.conflicts}
    assert taus[place["insertion"], place["deletion"]] < 0  # brighter images raise both areas


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": IMAGES[0]}, r"\(N, C, H, W\)"),
        ({"images": IMAGES * 255}, r"outside \[0, 1\]"),
        ({"targets": [1]}, "1 targets for 6 images"),
        ({"targets": [2] * 6}, "0 to 1 are accepted"),
        ({"baselines": ("white",)}, "'white'"),
        ({"explainer": lambda *_: np.ones((6, 4, 4))}, r"shape \(6, 16, 16\)"),
        ({"predict": lambda images: 9 * MODEL(images)}, "look like logits"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    given = {"explainer": oracle, "predict": MODEL, "images": IMAGES, "targets": [1] * 6}

    with pytest.raises(AnalysisError, match=message):
        evaluate(**QUICK | given | changes)

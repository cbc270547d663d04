"""Evaluation: every measure of an explainer on some images, beside maps that say nothing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from governance.errors import AnalysisError
from governance.methods.faithfulness.controls import (
    Explainer,
    Maps,
    centre_maps,
    check_maps,
    constant_maps,
    random_maps,
)
from governance.methods.faithfulness.measures import curve_area, fidelity, gini
from governance.methods.faithfulness.randomisation import Cascade, cascade
from governance.methods.faithfulness.scores import Score, score
from governance.methods.image_tensors import Images, image_tensor
from governance.methods.masking import Forward, Predict
from governance.methods.masking.superpixels import BASELINES, Baseline, check_image, replacement

__all__ = ["Evaluation", "areas", "evaluate"]

Kind = Literal["insertion", "deletion"]
BETTER: Mapping[Kind, Literal["higher", "lower"]] = {"insertion": "higher", "deletion": "lower"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured of an explainer.

    Attributes:
        scores: One a measure and baseline.
        cascade: How maps change while the model forgets; None where no model was given.
        conflicts: Kendall's tau over images between two scores by place, both turned so that more
            is better: near or below 0 they disagree on which maps are good. None without spread.
        passes: Forward passes of single images, without those of the explainer.
        seconds: Wall clock, with the explainer.
    """

    scores: tuple[Score, ...]
    cascade: Cascade | None
    conflicts: tuple[tuple[int, int, float | None], ...]
    passes: int
    seconds: float

    @property
    def rows(self) -> tuple[tuple[int, str, str | None, float | None], ...]:
        """One row a value: image, metric, baseline, value."""
        return tuple(
            (image, item.metric, item.baseline, value)
            for item in self.scores
            for image, value in enumerate(item.values)
        )


class Counted:
    """A predictor that counts the images it is asked about."""

    def __init__(self, predict: Predict) -> None:
        self.passes = 0
        self._predict = predict

    def __call__(self, images: Tensor) -> object:
        """What the predictor answers."""
        self.passes += len(images)
        return self._predict(images)


def evaluate(
    explainer: Explainer,
    predict: Predict,
    images: Images,
    targets: Sequence[int] | None = None,
    *,
    model: nn.Module | None = None,
    baselines: Sequence[Baseline] = ("mean", "blur"),
    steps: int = 32,
    subsets: int = 200,
    radius: float = 0.02,
    samples: int = 10,
    stages: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Evaluation:
    """Measure whether maps say what a model rests on, from outputs alone.

    Args:
        explainer: Maps images (N, C, H, W) in [0, 1], a target for each and a seed to heat
            (N, H, W), more where the target's probability rests on more.
        predict: Maps float32 (B, C, H, W) in [0, 1] to probabilities (B, K).
        images: (N, C, H, W) in [0, 1].
        targets: Class explained of each; None for the predicted ones.
        model: The module that `explainer` and `predict` ask, for the randomisation of its weights;
            changed in place meanwhile and left as it was. None leaves that out.
        baselines: Fill images that stand for removed pixels, in turn.
        steps: Number of steps of the insertion and deletion curves.
        subsets: Number of subsets for mu-Fidelity.
        radius: Largest change of a pixel for max-sensitivity.
        samples: Perturbed copies of an image for max-sensitivity; 0 leaves it out.
        stages: Depths of the randomisation; None for every layer.
        seed: Seed of every random choice.
        batch_size: Images per forward pass; None chooses.

    Raises:
        AnalysisError: If images, targets, maps or the predictor's answers cannot be.
    """
    begun = time.monotonic()
    images = image_tensor(images).to(torch.float32).contiguous()
    counted = Counted(predict)
    targets = _targets(counted, images, targets, baselines, batch_size)
    maps = check_maps(explainer(images, targets, seed), images)
    scores = [
        *areas(
            counted, images, targets, maps, baselines=baselines, steps=steps, seed=seed,
            batch_size=batch_size,
        ),
        *_fidelities(counted, images, targets, maps, baselines, subsets, seed, batch_size),
    ]  # fmt: skip
    if samples:
        scores.append(_sensitivity(explainer, images, targets, maps, radius, samples, seed))
    noise, flat = random_maps(maps.shape, seed), constant_maps(maps.shape)
    sparse = {"random": gini(noise), "constant": gini(flat)}
    scores.append(score("sparseness", "higher", gini(maps), sparse, seed=seed))
    forgotten = None
    if model is not None:
        again = check_maps(explainer(images, targets, seed + 1), images)
        forgotten = cascade(
            explainer, model, images, targets, maps, again, stages=stages, seed=seed
        )
    return Evaluation(
        scores=tuple(scores),
        cascade=forgotten,
        conflicts=_conflicts(scores),
        passes=counted.passes,
        seconds=time.monotonic() - begun,
    )


def _targets(
    predict: Predict,
    images: Tensor,
    targets: Sequence[int] | None,
    baselines: Sequence[str],
    batch_size: int | None,
) -> list[int]:
    problems = [
        f"baseline {name!r}: {', '.join(BASELINES)} are accepted"
        for name in baselines
        if name not in get_args(Baseline)
    ]
    if images.ndim != 4 or not len(images):  # noqa: PLR2004 - (N, C, H, W)
        problems.append(f"images have shape {tuple(images.shape)}; (N, C, H, W) is accepted")
    elif targets is not None and len(targets) != len(images):
        problems.append(f"{len(targets)} targets for {len(images)} images; one each is accepted")
    if problems:
        raise AnalysisError(problems)
    for image in images:
        check_image(image)
    told = Forward(predict, batch_size, images[0])(len(images), lambda a, b: images[a:b])
    if targets is None:
        return [int(label) for label in told.argmax(1)]
    wrong = [target for target in targets if not 0 <= target < told.shape[1]]
    if wrong:
        raise AnalysisError(f"targets {wrong}: 0 to {told.shape[1] - 1} are accepted")
    return [int(target) for target in targets]


def replacements(images: Tensor, baseline: Baseline, seed: int) -> list[Tensor]:
    """What stands for removed pixels of each image."""
    return [replacement(image, baseline, seed) for image in images]


def areas(
    predict: Predict,
    images: Tensor,
    targets: Sequence[int],
    maps: Maps,
    *,
    baselines: Sequence[Baseline] = ("mean", "blur"),
    steps: int = 32,
    seed: int = 0,
    batch_size: int | None = None,
) -> list[Score]:
    """Insertion and deletion under each baseline, beside random, constant and centre maps."""
    controls = {
        "random": random_maps(maps.shape, seed),
        "constant": constant_maps(maps.shape),
        "centre": centre_maps(maps.shape),
    }
    found = []
    for baseline, kind in product(baselines, BETTER):
        measure = curve_area(
            predict, images, replacements(images, baseline, seed), targets, kind=kind,
            steps=steps, seed=seed, batch_size=batch_size,
        )  # fmt: skip
        others = {name: measure(item) for name, item in controls.items()}
        found.append(score(kind, BETTER[kind], measure(maps), others, baseline=baseline, seed=seed))
    return found


def _fidelities(
    predict: Predict,
    images: Tensor,
    targets: Sequence[int],
    maps: Maps,
    baselines: Sequence[Baseline],
    subsets: int,
    seed: int,
    batch_size: int | None,
) -> list[Score]:
    controls = {"random": random_maps(maps.shape, seed), "constant": constant_maps(maps.shape)}
    found = []
    for baseline in baselines:
        measure = fidelity(
            predict, images, replacements(images, baseline, seed), targets, subsets=subsets,
            seed=seed, batch_size=batch_size,
        )  # fmt: skip
        others = {name: measure(item) for name, item in controls.items()}
        found.append(
            score("mu_fidelity", "higher", measure(maps), others, baseline=baseline, seed=seed)
        )
    return found


def _sensitivity(
    explainer: Explainer,
    images: Tensor,
    targets: Sequence[int],
    maps: Maps,
    radius: float,
    samples: int,
    seed: int,
) -> Score:
    """Max-sensitivity: the largest relative change of a map under small changes of its image.

    Never alone: a constant map does not change at all, and is no opponent here.

    Source:
        Yeh et al. 2019 (On the (in)fidelity and sensitivity of explanations).
    """
    rng = np.random.default_rng([seed, 3])
    noise = random_maps(maps.shape, seed)
    own, random = np.zeros(len(maps)), np.zeros(len(maps))
    for sample in range(samples):
        moved = torch.from_numpy(rng.uniform(-radius, radius, images.shape)).to(images)
        near = explainer((images + moved).clamp(0, 1), targets, seed)
        own = np.maximum(own, _change(maps, check_maps(near, images)))
        random = np.maximum(random, _change(noise, random_maps(maps.shape, seed + 1 + sample)))
    return score(
        "max_sensitivity", "lower", own, {"random": random, "constant": np.zeros(len(maps))},
        opponents=("random",), seed=seed,
    )  # fmt: skip


def _change(one: Maps, two: Maps) -> NDArray[np.float64]:
    size = np.linalg.norm(one.reshape(len(one), -1), axis=1)
    moved = np.linalg.norm((one - two).reshape(len(one), -1), axis=1)
    return np.asarray(np.where(size > 0, moved / np.where(size > 0, size, 1), np.nan))


def _conflicts(scores: Sequence[Score]) -> tuple[tuple[int, int, float | None], ...]:
    def turned(item: Score) -> NDArray[np.float64]:
        sign = 1 if item.better == "higher" else -1
        return sign * np.array([np.nan if value is None else value for value in item.values])

    def tau(one: Score, two: Score) -> float | None:
        pairs = np.stack([turned(one), turned(two)])
        known = pairs[:, np.isfinite(pairs).all(0)]
        if known.shape[1] < 2 or (np.ptp(known, axis=1) == 0).any():  # noqa: PLR2004 - a pair
            return None
        return float(stats.kendalltau(*known).statistic)

    return tuple(
        (first, second, tau(scores[first], scores[second]))
        for first, second in combinations(range(len(scores)), 2)
    )

"""Evolved maps: how much each part of an image keeps a prediction, from outputs alone.

Smooth masks over a coarse grid are evolved and what was learned of them is drawn as a heat map. Two
engines: `de`, differential evolution after Karatsiolis, Kamilaris 2022 (DE-CAM-style, not a
reproduction: only the abstract was read), whose map is its best mask; and `cem`, cross-entropy
evolution with a regression on all it tried.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from governance.errors import AnalysisError
from governance.methods.evolved import cross_entropy, differential
from governance.methods.evolved.soft_masks import Trials, resized
from governance.methods.evolved.subsets import KEPT_SHARE
from governance.methods.image_tensors import Images, tensor_of
from governance.methods.masking import Forward, Predict
from governance.methods.masking.superpixels import Baseline, check_image, replacement

__all__ = [
    "CELLS",
    "ENGINES",
    "Engine",
    "EvolvedMap",
    "MapStatus",
    "evolve_map",
    "rank_correlation",
]

Engine = Literal["cem", "de"]
MapStatus = Literal["mapped", "flat", "undefined_baseline"]
Numbers = NDArray[np.float64]

Search = Callable[[Trials, int, np.random.Generator], tuple[Numbers, Numbers]]

SEARCHES: Mapping[Engine, Search] = MappingProxyType(
    {"cem": cross_entropy.search, "de": differential.search}
)
ENGINES: tuple[Engine, ...] = tuple(SEARCHES)
SMALLEST_BUDGET = 20
CELLS = (2, 32)  # cells a side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvolvedMap:
    """A heat map of an image for one class.

    Attributes:
        engine: Engine that evolved it.
        status: `mapped`; `flat`: no mask made a difference, the map is 0 everywhere;
            `undefined_baseline`: the baseline image alone already keeps the label and nine tenths
            of its probability, so that no part means anything: nothing was searched, the map is 0.
        target: The class explained.
        label: The class predicted for the full image.
        heatmap: (H, W) from 0 to 1: more keeps the target's probability more.
        grid: (grid, grid) the same in its cells.
        p_full: Probability of the target for the full image.
        p_baseline: For the baseline image.
        evaluations: Forward passes of single images, all of them counted.
        stability: Rank correlation of the maps that the two halves of the search give: runs with
            other seeds agree about as well. None where a half gives none.
    """

    engine: Engine
    status: MapStatus
    target: int
    label: int
    heatmap: Numbers
    grid: Numbers
    p_full: float
    p_baseline: float
    evaluations: int
    stability: float | None


def evolve_map(
    predict: Predict,
    image: Images,
    target: int | None = None,
    *,
    seed: int = 0,
    budget: int = 520,
    grid: int = 7,
    engine: Engine = "cem",
    baseline: Baseline | Images = "blur",
    batch_size: int | None = None,
) -> EvolvedMap:
    """Map which parts of an image keep a prediction, from outputs alone.

    Args:
        predict: Maps float32 (B, C, H, W) in [0, 1] to probabilities (B, K); nothing else is used.
        image: (C, H, W) in [0, 1], grey or RGB; masks are composed on its device.
        target: Class to explain; None for the predicted one.
        seed: Seed of every random choice; the same seed on the same device gives the same map.
        budget: Forward passes of single images, at most.
        grid: Cells a side, 2 to 32.
        engine: `cem` or `de`.
        baseline: What removed pixels are replaced with: `blur`, `mean`, `black`, `noise`,
            `superpixel`, or a tensor (C, H, W).
        batch_size: Images per forward pass; None chooses. Halved when memory runs out.

    Raises:
        AnalysisError: If the image, the target, the numbers or the predictor's answers cannot be.
    """
    image = tensor_of(image)
    _check(budget, grid, engine)
    check_image(image)
    image = image.to(torch.float32).contiguous()
    filled = replacement(image, baseline, seed)
    forward = Forward(predict, batch_size, image)
    ends = torch.stack([image, filled])
    told = forward(2, lambda start, stop: ends[start:stop])
    label = int(told[0].argmax())
    if target is not None and not 0 <= target < told.shape[1]:
        raise AnalysisError(f"target = {target}: 0 to {told.shape[1] - 1} are accepted")
    own = label if target is None else target
    full, empty = float(told[0, own]), float(told[1, own])
    trials = Trials(forward, image, filled, target=own, full=max(full, empty), budget=budget)
    decided = told[1].argmax() == own and empty >= KEPT_SHARE * full
    status: MapStatus = "undefined_baseline"
    values, stability = np.zeros((grid, grid)), None
    if not decided:
        status, values, stability = _searched(trials, engine, grid, seed)
    heat = _scaled(resized(values, *image.shape[1:]))
    return EvolvedMap(
        engine=engine,
        status=status,
        target=own,
        label=label,
        heatmap=heat,
        grid=_scaled(resized(values, grid, grid)),
        p_full=full,
        p_baseline=empty,
        evaluations=trials.spent,
        stability=stability,
    )


def _check(budget: int, grid: int, engine: str) -> None:
    problems = []
    if budget < SMALLEST_BUDGET:
        problems.append(
            f"budget = {budget}: {SMALLEST_BUDGET} forward passes and more are accepted"
        )
    if not CELLS[0] <= grid <= CELLS[1]:
        problems.append(f"grid = {grid}: {CELLS[0]} to {CELLS[1]} cells a side are accepted")
    if engine not in ENGINES:
        problems.append(f"engine {engine!r}: {', '.join(ENGINES)} are accepted")
    if problems:
        raise AnalysisError(problems)


def _searched(
    trials: Trials, engine: Engine, grid: int, seed: int
) -> tuple[MapStatus, Numbers, float | None]:
    values, halves = SEARCHES[engine](trials, grid, np.random.default_rng(seed))
    if not (np.ptp(trials.p) and np.ptp(values)):
        # What an engine then says of the places is chance.
        return "flat", np.zeros((grid, grid)), None
    both = np.ptp(halves, axis=(1, 2)).all()
    return "mapped", values, rank_correlation(*halves) if both else None


def rank_correlation(one: Numbers, two: Numbers) -> float:
    """Spearman's correlation of two maps of one shape, neither of them flat: -1 to 1."""
    return float(np.clip(stats.spearmanr(one.ravel(), two.ravel()).statistic, -1, 1))


def _scaled(values: Numbers) -> Numbers:
    span = np.ptp(values)
    return np.asarray((values - values.min()) / span) if span > 0 else np.zeros_like(values)

"""Explanation: which part of an image a prediction rests on, found by an evolved search.

After Wang, Pei, Xue, Zhang 2022 (Evolving local explanations, arXiv 2211.15143): superpixels chosen
by a genetic algorithm from a model's outputs alone. Not a reproduction: only the abstract was read.
Their objective, the probability alone, is `mode="confidence"`; the default asks for enough of the
probability first and then for the smallest area, starts from greedy and ranked subsets, and ends
with a subset of which no single superpixel can be spared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import AnalysisError
from governance.methods.evolved.descent import ridge
from governance.methods.evolved.evolution import (
    Found,
    Plan,
    alternatives,
    find,
    plan,
    random_percentile,
)
from governance.methods.evolved.subsets import KEPT_SHARE, MODES, Goal, Mode, Search, Steps
from governance.methods.image_tensors import Images, tensor_of
from governance.methods.masking import Ask, Bits, Forward, Predict, Scene, answer
from governance.methods.masking.superpixels import (
    Baseline,
    baseline_image,
    check_image,
    paper_superpixels,
    replacement,
    superpixels,
)

__all__ = ["FOUND", "Explanation", "Point", "Profile", "Status", "evolve", "evolve_many"]

Status = Literal["sufficient", "fragile", "not_found", "undefined_baseline"]
Profile = Literal["own", "paper"]

#: Of these, the ones with a region that means anything.
FOUND: tuple[Status, ...] = ("sufficient", "fragile")

Segments = int | NDArray[np.integer] | Tensor | None

SMALLEST_BUDGET = 20
HEAT_PENALTY = 40.0  # of the heat map: most of the archive lies around a few subsets
CHECKS: tuple[Baseline, ...] = ("mean", "blur", "noise", "black")  # the first other one decides
GIVEN = "given"


class Point(NamedTuple):
    """A subset that no other evaluated one beats in both size and probability.

    Attributes:
        size: Superpixels chosen.
        area: Share of the pixels chosen.
        probability: Probability of the target for the chosen part, or for the rest where the goal
            is a removal.
    """

    size: int
    area: float
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """A subset of an image's superpixels with what the model says of it.

    Attributes:
        mode: Goal of the search.
        status: `sufficient`: the goal is reached, and the label holds under the second baseline
            (for removals: its change holds). `fragile`: reached under the search's baseline alone.
            `not_found`: the nearest subset is given. `undefined_baseline`: the baseline image
            itself already decides, so no subset means anything and none is given.
        target: The class explained.
        against: The class it is contrasted with, if any.
        label: The class predicted for the full image.
        mask: (H, W) true in the chosen region: kept, or removed for `necessary`, `contrastive`.
        selected: (n,) the chosen superpixels.
        segments: (H, W) superpixel of each pixel.
        heatmap: (H, W) log odds that a superpixel adds, by ridge regression on all evaluated
            subsets, strongly shrunk since most of these are alike: a by-product at no further pass.
        p_full: Probability of the target for the full image.
        p_subset: With only the chosen region kept.
        p_rest: With only the chosen region removed.
        p_baseline: With everything removed.
        area: Share of the pixels chosen.
        seed_area: The same for the best start: ranked, grown or trimmed, before anything was
            exchanged, bred or (from a budget of 250) shrunk; None if none reached the goal.
        evaluations: Forward passes of single images, all of them counted.
        cache_hits: Subsets asked for again at no pass.
        one_minimal: Whether every single superpixel of the subset was tried and cannot be spared.
        pareto: Points, smallest first.
        cross_baseline: Probability of the target for the same subset under other baselines.
        second_baseline: The one of them that `status` rests on.
        alternatives: Further subsets (n,) that reach the goal, disjoint from it and each other.
        random_percentile: Share of random subsets of like area that are worse, ties half; None
            where the budget has no room for it.
        stability: Mean Jaccard index of the regions that independent islands of one search ended
            with; None where the budget has no room for them. All start from the same ranked
            subsets: runs with other seeds agree less.
    """

    mode: Mode
    status: Status
    target: int
    against: int | None
    label: int
    mask: Bits
    selected: Bits
    segments: NDArray[np.int64]
    heatmap: NDArray[np.float64]
    p_full: float
    p_subset: float
    p_rest: float
    p_baseline: float
    area: float
    seed_area: float | None
    evaluations: int
    cache_hits: int
    one_minimal: bool
    pareto: tuple[Point, ...]
    cross_baseline: Mapping[str, float]
    second_baseline: str
    alternatives: tuple[Bits, ...]
    random_percentile: float | None
    stability: float | None


def evolve(
    predict: Predict,
    image: Images,
    target: int | None = None,
    *,
    seed: int = 0,
    budget: int = 600,
    mode: Mode = "sufficient",
    baseline: Baseline | Images = "blur",
    segments: Segments = None,
    batch_size: int | None = None,
    profile: Profile = "own",
) -> Explanation:
    """Find the small region of an image that a prediction rests on, from outputs alone.

    Args:
        predict: Maps float32 (B, C, H, W) in [0, 1] to probabilities (B, K); nothing else is used.
        image: (C, H, W) in [0, 1], grey or RGB; masks are composed on its device.
        target: Class to explain; None for the predicted one. For `contrastive` the class that the
            predicted one is contrasted with.
        seed: Seed of every random choice; the same seed on the same device gives the same result.
        budget: Forward passes of single images, at most, checks included.
        mode: `sufficient`: the smallest area that alone keeps the label and 0.9 of the
            probability. `necessary`: the smallest whose removal changes the label. `contrastive`:
            the smallest whose removal makes the other class likelier than the predicted one.
            `pareto`: breeds along the whole front of size and probability; the subset given is
            the smallest sufficient one. `confidence`: the most probable subset of any size.
        baseline: What removed pixels are replaced with: `blur`, `mean`, `black`, `noise`,
            `superpixel`, or a tensor (C, H, W).
        segments: Superpixels wanted, or a label map (H, W); None chooses by size.
        batch_size: Images per forward pass; None chooses. Halved when memory runs out.
        profile: `paper` re-creates what is known of the published method: mode `confidence`,
            baseline `black`, SLIC with 100 segments and sigma 5. The search itself is ours.

    Raises:
        AnalysisError: If the image, the target, the numbers or the predictor's answers cannot be.
    """
    image = tensor_of(image)
    return evolve_many(
        predict, image[None], None if target is None else [target], seed=seed, budget=budget,
        mode=mode, baseline=baseline, segments=segments, batch_size=batch_size, profile=profile,
    )[0]  # fmt: skip


def evolve_many(
    predict: Predict,
    images: Images | Sequence[Images],
    targets: Sequence[int | None] | None = None,
    *,
    seed: int = 0,
    budget: int = 600,
    mode: Mode = "sufficient",
    baseline: Baseline | Images = "blur",
    segments: Segments = None,
    batch_size: int | None = None,
    profile: Profile = "own",
) -> list[Explanation]:
    """`evolve` for images (N, C, H, W) of one size, their subsets sharing every forward pass."""
    given = [tensor_of(image) for image in images]
    targets = [None] * len(given) if targets is None else list(targets)
    _check(len(given), len(targets), budget, mode, targets)
    if profile != "own":
        mode, baseline = _as_published(profile, mode, baseline, segments)
    if not given:
        return []
    scenes, searches = [], []
    for image, target in zip(given, targets, strict=True):
        check_image(image)
        pixels = image.to(torch.float32).contiguous()
        if profile == "paper":
            labels = paper_superpixels(pixels)
        else:
            regions = segments.cpu().numpy() if isinstance(segments, Tensor) else segments
            labels = superpixels(pixels, regions)
        shares = plan(budget)
        scene, names = _scene(pixels, labels, baseline, seed, shares.checks)
        scenes.append(scene)
        searches.append(_search(labels, names, target, mode, shares, seed))
    return answer(Forward(predict, batch_size, scenes[0].image), searches, scenes)


def _check(
    images: int, targets_given: int, budget: int, mode: str, targets: Sequence[int | None]
) -> None:
    problems = []
    if targets_given != images:
        problems.append(f"{targets_given} targets for {images} images; one each is accepted")
    if budget < SMALLEST_BUDGET:
        problems.append(
            f"budget = {budget}: {SMALLEST_BUDGET} forward passes and more are accepted"
        )
    if mode not in MODES:
        problems.append(f"mode {mode!r}: {', '.join(MODES)} are accepted")
    if mode == "contrastive" and None in targets:
        problems.append("mode 'contrastive' needs a target: the class to contrast with")
    if problems:
        raise AnalysisError(problems)


def _as_published(
    profile: str, mode: Mode, baseline: Baseline | Images, segments: Segments
) -> tuple[Mode, Baseline]:
    if profile != "paper":
        raise AnalysisError(f"profile {profile!r}: own, paper are accepted")
    stray = [
        name
        for name, fits in (
            ("mode", mode in {"sufficient", "confidence"}),
            ("baseline", isinstance(baseline, str) and baseline in {"blur", "black"}),
            ("segments", segments is None),
        )
        if not fits
    ]
    if stray:
        raise AnalysisError(f"profile 'paper' sets {', '.join(stray)} itself; none is accepted")
    return "confidence", "black"


def _scene(
    image: Tensor,
    labels: NDArray[np.int64],
    baseline: Baseline | Images,
    seed: int,
    checks: int,
) -> tuple[Scene, list[str]]:
    own = baseline if isinstance(baseline, str) else GIVEN
    names = [own, *(name for name in CHECKS if name != own)][: 1 + checks]
    others = {name: baseline_image(image, name, labels, seed) for name in names[1:]}
    flat = torch.from_numpy(labels).to(image.device).flatten()
    return Scene(
        image=image,
        labels=flat,
        replacements={own: replacement(image, baseline, seed, labels), **others},
    ), names


def _search(
    labels: NDArray[np.int64],
    names: Sequence[str],
    target: int | None,
    mode: Mode,
    budget: Plan,
    seed: int,
) -> Steps[Explanation]:
    pixels = np.bincount(labels.ravel())
    ends = Ask(np.array([[True] * len(pixels), [False] * len(pixels)]), names[0])
    told = yield ends
    search = Search(_goal(told[0], target, mode), pixels, ends, told)
    if search.goal.met(told[1:])[0] == (mode != "necessary") and mode != "contrastive":
        return _explain(search, labels, told, names)
    centre = _centres(labels)
    found = yield from find(search, centre, budget, seed)
    best = search.best()
    chosen = search.chosen(best)
    yield from search.evaluate(np.stack([chosen, ~chosen]), budget.others)
    others: list[Bits] = []
    if search.met[best]:
        others = yield from alternatives(search, chosen, centre, budget.others)
    percentile = yield from random_percentile(search, best, search.spent + budget.controls, seed)
    cross = {}
    for name in names[1:]:
        cross[name] = (yield Ask(chosen[None] ^ search.goal.removes, name))[0]
        search.spent += 1
    return _explain(
        search, labels, told, names, best=best, found=found, others=others, percentile=percentile,
        cross=cross,
    )  # fmt: skip


def _goal(full: NDArray[np.float32], target: int | None, mode: Mode) -> Goal:
    label = int(full.argmax())
    if target is not None and not 0 <= target < len(full):
        raise AnalysisError(f"target = {target}: 0 to {len(full) - 1} are accepted")
    if mode == "contrastive":
        if target == label or target is None:
            raise AnalysisError(
                f"target = {target} is the predicted class; another one is accepted"
            )
        return Goal(mode, label, target, 0.0)
    own = label if target is None else target
    if mode == "necessary" and own != label:
        raise AnalysisError(
            f"target = {own} where class {label} is predicted; mode 'necessary' accepts the "
            "predicted class"
        )
    return Goal(mode, own, own, KEPT_SHARE * float(full[own]))


def _centres(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    pixels = np.bincount(labels.ravel())
    rows, columns = np.indices(labels.shape)
    sums = [np.bincount(labels.ravel(), weights=axis.ravel()) for axis in (rows, columns)]
    return np.stack(sums, axis=1) / pixels[:, None]


def _explain(
    search: Search,
    labels: NDArray[np.int64],
    told: NDArray[np.float32],
    names: Sequence[str],
    *,
    best: int | None = None,
    found: Found | None = None,
    others: Sequence[Bits] = (),
    percentile: float | None = None,
    cross: Mapping[str, NDArray[np.float32]] | None = None,
) -> Explanation:
    goal, cross = search.goal, cross or {}
    p = search.archive.probabilities[:, goal.target].astype(float)
    chosen = np.zeros(len(search.pixels), dtype=np.bool_) if best is None else search.chosen(best)
    kept, rest = search.archive.find(np.stack([chosen, ~chosen]))
    own = goal._replace(mode="sufficient").value(search.archive.probabilities)
    weights, _ = ridge(search.archive.keep, own, strength=HEAT_PENALTY)
    total = int(search.pixels.sum())
    seeded = found is not None and bool(search.met[found.seed])
    return Explanation(
        mode=goal.mode,
        status=_status(search, best, cross.get(names[1])),
        target=goal.target,
        against=goal.against if goal.mode == "contrastive" else None,
        label=int(told[0].argmax()),
        mask=chosen[labels],
        selected=chosen,
        segments=labels,
        heatmap=weights[labels],
        p_full=float(told[0, goal.target]),
        p_subset=float(p[kept]),
        p_rest=float(p[rest]),
        p_baseline=float(told[1, goal.target]),
        area=float(chosen @ search.pixels) / total,
        seed_area=float(search.size[found.seed]) / total if found and seeded else None,
        evaluations=search.spent,
        cache_hits=search.archive.hits,
        one_minimal=found is not None and found.minimal,
        pareto=tuple(
            Point(
                int(search.chosen(int(row)).sum()), float(search.size[row]) / total, float(p[row])
            )
            for row in search.front()
        ),
        cross_baseline={name: float(answer[goal.target]) for name, answer in cross.items()},
        second_baseline=names[1],
        alternatives=tuple(others),
        random_percentile=percentile,
        stability=found.agreement if found else None,
    )


def _status(search: Search, best: int | None, second: NDArray[np.float32] | None) -> Status:
    if best is None or second is None:
        return "undefined_baseline"
    if not search.met[best]:
        return "not_found"
    return "sufficient" if search.goal.holds(second[None])[0] else "fragile"

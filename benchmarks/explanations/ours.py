"""Our two methods, and those that need no library: RISE, greedy growth, controls."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from benchmarks.explanations.cases import BATCH, Case
from benchmarks.explanations.found import Found
from governance.methods.evolved import evolve, evolve_map
from governance.methods.evolved.subsets import KEPT_SHARE
from governance.methods.masking import Ask, Scene
from governance.methods.masking.superpixels import baseline_image, superpixels

__all__ = ["METHODS", "Method"]

# What is yielded first is timed; the rest comes from the same passes.
Method = Callable[[Case, int], Iterator[tuple[str, Found]]]

RISE_PASSES, RISE_EARLY = 2000, 520
RISE_GRID, RISE_KEPT = 7, 0.5
GREEDY_PASSES = 3000  # where greedy growth gives up
BELL = 0.25  # standard deviation of the centre prior, in sides of the image


def evolved(budget: int, *, mode: str = "sufficient", measure: bool = True) -> Method:
    """`evolve` at a budget."""

    def find(case: Case, seed: int) -> Iterator[tuple[str, Found]]:
        e = evolve(case.predict, case.pixels, case.target, seed=seed, budget=budget,
                   mode=mode, batch_size=BATCH)  # type: ignore[arg-type]  # fmt: skip
        name = f"evolve, {budget}" if mode == "sufficient" else f"evolve, {mode}, {budget}"
        yield name, Found(e.heatmap, e.segments, e.mask, measure=measure)

    return find


def mapped(budget: int, engine: str = "cem") -> Method:
    """`evolve_map` at a budget."""

    def find(case: Case, seed: int) -> Iterator[tuple[str, Found]]:
        e = evolve_map(case.predict, case.pixels, case.target, seed=seed, budget=budget,
                       engine=engine, batch_size=BATCH)  # type: ignore[arg-type]  # fmt: skip
        name = f"evolve_map, {budget}" if engine == "cem" else f"evolve_map, {engine}, {budget}"
        yield name, Found(e.heatmap)

    return find


def rise(case: Case, seed: int) -> Iterator[tuple[str, Found]]:
    """RISE (Petsiuk, Das, Saenko 2018): 7 x 7 cells, half kept, shifted; blurred where hidden.

    The first 520 of its passes are the map at that budget.
    """
    rng = torch.Generator().manual_seed(seed)
    height, width = case.pixels.shape[1:]
    cell = -(-height // RISE_GRID), -(-width // RISE_GRID)
    size = (RISE_GRID + 1) * cell[0], (RISE_GRID + 1) * cell[1]
    heat = torch.zeros(2, height, width, dtype=torch.float64)
    early, done = heat.numpy(), 0
    while done < RISE_PASSES:
        count = min(BATCH, RISE_PASSES - done)
        kept = torch.rand(count, 1, RISE_GRID + 1, RISE_GRID + 1, generator=rng) < RISE_KEPT
        large = functional.interpolate(kept.float(), size=size, mode="bilinear")
        shift = torch.stack([torch.randint(n, (count,), generator=rng) for n in cell], 1).tolist()
        masks = torch.stack([
            mask[:, y : y + height, x : x + width]
            for mask, (y, x) in zip(large, shift, strict=True)
        ])  # fmt: skip
        p = case.predict(torch.lerp(case.baselines["blur"], case.pixels, masks))
        heat += torch.einsum("bk,bhw->khw", p[:, [case.target, case.wrong]], masks[:, 0])
        done += count
        if done == RISE_EARLY:
            early = heat.numpy().copy()
    yield f"RISE, {RISE_PASSES}", Found(heat[0].numpy())
    yield f"RISE, {RISE_PASSES}", Found(heat[1].numpy(), null=True)
    yield f"RISE, {RISE_EARLY}", Found(early[0], passes=RISE_EARLY)
    yield f"RISE, {RISE_EARLY}", Found(early[1], null=True)


def greedy(case: Case, _: int) -> Iterator[tuple[str, Found]]:
    """Add the superpixel that helps most until the region suffices, then drop what can be spared.

    As plain as it comes, on the superpixels of `evolve`; what it learned first is its ranking.
    """
    labels = superpixels(case.pixels)
    n = int(labels.max()) + 1
    scene = Scene(
        image=case.pixels, labels=torch.from_numpy(labels).flatten(),
        replacements={"blur": baseline_image(case.pixels, "blur", labels)},
    )  # fmt: skip

    def asked(keep: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        p = np.concatenate([
            case.predict(scene.compose(Ask(keep[i : i + BATCH], "blur"))).numpy()
            for i in range(0, len(keep), BATCH)
        ])  # fmt: skip
        own = p[:, case.target]
        return own, (p.argmax(1) == case.target) & (own >= KEPT_SHARE * case.p_full)

    kept = np.zeros(n, dtype=np.bool_)
    rank = np.zeros(n)
    met = False
    while not met and not kept.all() and case.predict.passes < GREEDY_PASSES:
        free = np.flatnonzero(~kept)
        trials = kept | np.eye(n, dtype=np.bool_)[free]
        own, good = asked(trials)
        best = int(own.argmax())
        rank[free] = np.where(rank[free] > 0, rank[free], own)
        kept, met = trials[best], bool(good[best])
    while met and kept.sum() > 1:
        members = np.flatnonzero(kept)
        own, good = asked(kept & ~np.eye(n, dtype=np.bool_)[members])
        if not good.any():
            break
        kept[members[np.where(good, own, -1).argmax()]] = False
    yield "greedy", Found(rank[labels], labels, kept[labels] if met else None, measure=False)


def random(case: Case, seed: int) -> Iterator[tuple[str, Found]]:
    """The superpixels in random order: a control."""
    labels = superpixels(case.pixels)
    heat = np.random.default_rng([seed, case.wrong]).random(int(labels.max()) + 1)
    yield "random", Found(heat[labels], labels)


def centre(case: Case, _: int) -> Iterator[tuple[str, Found]]:
    """A bell in the middle, whatever the image: a control."""
    y, x = (np.linspace(-1, 1, side) for side in case.pixels.shape[1:])
    yield "centre", Found(np.exp(-(y[:, None] ** 2 + x**2) / (2 * (2 * BELL) ** 2)))


METHODS: dict[str, Method] = {
    "evolve, 50": evolved(50, measure=False),
    "evolve, 100": evolved(100, measure=False),
    "evolve, 600": evolved(600),
    "evolve, confidence, 600": evolved(600, mode="confidence", measure=False),
    "evolve_map, 520": mapped(520),
    "evolve_map, de, 520": mapped(520, "de"),
    "RISE, 2000": rise,
    "greedy": greedy,
    "random": random,
    "centre": centre,
}

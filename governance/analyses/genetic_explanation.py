"""Genetic explanation: which part of an image alone carries the model's decision.

Purpose:
    To show what the model looks at, on images chosen by rule, and whether that can be believed: a
    decision that rests on a corner, a border or scattered crumbs is a finding about the model.

Method:
    An image is cut into superpixels (a grid below 64 pixels a side). A budgeted search over the
    model's outputs alone looks for the smallest region that, with everything else replaced by a
    blurred copy, keeps the label and nine tenths of its probability: ranked and greedy regions
    first, then a population bred by crossover and by dropping, adding and swapping superpixels,
    then removal of every superpixel that can be spared. After Wang, Pei, Xue, Zhang 2022; not a
    reproduction: only the abstract was read. Controls: the label must hold with the rest replaced
    by the image's mean colour as well (else the region is "fragile"); random regions of the same
    area; the search repeated with other seeds; and the same kind of search asked to raise the
    probability of a random wrong class. Images are taken evenly over the classes by four rules:
    worst (lowest probability of the true class), borderline (smallest lead of the first class over
    the second), best (highest probability of the true class) and random (by the model's digest).

Signs of risk:
    Regions outside the object; a small share of "sufficient" regions and many "fragile" ones;
    wrong classes that can be explained as well as right ones; low stability over seeds; random
    regions that do as well. A minute region with full probability means that the model decides on
    a detail, which is not proof that it ignores the rest.

Limits:
    A region is enough for the model, not the only one that is, and not a cause. Replaced pixels
    are unlike any photo, so a probability under a baseline is not one of the real world; and a
    blurred image still shows colours and coarse shapes: where "p baseline" is high, the region is
    only what these lack. The
    search is a heuristic: no single superpixel can be spared, yet a smaller region may exist. The
    images chosen by the worst, borderline and best rules are no random sample: shares describe the
    images listed and their intervals read as if these were drawn at random.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from governance import figures, intervals
from governance.evidence import Cell, Figure, Interval, Measurement, Metric, Table
from governance.explanation import Explanation, evolve, evolve_many
from governance.explanation.selection import Choice, choose
from governance.masking.superpixels import FEWEST, MOST, Baseline
from governance.subject import Subject

__all__ = ["Explanation", "GeneticExplanation", "evolve"]

SHOWN = 24  # pictures in the gallery
SURE = 0.5  # probability from which a wrong class counts as explained
FOUND = ("sufficient", "fragile")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneticExplanation:
    """Evolved smallest sufficient regions of images chosen by rule, with controls.

    Attributes:
        images: Explained, in equal parts by the four rules, evenly over the true classes.
        budget: Forward passes of single images that one explanation may spend, at most.
        segments: Superpixels; None for 64 at 224 x 224 pixels, 32 to 100 by size, a grid of 36 to
            64 cells below 64 pixels a side.
        baseline: What removed pixels are replaced with.
        repeated: Images explained again with other seeds.
        seeds: Seeds in all for each of these.
        wrong_classes: Images for which the probability of a random wrong class is raised.
        wrong_budget: Forward passes for each of these.
    """

    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "share_sufficient": Metric(
                meaning="Share of images with a sufficient region that holds its label under a "
                "second baseline.",
                better="higher",
            ),
            "share_fragile": Metric(
                meaning="Share of images whose sufficient region loses its label under a second "
                "baseline.",
                better="lower",
            ),
            "area_median": Metric(
                meaning="Median share of the pixels in the regions that reach sufficiency.",
                better="lower",
            ),
            "stability": Metric(
                meaning="Mean Jaccard index of the regions found with different seeds.",
                better="higher",
            ),
            "null_class_rate": Metric(
                meaning="Share of random wrong classes raised above probability 0.5 under two "
                "baselines.",
                better="lower",
            ),
            "random_percentile": Metric(
                meaning="Median share of random regions of the same area that do worse than the "
                "region found; 0.5 is chance.",
                better="higher",
            ),
        }
    )

    images: int = 24
    budget: int = 600
    segments: int | None = None
    baseline: Baseline = "blur"
    repeated: int = 6
    seeds: int = 3
    wrong_classes: int = 24
    wrong_budget: int = 200

    def __post_init__(self) -> None:
        least = {"images": 1, "budget": 20, "repeated": 0, "seeds": 2, "wrong_classes": 0}
        for name, lowest in (least | {"wrong_budget": 20}).items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} = {getattr(self, name)}: {lowest} and more are accepted")
        if self.segments is not None and not FEWEST <= self.segments <= MOST:
            raise ValueError(f"segments = {self.segments}: {FEWEST} to {MOST} are accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Explain images of the subject, with every control."""
        rng = np.random.default_rng([seed, int(subject.identity.digest.split(":")[-1][:15], 16)])
        choices = choose(subject.predictions(), subject.validation.labels, self.images, rng)
        search = partial(
            evolve_many, subject.probabilities, segments=self.segments, baseline=self.baseline,
            batch_size=subject.batch_size,
        )  # fmt: skip
        pixels = subject.pixels([choice.image for choice in choices])
        found = search(pixels, seed=seed, budget=self.budget)
        again = [
            search(pixels[: self.repeated], seed=seed + step, budget=self.budget)
            for step in range(1, self.seeds if self.repeated else 1)
        ]
        stability = _agreement([found[: self.repeated], *again])
        targets = [_wrong(item, subject, rng) for item in found[: self.wrong_classes]]
        wrong = search(
            pixels[: self.wrong_classes], targets, seed=seed, budget=self.wrong_budget,
            mode="confidence",
        )  # fmt: skip
        values, spread = _metrics(found, stability, wrong, seed)
        passes = sum(item.evaluations for run in [found, *again, wrong] for item in run)
        return Measurement(
            metrics=values,
            intervals=spread,
            figures=_pictures(subject, choices, found, pixels.cpu().numpy()),
            tables=(
                _images(subject, choices, found),
                _repeats(subject, choices, found, stability, self.seeds),
                _wrong_table(subject, choices, wrong),
            ),
            notes=(*_notes(choices, found), f"{passes} forward passes of single images in all."),
        )


def _wrong(item: Explanation, subject: Subject, rng: np.random.Generator) -> int:
    others = [k for k in range(len(subject.validation.class_names)) if k != item.label]
    return int(rng.choice(others))


def _agreement(runs: list[list[Explanation]]) -> list[float | None]:
    # Per image, over all pairs of seeds; nothing where no region means anything.
    shares: list[float | None] = []
    for items in zip(*runs, strict=True):
        if len(items) < 2 or any(item.status not in FOUND for item in items):  # noqa: PLR2004 - a pair
            shares.append(None)
            continue
        pairs = [
            (a.mask & b.mask).sum() / (a.mask | b.mask).sum() for a, b in combinations(items, 2)
        ]
        shares.append(float(np.mean(pairs)))
    return shares


def _survives(item: Explanation) -> bool:
    # For the wrong class: above one half under the search's baseline and under a second.
    return item.p_subset > SURE and item.cross_baseline.get(item.second_baseline, 0.0) > SURE


def _metrics(
    found: list[Explanation],
    stability: list[float | None],
    wrong: list[Explanation],
    seed: int,
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    areas = [item.area for item in found if item.status in FOUND]
    percentiles = [item.random_percentile for item in found if item.random_percentile is not None]
    agreed = [share for share in stability if share is not None]
    counts = {
        "share_sufficient": (sum(item.status == "sufficient" for item in found), len(found)),
        "share_fragile": (sum(item.status == "fragile" for item in found), len(found)),
        "null_class_rate": (sum(map(_survives, wrong)), len(wrong)),
    }
    values: dict[str, float | None] = {
        name: hits / n if n else None for name, (hits, n) in counts.items()
    }
    spread = {name: intervals.wilson(hits, n) for name, (hits, n) in counts.items()}
    for name, data, statistic in (
        ("area_median", areas, np.median),
        ("random_percentile", percentiles, np.median),
        ("stability", agreed, np.mean),
    ):
        values[name] = float(statistic(data)) if data else None
        spread[name] = intervals.bootstrap(statistic, data, seed)
    return values, {name: item for name, item in spread.items() if item is not None}


def _images(subject: Subject, choices: list[Choice], found: list[Explanation]) -> Table:
    names = subject.validation.class_names
    rows: list[tuple[Cell, ...]] = [
        (
            subject.validation.ids[choice.image],
            names[int(subject.validation.labels[choice.image])],
            names[item.label],
            choice.rule,
            item.status,
            f"{int(item.selected.sum())}/{len(item.selected)}",
            item.area,
            item.p_full,
            item.p_subset,
            item.p_baseline,
            item.cross_baseline.get(item.second_baseline),
            item.random_percentile,
            item.p_rest,
            item.seed_area,
            len(item.alternatives),
            item.evaluations,
        )
        for choice, item in zip(choices, found, strict=True)
    ]
    second = found[0].second_baseline
    return Table(
        name="images",
        caption=f"One row an image, n = {len(rows)}: the rule that chose it, the region found, and "
        "the probability of the predicted class for the full image, the region alone, the rest, "
        f"the baseline alone and the region under a second baseline ({second}). Probabilities are "
        "the model's own.",
        columns=(
            "image", "true", "predicted", "rule", "status", "segments", "area",
            "p full", "p region", "p baseline", "p second baseline", "random regions beaten",
            "p rest", "area unbred", "further regions", "evaluations",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def _repeats(
    subject: Subject,
    choices: list[Choice],
    found: list[Explanation],
    stability: list[float | None],
    seeds: int,
) -> Table:
    rows = tuple(
        (subject.validation.ids[choice.image], item.status, seeds, share)
        for choice, item, share in zip(choices, found, stability, strict=False)
    )
    return Table(
        name="seeds",
        caption=f"Mean Jaccard index of the regions found with {seeds} seeds, over all pairs, for "
        f"n = {len(rows)} images; empty where a seed found no region.",
        columns=("image", "status", "seeds", "Jaccard"),
        rows=rows,
    )


def _wrong_table(subject: Subject, choices: list[Choice], wrong: list[Explanation]) -> Table:
    names = subject.validation.class_names
    rows = tuple(
        (
            subject.validation.ids[choice.image], names[item.label], names[item.target], item.area,
            item.p_full, item.p_baseline, item.p_subset,
            item.cross_baseline.get(item.second_baseline), _survives(item),
        )
        for choice, item in zip(choices, wrong, strict=False)
    )  # fmt: skip
    return Table(
        name="wrong_classes",
        caption="Control: the region that most raises the probability of a random class other than "
        f"the predicted one, n = {len(rows)}. It counts as explained where that probability is "
        "above 0.5 under the baseline of the search and under a second one; an empty region means "
        "that the baseline alone already shows that class, which explains nothing.",
        columns=(
            "image", "predicted", "wrong class", "area", "p full", "p baseline", "p region",
            "p second baseline", "explained",
        ),
        rows=rows,
    )  # fmt: skip


def _pictures(
    subject: Subject, choices: list[Choice], found: list[Explanation], pixels: NDArray[np.float32]
) -> tuple[Figure, ...]:
    names = subject.validation.class_names
    shown = list(zip(choices, found, pixels, strict=True))[:SHOWN]
    cells = [
        (
            f"{names[item.label]} {item.p_full:.2f}, {choice.rule}\n{_brief(item)}",
            figures.overlay(image, outline=item.mask if item.status in FOUND else None),
        )
        for choice, item, image in shown
    ]
    return (
        Figure(
            name="regions",
            caption=f"The regions that alone carry the decision, {len(shown)} images: predicted "
            "class with its probability, the rule that chose the image, status and share of the "
            "pixels. The rest is faded; an image shown plain has no region that means anything.",
            image=figures.gallery(cells),
        ),
    )


def _brief(item: Explanation) -> str:
    # Under a small picture there is room for about 20 letters.
    if item.status in FOUND:
        return f"{item.status}, {item.area:.1%}"
    return "undefined" if item.status == "undefined_baseline" else "not found"


def _notes(choices: list[Choice], found: list[Explanation]) -> tuple[str, ...]:
    bred = sum(item.seed_area is not None and item.area < item.seed_area for item in found)
    several = sum(bool(item.alternatives) for item in found)
    minimal = sum(item.one_minimal for item in found)
    states = {status: sum(item.status == status for item in found) for status in FOUND}
    undefined = sum(item.status == "undefined_baseline" for item in found)
    return (
        (
            f"{len(found)} images by {len({choice.rule for choice in choices})} rules: "
            f"{states['sufficient']} sufficient, {states['fragile']} fragile, {undefined} "
            "undefined (the baseline image alone already has the label and probability). "
            "Breeding made the region smaller than ranking and greedy growth alone did on "
            f"{bred} of {len(found)} images; on the others these did as well."
        ),
        (
            f"On {minimal} images every superpixel of the region was tried and none can be spared; "
            f"on {several} at least one more region, disjoint from it, is sufficient too."
        ),
    )

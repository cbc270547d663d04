"""Genetic explanation: which part of an image is enough for the model's decision?

Purpose
    This analysis shows what the model looks at on images chosen by rule, and whether that can be
    believed. A decision that rests on a corner, a border or scattered fragments is a finding about
    the model.

Method
    An image is cut into superpixels (a grid if it is smaller than 64 pixels a side). A search looks
    for the smallest sufficient region. A region is sufficient if it keeps the label and nine tenths
    of its probability while a blurred copy replaces everything else. The search uses the model's
    outputs alone and has a budget of forward passes. It starts with ranked and greedy regions and
    tries smaller neighbours of the best. It then breeds a population by crossover and by dropping,
    adding and swapping superpixels. At the end it removes every superpixel that can be spared. The
    method follows Wang, Pei, Xue, Zhang 2022. It is no reproduction, since only the abstract was
    read.

    There are four controls.

    - The label must also hold when the image's mean colour replaces the rest. If it does not, the
      region depends on the fill (status "fragile").
    - Random regions of the same area are tried.
    - The search is repeated with other seeds.
    - The same kind of search tries to raise the probability of a random wrong class.

    Heat maps of what each superpixel adds come from the same passes and undergo a self-test. Pixels
    are revealed (insertion) and removed (deletion) in the order of the heat map with two fill
    images, beside a random, a constant and a centred heat map. Some images are explained again with
    shuffled weights of the model. The agreement over seeds is measured. Evidence that fails the
    self-test is withdrawn.

    Images are chosen evenly over the classes by four rules: worst (lowest probability of the true
    class), borderline (smallest lead of the first class over the second), best (highest probability
    of the true class) and random (by the model's digest).

Signs of risk
    Regions lie outside the object. Few regions are "sufficient" and many are "fragile", so they
    depend on the fill. Wrong classes can be explained as well as right ones. Regions change with
    the seed. Random regions do as well. A centred heat map, which knows nothing of the model, does
    as well with both fill images. A tiny region with full probability means that the model decides
    on a detail. It does not prove that the model ignores the rest.

Limits
    A sufficient region is one of several possible ones and not a cause. Masked images are unlike
    any photo, so the probability of a masked image does not occur in practice. A blurred image
    still shows colours and coarse shapes. Where "p baseline" (the probability of the fill image
    alone) is high, the region shows only what the fill image lacks. The search is a heuristic: no
    single superpixel can be spared, yet a smaller region may exist. The images of the worst,
    borderline and best rules are no random sample. Shares therefore describe the listed images, and
    their intervals hold as if these had been drawn at random.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from torch import Tensor

from governance.methods.evolved import Explanation, Profile, evolve, evolve_many, tables
from governance.methods.evolved.explanation import FOUND
from governance.methods.evolved.pictures import pictures
from governance.methods.evolved.selection import choose
from governance.methods.faithfulness import (
    CURVES,
    MAP_METRICS,
    Check,
    Maps,
    SelfTest,
    agreement,
    self_test,
)
from governance.methods.masking.superpixels import FEWEST, MOST, Baseline
from governance.methods.statistics import intervals
from governance.records.evidence import Interval, Measurement, Metric
from governance.records.wording import missing
from governance.subject.network import Network
from governance.subject.subject import Needs, Subject

__all__ = ["Explanation", "GeneticExplanation", "evolve"]

#: On another machine sums are rounded otherwise, and a near tie of the search goes the other way
#: (`benchmarks/results/stacks.md`).
TOLERANCE = 0.1
STAGES = 2  # of the shuffled weights: the uppermost layer, and all


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneticExplanation:
    """Evolved smallest sufficient regions of images chosen by rule, with controls.

    Attributes:
        images: Number of images explained, in equal parts by the four rules and evenly over the
            true classes.
        budget: Largest number of forward passes of single images for one explanation. Below 160
            there is no room for random regions, and evidence without them is withdrawn.
        segments: Number of superpixels. None means 64 at 224 x 224 pixels, 32 to 100 by size, and
            a grid of 36 to 64 cells below 64 pixels a side.
        baseline: Fill image that replaces removed pixels.
        repeated: Number of images explained again with other seeds and with shuffled weights.
        seeds: Number of seeds for each of these images, the first included.
        profile: Kind of search. `paper` recreates what is known of the published method: the most
            probable region of any size on black, from 100 superpixels. It sets `segments` and
            `baseline` itself.
        wrong_classes: Number of images for which the search raises a random wrong class.
        wrong_budget: Largest number of forward passes for each of these images.
    """

    needs: ClassVar[Needs] = "probabilities"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "share_sufficient": Metric(
                meaning="Share of images with a sufficient region that keeps its label with a "
                "second fill image.",
                better="higher",
                tolerance=TOLERANCE,
            ),
            "share_fragile": Metric(
                meaning="Share of images whose sufficient region depends on the fill: it loses its "
                "label with a second fill image.",
                better="lower",
                tolerance=TOLERANCE,
            ),
            "area_median": Metric(
                meaning="Median share of the image's pixels in a sufficient region.",
                better="lower",
                tolerance=TOLERANCE,
            ),
            "stability": Metric(
                meaning="Mean Jaccard index of the regions found with different seeds.",
                better="higher",
                tolerance=TOLERANCE,
            ),
            "null_class_rate": Metric(
                meaning="Share of random wrong classes raised above probability 0.5 with two fill "
                "images.",
                better="lower",
                tolerance=TOLERANCE,
            ),
            "random_percentile": Metric(
                meaning="Median share of random regions of the same area that do worse than the "
                "region found; 0.5 is chance.",
                better="higher",
                tolerance=TOLERANCE,
            ),
            **{name: replace(metric, tolerance=TOLERANCE) for name, metric in MAP_METRICS.items()},
            "disjoint_regions": Metric(
                meaning="Mean number of sufficient regions without a common pixel (at most three), "
                "over images that have one.",
                better="higher",
                tolerance=TOLERANCE,
                lowest=1.0,
                highest=3.0,
            ),
            "evaluations": Metric(
                meaning="Mean number of forward passes for one explanation.",
                better="lower",
                tolerance=TOLERANCE,
                highest=None,
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
    profile: Profile = "own"

    def __post_init__(self) -> None:
        least = {"images": 1, "budget": 20, "repeated": 0, "seeds": 2, "wrong_classes": 0}
        for name, lowest in (least | {"wrong_budget": 20}).items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} = {getattr(self, name)}: {lowest} and more are accepted")
        if self.segments is not None and not FEWEST <= self.segments <= MOST:
            raise ValueError(f"segments = {self.segments}: {FEWEST} to {MOST} are accepted")
        if self.profile == "paper" and (self.segments is not None or self.baseline != "blur"):
            raise ValueError("profile = 'paper' sets segments and baseline itself; leave them out")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Explain images of the model under assessment, with every control."""
        rng = np.random.default_rng([seed, int(subject.identity.digest.split(":")[-1][:15], 16)])
        choices = choose(subject.predictions(), subject.validation.labels, self.images, rng)
        pixels = subject.pixels([choice.image for choice in choices])
        self._plan(subject, len(pixels))
        explanations = self._evolved(subject, pixels, None, seed)
        mapped = [i for i, item in enumerate(explanations) if item.status != "undefined_baseline"]
        few = mapped[: self.repeated]
        again = [
            self._evolved(subject, pixels[few], None, seed + step) for step in range(1, self.seeds)
        ]
        agreed = _agreement([[explanations[i] for i in few], *again])
        wrong = self._wrong(subject, pixels, explanations, rng, seed)
        forgotten: list[Explanation] = []
        test = self._tested(
            subject,
            pixels[mapped],
            [explanations[i] for i in mapped],
            again[0],
            agreed,
            forgotten,
            seed,
        )
        values, spread = _metrics(explanations, agreed, wrong, test, seed)
        searches = [*explanations, *wrong, *forgotten, *(item for run in again for item in run)]
        return Measurement(
            metrics=values,
            intervals=spread,
            figures=pictures(subject, choices, explanations, pixels.cpu().numpy()),
            tables=(
                tables.images_table(subject, choices, explanations),
                tables.seeds_table(
                    subject, [(choices[i], explanations[i]) for i in few], agreed, self.seeds
                ),
                tables.wrong_table(subject, choices, wrong),
                test.curves,
                test.table,
            ),
            notes=(
                *tables.notes(choices, explanations, wrong),
                *_undefined(values, test),
                *test.notes,
                (
                    f"All searches took {sum(item.evaluations for item in searches)} forward "
                    f"passes of single images; insertion and deletion took {test.passes}."
                ),
            ),
            withdrawn=test.reasons,
            unanswered=test.unanswered,
        )

    def _plan(self, subject: Subject, images: int) -> None:
        """Announce the passes of all searches, none of which may end early, and of the curves."""
        few = min(self.repeated, images)
        searches = images + few * (self.seeds - 1 + STAGES)
        wrong = min(self.wrong_classes, images) * self.wrong_budget
        subject.meter.plan(passes=searches * self.budget + wrong + images * CURVES)

    def _evolved(
        self, subject: Subject, pixels: Tensor, targets: Sequence[int] | None, seed: int
    ) -> list[Explanation]:
        return evolve_many(
            subject.probabilities, pixels, targets, seed=seed, budget=self.budget,
            segments=self.segments, baseline=self.baseline, batch_size=subject.batch_size,
            profile=self.profile,
        )  # fmt: skip

    def _wrong(
        self,
        subject: Subject,
        pixels: Tensor,
        explanations: list[Explanation],
        rng: np.random.Generator,
        seed: int,
    ) -> list[Explanation]:
        """The most probable regions of random classes other than the predicted ones."""
        classes = range(len(subject.validation.class_names))
        targets = [
            int(rng.choice([k for k in classes if k != item.label]))
            for item in explanations[: self.wrong_classes]
        ]
        return evolve_many(
            subject.probabilities, pixels[: self.wrong_classes], targets, seed=seed,
            budget=self.wrong_budget, mode="confidence", segments=self.segments,
            baseline=self.baseline, batch_size=subject.batch_size, profile=self.profile,
        )  # fmt: skip

    def _tested(
        self,
        subject: Subject,
        pixels: Tensor,
        explanations: list[Explanation],
        again: list[Explanation],
        agreed: list[float | None],
        forgotten: list[Explanation],
        seed: int,
    ) -> SelfTest:
        """The self-test of the heat maps; those of shuffled weights go into `forgotten`."""

        def explain(images: Tensor, targets: Sequence[int], seed: int) -> Maps:
            items = self._evolved(subject, images, targets, seed)
            forgotten.extend(items)
            return _heat(items, images)

        shares = [share for share in agreed if share is not None]
        by_chance = [item.area / (2 - item.area) for item in explanations[: self.repeated]]
        beaten = [
            item.random_percentile for item in explanations if item.random_percentile is not None
        ]
        model = subject.classifier.model if isinstance(subject.classifier, Network) else None
        return self_test(
            explain, subject.probabilities, model, pixels, [item.target for item in explanations],
            _heat(explanations, pixels), tested=self.repeated, stages=STAGES,
            again=_heat(again, pixels[: self.repeated]), seed=seed, batch_size=subject.batch_size,
            own=[
                agreement(
                    shares, float(np.mean(by_chance)) if by_chance else 0.0, lowest=0
                ),
                Check(
                    name="share of random regions of the same area beaten, of which "
                    "random_percentile is the median",
                    values=tuple(beaten),
                    span=(0.0, 1.0),
                    limit=0.5,
                    reason="regions are not shown to do better than random ones of the same area",
                ),
            ],
        )  # fmt: skip


def _undefined(metrics: Mapping[str, float | None], test: SelfTest) -> Iterator[str]:
    """Why metrics are missing, a note for each reason."""
    absent = [name for name, value in metrics.items() if value is None]
    if not test.shuffled:
        absent.remove("likeness_shuffled")
        yield missing(["likeness_shuffled"], "this model gives only probabilities")
    if absent:
        why = (
            "too few images have a region that is sufficient, was searched for again or was "
            "compared with random ones"
        )
        yield missing(absent, why)


def _heat(explanations: Sequence[Explanation], images: Tensor) -> Maps:
    # Stacked after an empty start: no image gives no map, in the right shape.
    nothing = np.empty((0, *images.shape[2:]))
    return np.concatenate([nothing, *(item.heatmap[None] for item in explanations)])


def _agreement(runs: list[list[Explanation]]) -> list[float | None]:
    # Per image, over all pairs of seeds; nothing where no region means anything.
    shares: list[float | None] = []
    for items in zip(*runs, strict=True):
        if any(item.status not in FOUND for item in items):
            shares.append(None)
            continue
        pairs = [
            (a.mask & b.mask).sum() / (a.mask | b.mask).sum() for a, b in combinations(items, 2)
        ]
        shares.append(float(np.mean(pairs)))
    return shares


def _metrics(
    explanations: list[Explanation],
    agreed: list[float | None],
    wrong: list[Explanation],
    test: SelfTest,
    seed: int,
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    counts = {
        "share_sufficient": (
            sum(item.status == "sufficient" for item in explanations),
            len(explanations),
        ),
        "share_fragile": (
            sum(item.status == "fragile" for item in explanations),
            len(explanations),
        ),
        "null_class_rate": (sum(map(tables.survives, wrong)), len(wrong)),
    }
    values: dict[str, float | None] = {
        name: hits / n if n else None for name, (hits, n) in counts.items()
    }
    spread = {name: intervals.wilson(hits, n) for name, (hits, n) in counts.items()}
    shown = [item for item in explanations if item.status in FOUND]
    percentiles = [
        item.random_percentile for item in explanations if item.random_percentile is not None
    ]
    if not shown:
        # Without a region none can depend on the fill, and the control has nothing beside it.
        values |= dict.fromkeys(("share_fragile", "null_class_rate"))
        spread |= dict.fromkeys(("share_fragile", "null_class_rate"))
    medians = {"area_median": [item.area for item in shown], "random_percentile": percentiles}
    means: dict[str, Sequence[float]] = {
        "disjoint_regions": [1 + len(item.alternatives) for item in shown],
        "evaluations": [item.evaluations for item in explanations],
    }
    for samples, statistic in ((medians, np.median), (means, np.mean)):
        for name, data in samples.items():
            values[name] = float(statistic(data)) if data else None
            spread[name] = intervals.bootstrap(statistic, data, seed)
    # These stand in the table of the self-test as well, with the same interval.
    known = [share for share in agreed if share is not None]
    values["stability"], spread["stability"] = agreement(known, lowest=0).mean
    shuffled = test.likeness[-1].mean if test.likeness else (None, None)
    values["likeness_shuffled"], spread["likeness_shuffled"] = shuffled
    curves = {f"{item.metric}_{item.baseline}": item for item in test.scores}
    for name in ("insertion_blur", "insertion_mean", "deletion_blur", "deletion_mean"):
        values[name] = curves[name].value if name in curves else None
        spread[name] = curves[name].interval if name in curves else None
    return values, {name: item for name, item in spread.items() if item is not None}

"""DE-CAM: which parts of an image carry the model's decision, judged from its outputs alone?

Purpose
    A heat map shows which parts of an image carry a decision. This analysis makes one for any
    model. It also measures how far the heat map can be believed, by comparing it on the same images
    with controls that know nothing of the model.

Method
    Smooth masks over a coarse grid show some parts of an image and replace the rest by a blurred
    copy. The engine "cem" tries random masks, fits a smooth regression of probability and log odds
    on them, and evolves a distribution of masks towards those that keep the decision with little of
    the image. The heat map combines both results. The engine "de" is differential evolution of one
    mask, after Karatsiolis, Kamilaris 2022. It is no reproduction, since only the abstract was
    read.

    The heat maps then pass a self-test. Pixels are revealed (insertion, where high is good) and
    removed (deletion, where low is good) in the order of the heat map. The fill image is once a
    blurred copy and once the image's mean colour. The controls are a random, a constant and a
    centred heat map. Some images are explained again with shuffled weights of the model and with
    other seeds. Evidence that fails the self-test is withdrawn.

    Images are chosen evenly over the classes by four rules: worst, borderline, best and random (by
    the model's digest).

Signs of risk
    The heat map lies outside the object. Insertion is no higher, or deletion no lower, than that of
    the controls. Values are good with only one of the two fill images. Heat maps change with the
    seed. Many images have no heat map, because the model decides their blurred copy alike.

Limits
    A heat map cannot show detail finer than a cell of its grid. Masked images are unlike any photo,
    so the probability of a masked image does not occur in practice. Insertion and deletion favour
    smooth and central heat maps, so smooth random and centred ones are printed beside them. A heat
    map that beats these controls shows where the output comes from and not why. The images of the
    worst, borderline and best rules are no random sample. Means therefore describe the listed
    images, and their intervals hold as if these had been drawn at random.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from governance.methods import figures
from governance.methods.evolved import Engine, EvolvedMap, evolve_map
from governance.methods.evolved.maps import CELLS, rank_correlation
from governance.methods.evolved.selection import Choice, choose
from governance.methods.faithfulness import MAP_METRICS, Maps, SelfTest, agreement, self_test
from governance.methods.masking.superpixels import Baseline
from governance.methods.statistics import intervals
from governance.records.evidence import Cell, Figure, Interval, Measurement, Metric, Table
from governance.records.numbers import number
from governance.records.wording import missing
from governance.subject.network import Network
from governance.subject.subject import Needs, Subject

__all__ = ["DeCam", "EvolvedMap", "evolve_map"]

SHOWN = 24  # pictures in the gallery
STAGES = 2  # of the shuffled weights: the uppermost layer, and all
CURVES = ("insertion_blur", "insertion_mean", "deletion_blur", "deletion_mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeCam:
    """Evolved heat maps of images chosen by rule, with controls.

    Attributes:
        images: Number of images that get a heat map, in equal parts by the four rules and evenly
            over the true classes.
        budget: Largest number of forward passes of single images for one heat map.
        grid: Number of cells along each side of the heat map.
        engine: Search method: `cem`, or `de` for differential evolution.
        baseline: Fill image that replaces removed pixels during the search.
        repeated: Number of images explained again with other seeds and with shuffled weights.
        seeds: Number of seeds for each of these images, the first included.
    """

    needs: ClassVar[Needs] = "probabilities"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            **MAP_METRICS,
            "gain_blur": Metric(
                meaning="Mean of insertion minus deletion over a blurred copy, less that of a "
                "centred heat map; 0 is no better than a heat map that knows nothing.",
                better="higher",
                lowest=-2.0,
                highest=2.0,
            ),
            "gain_mean": Metric(
                meaning="The same over the image's mean colour.",
                better="higher",
                lowest=-2.0,
                highest=2.0,
            ),
            "stability": Metric(
                meaning="Mean rank correlation of the heat maps made with different seeds.",
                better="higher",
                lowest=-1.0,
            ),
            "share_undefined": Metric(
                meaning="Share of images without a heat map, because the fill image alone already "
                "has the label and probability, or no part makes a difference.",
                better="lower",
            ),
            "evaluations": Metric(
                meaning="Mean number of forward passes for one heat map.",
                better="lower",
                highest=None,
            ),
        }
    )

    images: int = 12
    budget: int = 520
    grid: int = 7
    engine: Engine = "cem"
    baseline: Baseline = "blur"
    repeated: int = 6
    seeds: int = 3

    def __post_init__(self) -> None:
        least = {"images": 1, "budget": 20, "grid": CELLS[0], "repeated": 0, "seeds": 2}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} = {getattr(self, name)}: {lowest} and more are accepted")
        if self.grid > CELLS[1]:
            raise ValueError(f"grid = {self.grid}: {CELLS[0]} to {CELLS[1]} are accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Make heat maps of images of the model under assessment and run their self-test."""
        rng = np.random.default_rng([seed, int(subject.identity.digest.split(":")[-1][:15], 16)])
        choices = choose(subject.predictions(), subject.validation.labels, self.images, rng)
        pixels = subject.pixels([choice.image for choice in choices])
        explained = self.seeds - 1 + STAGES
        subject.meter.plan(images=len(pixels) + explained * min(self.repeated, len(pixels)))
        evolved = self._mapped(subject, pixels, [None] * len(pixels), seed)
        mapped = [i for i, item in enumerate(evolved) if item.status == "mapped"]
        few = mapped[: self.repeated]
        again = [
            self._mapped(subject, pixels[few], [evolved[i].target for i in few], seed + step)
            for step in range(1, self.seeds)
        ]
        agreed = _agreement([[evolved[i] for i in few], *again])
        forgotten: list[EvolvedMap] = []
        test = self._tested(
            subject, pixels[mapped], [evolved[i] for i in mapped], again[0], agreed, forgotten, seed
        )
        values, spread = _metrics(evolved, agreed, test, seed)
        maps = [*evolved, *forgotten, *(item for run in again for item in run)]
        return Measurement(
            metrics=values,
            intervals=spread,
            figures=_pictures(subject, choices, evolved, pixels.cpu().numpy()),
            tables=(
                _images(subject, choices, evolved, test),
                _seeds(subject, [(choices[i], evolved[i]) for i in few], agreed, self.seeds),
                test.curves,
                test.table,
            ),
            notes=(
                _brief(evolved, test),
                *_undefined(values, test),
                (
                    f"All heat maps took {sum(item.evaluations for item in maps)} forward passes "
                    f"of single images; insertion and deletion took {test.passes}."
                ),
            ),
            withdrawn=test.reasons,
            unanswered=test.unanswered,
        )

    def _mapped(
        self, subject: Subject, pixels: Tensor, targets: Sequence[int | None], seed: int
    ) -> list[EvolvedMap]:
        found = []
        for image, target in zip(pixels, targets, strict=True):
            found.append(
                evolve_map(
                    subject.probabilities, image, target, seed=seed, budget=self.budget,
                    grid=self.grid, engine=self.engine, baseline=self.baseline,
                    batch_size=subject.batch_size,
                )
            )  # fmt: skip
            subject.meter.count(images=1)
        return found

    def _tested(
        self,
        subject: Subject,
        pixels: Tensor,
        evolved: list[EvolvedMap],
        again: list[EvolvedMap],
        agreed: list[float],
        forgotten: list[EvolvedMap],
        seed: int,
    ) -> SelfTest:
        """The self-test of the heat maps; those made with shuffled weights go into `forgotten`."""

        def explain(images: Tensor, targets: Sequence[int], seed: int) -> Maps:
            items = self._mapped(subject, images, targets, seed)
            forgotten.extend(items)
            return _heat(items, images)

        model = subject.classifier.model if isinstance(subject.classifier, Network) else None
        return self_test(
            explain, subject.probabilities, model, pixels, [item.target for item in evolved],
            _heat(evolved, pixels), tested=self.repeated, stages=STAGES,
            again=_heat(again, pixels[: self.repeated]), own=[agreement(agreed)], seed=seed,
            batch_size=subject.batch_size,
        )  # fmt: skip


def _heat(evolved: Sequence[EvolvedMap], images: Tensor) -> Maps:
    # Stacked after an empty start: no image gives no map, in the right shape.
    nothing = np.empty((0, *images.shape[2:]))
    return np.concatenate([nothing, *(item.heatmap[None] for item in evolved)])


def _agreement(runs: list[list[EvolvedMap]]) -> list[float]:
    # Per image, over all pairs of seeds; a run without a map agrees with none.
    return [
        float(
            np.mean(
                [
                    rank_correlation(a.heatmap, b.heatmap)
                    if a.status == b.status == "mapped"
                    else 0.0
                    for a, b in combinations(items, 2)
                ]
            )
        )
        for items in zip(*runs, strict=True)
    ]


def _metrics(
    evolved: list[EvolvedMap], agreed: list[float], test: SelfTest, seed: int
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    undefined = sum(item.status != "mapped" for item in evolved)
    curves = {f"{item.metric}_{item.baseline}": item for item in test.scores}
    spent = [item.evaluations for item in evolved]
    # Most of these stand in the table of the self-test as well, with the same interval.
    measured: dict[str, tuple[float | None, Interval | None]] = {
        **{f"gain_{baseline}": test.lead(baseline, "centre").mean for baseline in ("blur", "mean")},
        "likeness_shuffled": test.likeness[-1].mean if test.likeness else (None, None),
        "stability": agreement(agreed).mean,
        "evaluations": (float(np.mean(spent)), intervals.bootstrap(np.mean, spent, seed)),
        "share_undefined": (undefined / len(evolved), intervals.wilson(undefined, len(evolved))),
    }
    values = {name: value for name, (value, _) in measured.items()}
    spread = {name: interval for name, (_, interval) in measured.items()}
    for name in CURVES:
        values[name] = curves[name].value if name in curves else None
        spread[name] = curves[name].interval if name in curves else None
    return values, {name: item for name, item in spread.items() if item is not None}


def _undefined(metrics: Mapping[str, float | None], test: SelfTest) -> Iterator[str]:
    """Why metrics are missing, a note for each reason."""
    absent = [name for name, value in metrics.items() if value is None]
    if not test.shuffled:
        absent.remove("likeness_shuffled")
        yield missing(["likeness_shuffled"], "this model gives only probabilities")
    if absent:
        yield missing(absent, "too few images have a heat map, or none was explained again")


def _images(
    subject: Subject, choices: list[Choice], evolved: list[EvolvedMap], test: SelfTest
) -> Table:
    names = subject.validation.class_names
    areas = iter(zip(*(item.values for item in test.scores), strict=True))
    heads = [f"{item.metric} {item.baseline}" for item in test.scores]
    rows: list[tuple[Cell, ...]] = [
        (
            subject.validation.ids[choice.image],
            names[int(subject.validation.labels[choice.image])],
            names[item.label],
            choice.rule,
            item.status,
            item.p_full,
            item.p_baseline,
            *(next(areas) if item.status == "mapped" else [None] * len(heads)),
            item.stability,
            item.evaluations,
        )
        for choice, item in zip(choices, evolved, strict=True)
    ]
    return Table(
        name="images",
        caption=f"Each row is an image (n = {len(rows)}). It gives the rule that chose the image, "
        "the probability of the predicted class for the full image and for the fill image alone "
        "(p baseline), the areas under the curves of the heat map, and the agreement of heat maps "
        "from the halves of one search. Cells are empty where no heat map was made.",
        columns=(
            "image", "true", "predicted", "rule", "status", "p full", "p baseline", *heads,
            "halves agree", "evaluations",
        ),
        printed=(
            "image", "true", "predicted", "rule", "status", "p full", *heads[:5], "halves agree",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def _seeds(
    subject: Subject, shown: list[tuple[Choice, EvolvedMap]], agreed: list[float], seeds: int
) -> Table:
    rows = tuple(
        (subject.validation.ids[choice.image], item.stability, share)
        for (choice, item), share in zip(shown, agreed, strict=True)
    )
    return Table(
        name="seeds",
        caption=f"Mean rank correlation of the heat maps of n = {len(rows)} images over all pairs "
        f"of {seeds} seeds, beside that of heat maps from the halves of the first search.",
        columns=("image", "halves agree", "seeds agree"),
        rows=rows,
    )


def _pictures(
    subject: Subject, choices: list[Choice], evolved: list[EvolvedMap], pixels: NDArray[np.float32]
) -> tuple[Figure, ...]:
    names = subject.validation.class_names
    shown = list(zip(choices, evolved, pixels, strict=True))[:SHOWN]
    cells = [
        (
            (
                f"true {names[subject.validation.labels[choice.image]]} ({choice.rule})\n"
                f"answer {names[item.label]} ({number(item.p_full, 2)})\n{item.status}"
            ),
            figures.overlay(
                image, heat=item.heatmap.astype(np.float32) if item.status == "mapped" else None
            ),
        )
        for choice, item, image in shown
    ]
    return (
        Figure(
            name="maps",
            caption=f"Heat maps of {len(shown)} decisions; yellow marks the parts that count most. "
            "Above each stand the true class, the rule that chose the image, the answer with its "
            "probability, and the status. Each heat map is scaled from its lowest to its highest "
            "value. An image shown plain has no heat map.",
            seen=f"{sum(item.status == 'mapped' for _, item, _ in shown)} of {len(shown)} images "
            "have a heat map.",
            image=figures.gallery(cells),
        ),
    )


def _brief(evolved: list[EvolvedMap], test: SelfTest) -> str:
    mapped = sum(item.status == "mapped" for item in evolved)
    both = zip(test.gains("blur", "centre"), test.gains("mean", "centre"), strict=True)
    better = sum(min(pair) > 0 for pair in both)
    return (
        f"{mapped} of {len(evolved)} images have a heat map. {better} of these beat a centred heat "
        "map in insertion minus deletion with both fill images."
    )

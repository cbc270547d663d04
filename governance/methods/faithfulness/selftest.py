"""Self-test: may maps be relied on, or must they be withdrawn?

Three questions, each answered by the end of an interval over images that is nearer to failing:

- better than chance: insertion less deletion, under each baseline, against a random and a constant
  map of the same image;
- sensitive: with all weights of the model shuffled, maps are less than half as like the original
  ones as those of a second run are;
- stable: runs with other seeds agree better than by chance, and by one half or more on average: to
  show that much of a handful of images would take more runs than the rest of the test.

The burden of proof is on the maps: what too few images cannot show is withdrawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import nn

from governance.methods.faithfulness.controls import Explainer, Maps, check_maps, random_maps
from governance.methods.faithfulness.evaluation import Counted, areas
from governance.methods.faithfulness.randomisation import Cascade, alike, cascade
from governance.methods.faithfulness.scores import Score, beyond
from governance.methods.image_tensors import Images, image_tensor
from governance.methods.masking import Predict
from governance.methods.masking.superpixels import Baseline
from governance.methods.statistics import intervals
from governance.methods.statistics.proportions import ends
from governance.records.evidence import Cell, Interval, Metric, Table
from governance.records.numbers import number

__all__ = ["CURVES", "MAP_METRICS", "STABLE", "Check", "SelfTest", "agreement", "self_test"]

#: Steps of an insertion or deletion curve.
STEPS = 16
#: Forward passes an image: two curves of a map and three controls, with two fill images.
CURVES = 2 * 2 * 4 * (STEPS + 1)
#: Agreement of two runs below which a map says more of its seed than of the model.
STABLE = 0.5

#: What an analysis that tests its maps declares of them, whatever made the maps.
MAP_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "insertion_blur": Metric(
            meaning="Mean area under the curve of the decision's probability while the map's "
            "pixels are revealed over a blurred copy, hottest first.",
            better="higher",
        ),
        "insertion_mean": Metric(meaning="The same over the image's mean colour.", better="higher"),
        "deletion_blur": Metric(
            meaning="Mean area under that curve while the map's pixels are blurred, hottest first.",
            better="lower",
        ),
        "deletion_mean": Metric(meaning="The same with the image's mean colour.", better="lower"),
        "likeness_shuffled": Metric(
            meaning="Mean rank correlation of the maps with those of the model with all its "
            "weights shuffled.",
            better="lower",
            lowest=-1.0,
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A number of the self-test, image by image.

    Attributes:
        name: Name of the number.
        values: Value of each image.
        span: Smallest and largest value that can occur.
        limit: Value that the mean must be shown to exceed; None where it is only printed.
        least: Value that the mean of these images must reach as well; None for nothing.
        reason: Reason why the maps are withdrawn if the check fails.
    """

    name: str
    values: tuple[float, ...]
    span: tuple[float, float]
    limit: float | None = None
    least: float | None = None
    reason: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the limit is shown to be exceeded, and `least` reached; None without a limit."""
        if self.limit is None:
            return None
        reached = self.least is None or (bool(self.values) and np.mean(self.values) >= self.least)
        return bool(reached) and beyond(self.values, self.limit)

    @property
    def mean(self) -> tuple[float | None, Interval | None]:
        """Mean over the images with Student's t interval; None where there is none."""
        lowest, highest = self.span
        interval = intervals.mean(self.values, lowest=lowest, highest=highest)
        return float(np.mean(self.values)) if self.values else None, interval

    @property
    def row(self) -> tuple[Cell, ...]:
        """Name, mean, both ends of its interval, n, what is required and how it ended."""
        mean, interval = self.mean
        low, high = ends(interval)
        required = "" if self.limit is None else f"above {number(self.limit)}"
        if self.least is not None:
            required += f", mean at least {number(self.least)}"
        ended = {None: "", True: "passed", False: "failed"}[self.passed]
        return (self.name, mean, low, high, len(self.values), required, ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What maps were put through before they are relied on.

    Attributes:
        scores: Insertion and deletion under each baseline.
        cascade: Randomisation of the images that were explained again.
        own: Checks of the explanation's own, its agreement over seeds among them.
        passes: Forward passes of the curves; those of the explainer are its own to count.
        shuffled: Whether there was a module whose weights could be shuffled.
    """

    scores: tuple[Score, ...]
    cascade: Cascade
    own: tuple[Check, ...]
    passes: int
    shuffled: bool = True

    @property
    def checks(self) -> tuple[Check, ...]:
        """What was asked, in the order of the module's description."""
        return (*self._chance(), *self._randomisation(), *self.own)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the maps must be withdrawn; empty where they may be relied on."""
        if not self.scores:
            return ("no image has a map that could be tested",)
        return tuple(check.reason for check in self.checks if check.passed is False)

    @property
    def notes(self) -> tuple[str, ...]:
        """Baselines under which a centred map does as well: sentences for the reader."""
        near = [
            str(baseline)
            for baseline in dict.fromkeys(item.baseline for item in self.scores)
            if not beyond(self.gains(baseline, "centre"), 0.0)
        ]
        sentence = (
            f"Where removed pixels are replaced by {' or '.join(near)}, the maps are not shown to "
            "do better than one that is hottest in the centre of every image and knows nothing of "
            "the model."
        )
        return (sentence,) if near else ()

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Controls that could not be done, a sentence each."""
        if self.shuffled or not self.scores:
            return ()
        sentence = (
            "whether the maps change when the weights of the model are shuffled: not tried, since "
            "this model gives only probabilities"
        )
        return (sentence,)

    @property
    def table(self) -> Table:
        """One row a check."""
        return Table(
            name="self_test",
            caption="Self-test of the maps, mean over n images with Student's t interval. Where "
            "something is required the whole interval must lie above it; evidence that fails a "
            "check is withdrawn. The other rows are there to be compared with. Likeness is rank "
            "correlation.",
            columns=("check", "mean", "low", "high", "n", "required", "outcome"),
            rows=tuple(check.row for check in self.checks),
        )

    def gains(self, baseline: str | None, control: str) -> tuple[float, ...]:
        """Insertion less deletion, less that of a control, of each image."""
        pair = [item.advantage(control) for item in self.scores if item.baseline == baseline]
        return tuple(float(sum(parts)) for parts in zip(*pair, strict=True))

    def lead(self, baseline: str | None, control: str) -> Check:
        """The check that maps do better than a control; for `centre` it is only printed."""
        return Check(
            name=f"insertion less deletion, {baseline}: advantage over a {control} map",
            values=self.gains(baseline, control),
            span=(-2.0, 2.0),
            limit=None if control == "centre" else 0.0,
            reason=f"not shown to be better than a {control} map where removed pixels are "
            f"replaced by {baseline}",
        )

    @property
    def likeness(self) -> tuple[Check, ...]:
        """Likeness to the maps of the shuffled model, from the uppermost layer down to all."""
        return tuple(
            Check(
                name=f"likeness, layers shuffled: {depth.layers}, down to {depth.last}",
                values=depth.values,
                span=(-1.0, 1.0),
            )
            for depth in self.cascade.depths
        )

    @property
    def curves(self) -> Table:
        """One row an area under a curve, beside its controls."""
        return Table(
            name="curves",
            caption="Mean area under the curve of the target's probability while pixels are "
            "revealed (insertion, more is better) or removed (deletion, less is better) in the "
            "order of the maps, with bootstrap interval over n images; and with random, constant "
            "and centred maps in their place. Better than random: the paired interval lies "
            "above zero against both random and constant maps.",
            columns=(
                "curve", "removed pixels become", "area", "low", "high", "n", "random map",
                "constant map", "centre map", "better than random",
            ),
            rows=tuple(_curve_row(item) for item in self.scores),
        )  # fmt: skip

    def _chance(self) -> list[Check]:
        return [
            self.lead(baseline, control)
            for baseline in dict.fromkeys(item.baseline for item in self.scores)
            for control in ("random", "constant", "centre")
        ]

    def _randomisation(self) -> list[Check]:
        again, chance = self.cascade.again, self.cascade.random
        shown = [
            Check(name="likeness to a second run", values=again, span=(-1.0, 1.0)),
            Check(name="likeness to a random map", values=chance, span=(-1.0, 1.0)),
            *self.likeness,
        ]
        if not self.shuffled:
            return [
                *shown,
                Check(
                    name="likeness, layers shuffled: not done, no weights",
                    values=(),
                    span=(-1.0, 1.0),
                ),
            ]
        decides = Check(
            name="half the likeness to a second run, less that with all layers shuffled",
            values=self.cascade.forgetting,
            span=(-1.5, 1.5),
            limit=0.0,
            reason="not shown to change when the weights of the model are shuffled",
        )
        return [*shown, decides]


def _curve_row(item: Score) -> tuple[Cell, ...]:
    low, high = ends(item.interval)
    controls = (item.control(name) for name in ("random", "constant", "centre"))
    return (
        item.metric, item.baseline, item.value, low, high, item.n, *controls,
        item.better_than_random,
    )  # fmt: skip


def agreement(values: Sequence[float], chance: float = 0.0, *, lowest: float = -1.0) -> Check:
    """The check that runs with other seeds agree.

    Args:
        values: Agreement of each image: rank correlation of maps, Jaccard index of regions.
        chance: Agreement that maps or regions drawn at random would have.
        lowest: Smallest agreement there is: -1 of a correlation, 0 of a Jaccard index.
    """
    return Check(
        name="agreement of runs with other seeds",
        values=tuple(values),
        span=(lowest, 1.0),
        limit=chance,
        least=STABLE,
        reason=f"not shown to agree with runs of other seeds by {STABLE} and better than chance",
    )


def self_test(
    explain: Explainer,
    predict: Predict,
    model: nn.Module | None,
    images: Images,
    targets: Sequence[int],
    maps: Maps,
    *,
    tested: int = 6,
    stages: int = 2,
    again: Maps | None = None,
    own: Sequence[Check] | None = None,
    baselines: Sequence[Baseline] = ("blur", "mean"),
    steps: int = STEPS,
    seed: int = 0,
    batch_size: int | None = None,
) -> SelfTest:
    """Put maps to the test: against maps that say nothing, without weights, and against reruns.

    Costs `2 * len(baselines) * 4 * (steps + 1)` passes an image for the curves of the maps and
    their three controls, and `stages` (one more without `again`) explanations of the first
    `tested` images.

    Args:
        explain: Maps images (N, C, H, W), a target for each and a seed to heat (N, H, W).
        predict: Maps float32 (B, C, H, W) in [0, 1] to probabilities (B, K).
        model: Module that both ask; its weights are shuffled meanwhile and put back to the bit.
            None where there is none: the test then says that this was not tried.
        images: (N, C, H, W) in [0, 1], those whose maps mean anything.
        targets: Class explained of each.
        maps: (N, H, W) as `explain` gave them with `seed`.
        tested: Images explained again.
        stages: Depths of the randomisation, evenly spaced from the uppermost layer to all.
        again: (tested, H, W) maps of a second run with another seed, where there are some.
        own: Checks of the explanation's own; None for the agreement of `maps` and `again`.
        baselines: Fill images that stand for removed pixels, in turn.
        steps: Number of steps of the curves.
        seed: Seed of every random choice.
        batch_size: Images per forward pass; None chooses.
    """
    if not len(images):
        nothing = Cascade(depths=(), again=(), random=())
        return SelfTest(scores=(), cascade=nothing, own=tuple(own or ()), passes=0)
    images = image_tensor(images).to(torch.float32).contiguous()
    counted = Counted(predict)
    data = check_maps(maps, images)
    scores = areas(
        counted, images, targets, data, baselines=baselines, steps=steps, seed=seed,
        batch_size=batch_size,
    )  # fmt: skip
    few, aims, first = images[:tested], list(targets[:tested]), data[:tested]
    second = check_maps(explain(few, aims, seed + 1) if again is None else again, few)
    if model is None:
        noise = random_maps(first.shape, seed)
        forgotten = Cascade(depths=(), again=alike(first, second), random=alike(first, noise))
    else:
        forgotten = cascade(explain, model, few, aims, first, second, stages=stages, seed=seed)
    return SelfTest(
        scores=tuple(scores),
        cascade=forgotten,
        own=(agreement(forgotten.again),) if own is None else tuple(own),
        passes=counted.passes,
        shuffled=model is not None,
    )

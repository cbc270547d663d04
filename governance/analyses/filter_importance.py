"""Filter importance: what does the model lose when single filters are silenced?

Purpose
    A network should not depend on a single filter. This analysis silences filters one at a time and
    measures the loss on each image. Filters are the channels of a convolution after normalisation
    and activation. In a transformer or a mixer they are the hidden units of its blocks: a linear
    layer that is put to every token is a convolution of one token. The analysis shows which filters
    the answers rest on, in which layers and for which classes, and which filters do nothing.

Method
    The analysis follows Yang et al. 2022, of which only the abstract was read. The terms and
    estimators are our own. A silenced filter is held at its mean over the images. Three effects are
    measured: the added cross-entropy (`dloss`), the lost probability of the true class (`dp_true`)
    and the share of images whose predicted class changes (`flip`). Positive values mean that the
    filter helps.

    Effects are exact. The forward pass is resumed behind the filter, or solved in closed form where
    only channel-wise steps and the final linear layer follow. First-order (Taylor) values choose
    which filters are worth measuring. As a control variate they also sharpen the estimate from few
    images. They are never printed as losses. Few images carry the effect of a filter on a
    well-trained network, so images are drawn in proportion to their expected effect and weighted by
    the inverse of their chance.

    Intervals are 95 % and hold for images like these. They use Student's t, with HC3 errors where a
    control variate is used, and Wilson's interval for shares. There are three controls. Silencing
    nothing must change nothing. A random sample of the filters that were not chosen shows what the
    choice missed. Effects with random signs show how large the top of such a list becomes by
    chance.

    Filters of a layer that rise and fall together (correlation beyond 0.9) are also silenced
    together, because redundant filters hide one another. The q-values are those of Benjamini and
    Hochberg, within each list.

Signs of risk
    One filter takes much of a class's probability with it. Importance is concentrated in a few
    filters. Many filters are dead: training did not reach this capacity, or the network was pruned.
    A group matters although none of its members does. The miss rate is far from 0, so the list
    cannot be trusted.

Limits
    Silencing single filters does not show how filters act together beyond the groups. Attention
    heads and units that mix tokens are not silenced: they have no channels that could be held at a
    mean. The mean is a mild intervention, but the network was never trained with a filter held
    constant. Importance is not meaning: look at the pictures to learn what a filter responds to. A
    filter that never moved on these images may move on others. Losses are heavy-tailed, so a few
    images may carry an estimate, and other images change the order of the list. Filters at the top
    of a list were picked for large values, and their single intervals do not allow for that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from governance.errors import AnalysisError
from governance.methods.filter_ablation import (
    FilterMeasurements,
    Tier,
    filter_estimates,
    measure_filters,
)
from governance.methods.filter_ablation.estimates import (
    CLASS_SOUND,
    class_dependence,
    concentration,
    missed,
    null,
)
from governance.methods.filter_ablation.pictures import pictures
from governance.methods.filter_ablation.survey import Outputs
from governance.methods.filter_ablation.tables import (
    class_table,
    filter_table,
    group_table,
    layer_table,
    overall,
    top_filters,
    top_table,
)
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import TracedNetwork, trace
from governance.records.evidence import Measurement, Metric
from governance.records.numbers import number, percent
from governance.records.wording import missing
from governance.subject.meter import Meter
from governance.subject.subject import Needs, Subject

__all__ = ["FilterImportance", "filter_importance"]

LEAST = 8  # images below which nothing is estimated
METHODS = {
    "exact": "exactly on all images",
    "cv": "exactly on some, corrected by a control variate",
    "closed": "in closed form",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterImportance:
    """Losses from silencing filters, overall and by class.

    Attributes:
        tier: Extent of the measurement. `smoke` measures a handful of filters, `standard` the
            promising ones and a random sample, and `full` every filter on every image.
        images: Largest number of images used, drawn evenly over the classes.
        top: Length of the list of most important filters.
    """

    tier: Tier = "standard"
    images: int = 400
    top: int = 20

    needs: ClassVar[Needs] = "filters"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "concentration": Metric(
                meaning="Share of all positive importance in the top tenth of the filters.",
                better="lower",
            ),
            "dead_filters": Metric(
                meaning="Share of the filters that gave one constant value on all images.",
                better="lower",
            ),
            "top_class_dependence": Metric(
                meaning="Largest mean loss of true-class probability of one class when one filter "
                "is silenced.",
                better="lower",
                lowest=-1.0,
                per_class=True,
            ),
            "screen_miss_rate": Metric(
                meaning="Share of the filters left out of the list that belong on it.",
                better="lower",
            ),
        }
    )

    def __post_init__(self) -> None:
        if self.images < LEAST:
            raise ValueError(f"images = {self.images}: at least {LEAST} are accepted")
        if self.top < 1:
            raise ValueError(f"top = {self.top}: at least 1 is accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure on a sample of the validation images."""
        chosen = subject.validation.sample(self.images, seed)
        labels = subject.validation.labels[chosen]
        pixels = subject.pixels(chosen)
        inputs = subject.network.inputs(pixels)
        network = _traced(subject.network.model, inputs, labels, subject.batch_size, subject.meter)
        measurements = measure_filters(
            network, inputs, labels, tier=self.tier, seed=seed, top=self.top,
            outputs=subject.network.returns,
        )  # fmt: skip
        names = subject.validation.class_names
        table = filter_estimates(measurements, labels, names)
        return _measurement(measurements, table, network, names, pixels, inputs, seed)


def filter_importance(
    model: nn.Module,
    images: Images,
    labels: ArrayLike,
    *,
    tier: Tier = "standard",
    seed: int = 0,
    top: int = 20,
    class_names: Sequence[str] | None = None,
    outputs: Outputs = "logits",
    batch_size: int = 64,
) -> pd.DataFrame:
    """What silencing filters costs: one row per filter (or group of filters), class and metric.

    Args:
        model: Any convolutional classifier, (B, C, H, W) to (B, K); left as found.
        images: (N, C, H, W) in the model's input space, on the model's device.
        labels: (N,) index of the true class.
        tier: `smoke`, `standard`, or `full`, exact for every filter on every image.
        seed: Of the choice of images and of the audit sample; same seed, same table.
        top: Length of the list of most important filters aimed at.
        class_names: For the column `class`; the index where None.
        outputs: Whether the model returns logits or probabilities.
        batch_size: Most images in a forward pass.

    Returns:
        Columns `layer`, `unit` (missing for groups), `class` (`all` or one), `metric` (`dloss`,
        `dp_true`, `flip`), `estimate`, `ci_lo`, `ci_hi`, `n_exact` (images measured), `method`
        (`exact`, `cv`: control variate, `closed`: closed form, `taylor`: screened only, with a
        rank and no estimate), `n_taylor`, `p_value`, `q_value`, `rank` (in the screen),
        `screened`, `audit`, `members` (channels silenced together).

    Raises:
        AnalysisError: If the model or the labels cannot be used.
    """
    images = image_tensor(images)
    known = image_labels(labels, len(images))
    network = _traced(model, images, known, batch_size)
    measurements = measure_filters(
        network, images, known, tier=tier, seed=seed, top=top, outputs=outputs
    )
    return filter_estimates(measurements, known, class_names)


def _traced(
    model: nn.Module,
    inputs: Tensor,
    labels: NDArray[np.int64],
    size: int,
    meter: Meter | None = None,
) -> TracedNetwork:
    if len(inputs) < LEAST:
        raise AnalysisError(f"{len(inputs)} images were given; at least {LEAST} are accepted")
    network = trace(model, inputs[:2], batch_size=size, meter=meter)
    if labels.min() < 0 or labels.max() >= network.classes:
        raise AnalysisError(
            f"labels from {labels.min()} to {labels.max()}; 0 to {network.classes - 1} are accepted"
        )
    return network


def _measurement(
    measurements: FilterMeasurements,
    table: pd.DataFrame,
    network: TracedNetwork,
    names: Sequence[str],
    pixels: Tensor,
    inputs: Tensor,
    seed: int,
) -> Measurement:
    top = top_filters(table, measurements.top)
    chance, compared = null(measurements, seed)
    values = {
        "concentration": concentration(measurements),
        "dead_filters": (float(measurements.survey.constant.mean()), None),
        "top_class_dependence": class_dependence(table),
        "screen_miss_rate": missed(measurements),
    }
    return Measurement(
        metrics={name: value for name, (value, _) in values.items()},
        intervals={name: interval for name, (_, interval) in values.items() if interval},
        figures=pictures(measurements, table, top, network, names, pixels, inputs, chance),
        tables=(
            top_table(table, top, chance, compared),
            layer_table(measurements, table, network),
            class_table(table, names),
            group_table(table),
            filter_table(table),
        ),
        notes=(
            *_notes(measurements, table, network, len(inputs)),
            *_undefined({name: value for name, (value, _) in values.items()}),
        ),
    )


def _undefined(metrics: Mapping[str, float | None]) -> Iterator[str]:
    """Reasons for missing metrics, one note per reason."""
    listed = [name for name in ("concentration", "screen_miss_rate") if metrics[name] is None]
    if listed:
        yield missing(listed, "silencing adds to the loss with no filter, or too few were measured")
    if metrics["top_class_dependence"] is None:
        why = f"no class has {CLASS_SOUND} images on which a single filter was measured"
        yield missing(["top_class_dependence"], why)


def _notes(
    measurements: FilterMeasurements, table: pd.DataFrame, network: TracedNetwork, images: int
) -> tuple[str, ...]:
    how = {
        "fx": "resumed behind each filter in the traced network",
        "export": "resumed behind each filter in the exported program",
        "hooks": "repeated whole for each filter, since the network could not be traced",
    }
    single = overall(table)
    counts = single["method"].value_counts()
    measured = ", ".join(f"{counts[key]} {text}" for key, text in METHODS.items() if key in counts)
    notes = [
        f"Forward passes were {how[network.path]}.",
        (
            f"The network has {len(measurements.survey.filters)} filters, and {images} images were "
            f"used. Filters measured: {measured}. {counts.get('taylor', 0)} filters were only "
            "screened and have a rank but no estimate."
        ),
        (
            f"The measurement took {measurements.passes:,.0f} forward passes of one image. "
            "Measuring every filter on every image would take "
            f"{measurements.exhaustive:,.0f}."
        ),
        f"Control: silencing nothing changed an output by at most {number(measurements.nothing)}.",
        (
            f"Dead filters gave one constant value on these {images} images. With 95 % confidence, "
            f"each of them moves on at most {percent(3 / images)} of images like these."
        ),
    ]
    few = single.dropna(subset="estimate")["n_exact"].min()
    if few < 128:  # noqa: PLR2004 - where the coverage of HC3 was measured to be sound
        notes.append(
            f"Some intervals rest on only {few} images. Below 128 images their coverage falls "
            "short of 95 %."
        )
    return tuple(notes)

"""Learning process: how did the network change from epoch to epoch of its training?

Purpose
    A network that ends well may have got there badly. It may have learnt a class late, lost it
    again, or let it rest on a single filter. If the training run recorded signs of training
    (`governance.training.record_epoch`, or the Lightning callback), this analysis draws them and
    says what changed.

Method
    The analysis follows Yang et al. 2022, of which only the abstract was read. The terms and
    estimators are our own. It measures nothing new. The signs are the metrics `learning.*` of the
    version's training run, measured on a small validation sample after an epoch.

    - *Lens* and *probe* are the model's answer at the last stage and the answer of a readout fitted
      on labels there (`layer_prediction`).
    - *Reliance* of a class is the largest share of its first-order screen that falls on one filter.
      Only shares are used, since first-order values are no losses (`filter_importance`).
    - *Recall lost* is the best recall of a class in any epoch minus its last recall.

    Recalls carry Wilson intervals. The largest loss carries Newcombe's interval for two independent
    shares, at a level that holds for all classes and epochs compared. The control is the loss
    expected from picking the best of as many epochs if a class's true recall never changed.

Signs of risk
    The lens recall of a class falls while its probe recall stays: the features still tell the class
    and the model no longer does. The reliance of a class climbs. Dead filters appear at once, which
    points to a learning rate that is too high. Redundancy climbs to the end.

Limits
    Signs rest on few images per epoch, so single steps are noise. Anyone who could write to the
    training run could write its signs. They are a statement by the training and not a measurement
    of this assessment. Signs that were not recorded cannot be recovered.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from scipy import stats

from governance.methods.figures import curves
from governance.methods.statistics.intervals import LEVEL, wilson
from governance.methods.statistics.proportions import ends
from governance.methods.training_signs import PER_CLASS
from governance.records.evidence import Cell, Figure, Interval, Measurement, Metric, Table
from governance.records.numbers import number
from governance.records.wording import missing
from governance.subject.subject import Needs, Subject

__all__ = ["LearningProcess"]

History = Mapping[str, tuple[tuple[int, float], ...]]

DRAWN = 5  # classes of a picture
DRAWS = 1000  # of the control
WHOLE = {
    "lens_accuracy": "lens accuracy", "probe_accuracy": "probe accuracy",
    "screen_concentration": "screen, top tenth", "dead_filters": "dead filters",
    "redundancy": "redundant filters",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningProcess:
    """The signs that training recorded, drawn and summed up.

    Attributes:
        least: Smallest number of recorded epochs that is evaluated.
    """

    least: int = 2

    needs: ClassVar[Needs] = "probabilities"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "epochs": Metric(
                meaning="Number of epochs for which the training run recorded signs.",
                better="higher",
                highest=None,
            ),
            "recall_lost": Metric(
                meaning="Largest fall of a class's lens recall from its best epoch to the last.",
                better="lower",
                per_class=True,
            ),
            "reliance_last": Metric(
                meaning="Largest share of a class's first-order screen on one filter, in the last "
                "epoch.",
                better="lower",
                per_class=True,
            ),
        }
    )

    def __post_init__(self) -> None:
        if self.least < 2:  # noqa: PLR2004 - one epoch has no course
            raise ValueError(f"least = {self.least}: at least 2 is accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Evaluate the signs that the version's training run recorded."""
        history = subject.history
        steps = sorted({step for points in history.values() for step, _ in points})
        names = subject.validation.class_names
        if len(steps) < self.least:
            return Measurement(
                metrics={"epochs": float(len(steps)), "recall_lost": None, "reliance_last": None},
                notes=(
                    missing(
                        ["recall_lost", "reliance_last"], _absent(subject, len(steps), self.least)
                    ),
                ),
            )
        lost = _lost(history, names)
        reliance = {name: history[f"reliance.{name}"][-1][1] for name in names
                    if f"reliance.{name}" in history}  # fmt: skip
        return Measurement(
            metrics={
                "epochs": float(len(steps)),
                "recall_lost": lost and lost[0],
                "reliance_last": max(reliance.values(), default=None),
            },
            intervals={"recall_lost": lost[1]} if lost else {},
            figures=_pictures(history, names),
            tables=(_signs_table(history), _class_table(history, names)),
            notes=(*_notes(history, names, seed, steps), *_undefined(lost, reliance)),
        )


def _absent(subject: Subject, epochs: int, least: int) -> str:
    run = subject.identity.run_id
    signs = (
        f"training run {run} recorded signs of {epochs} epochs"
        if run
        else "no training run is known for this version"
    )
    return (
        f"{signs}; at least {least} epochs are needed. Call governance.training.record_epoch "
        "after each epoch inside the run that logs the model"
    )


def _undefined(lost: object, reliance: Mapping[str, float]) -> Iterator[str]:
    """Reasons for missing metrics, one note per reason."""
    if lost is None:
        why = "the training run recorded no class's lens recall and images for two epochs"
        yield missing(["recall_lost"], why)
    if not reliance:
        yield missing(["reliance_last"], "the training run recorded the reliance of no class")


def _lost(history: History, names: Sequence[str]) -> tuple[float, Interval] | None:
    """The largest fall of a class, with an interval that allows for the picking of both."""
    falls = []
    for name in names:
        recall = history.get(f"lens_recall.{name}")
        images = dict(history.get(f"class_images.{name}", ()))
        if not recall or len(recall) < 2 or any(step not in images for step, _ in recall):  # noqa: PLR2004 - a fall needs two
            continue
        best = max(recall, key=lambda point: point[1])
        last = recall[-1]
        falls.append((best[1], int(images[best[0]]), last[1], int(images[last[0]]), len(recall)))
    if not falls:
        return None
    joint = 1 - (1 - LEVEL) / sum(item[4] for item in falls)
    largest = max(falls, key=lambda item: item[0] - item[2])
    value = largest[0] - largest[2]
    low, high = _difference(*largest[:4], joint)
    return value, Interval(
        low=min(max(0.0, low), value), high=min(1.0, max(high, value)), n=largest[3],
        method=f"Newcombe, Bonferroni over {sum(item[4] for item in falls)}",
    )  # fmt: skip


def _difference(p: float, n: int, q: float, m: int, level: float) -> tuple[float, float]:
    """Newcombe's interval of the difference of two independent shares (1998, method 10)."""
    one, two = wilson(round(p * n), n, level), wilson(round(q * m), m, level)
    if one is None or two is None:
        return -1.0, 1.0
    low = p - q - np.hypot(p - one.low, two.high - q)
    return float(low), float(p - q + np.hypot(one.high - p, q - two.low))


def _notes(
    history: History, names: Sequence[str], seed: int, steps: Sequence[int]
) -> tuple[str, ...]:
    images = history.get("images")
    on = f" on {images[-1][1]:.0f} images each" if images else ""
    first = f"The training run recorded {len(steps)} epochs, {steps[0]} to {steps[-1]}{on}."
    rng, largest = np.random.default_rng(seed), []
    for name in names:
        recall = np.array([value for _, value in history.get(f"lens_recall.{name}", ())])
        count = history.get(f"class_images.{name}")
        if len(recall) < 2 or not count:  # noqa: PLR2004 - a fall needs two
            continue
        n = int(count[-1][1])
        drawn = rng.binomial(n, recall.mean(), (DRAWS, len(recall))) / n
        largest.append(drawn.max(1) - drawn[:, -1])
    if not largest:
        return (first,)
    chance = np.quantile(np.max(largest, axis=0), LEVEL)
    return (
        first,
        (
            "If the recall of every class were the same in all epochs, the largest fall would be "
            f"up to {number(chance, 2)} (95 % quantile) by chance alone. This takes epochs as "
            "independent samples; the same images in each epoch make the fall smaller."
        ),
    )


def _pictures(history: History, names: Sequence[str]) -> tuple[Figure, ...]:
    figures = []
    whole = {title: history[name] for name, title in WHOLE.items() if name in history}
    if whole:
        figures.append(
            Figure(
                name="whole",
                caption=(
                    "Signs of the whole network by epoch, as the training run recorded them. They "
                    "are the accuracy of lens and probe at the last stage, the share of the screen "
                    "in the top tenth of the filters, and the shares of dead and of redundant "
                    "filters."
                ),
                seen=_ends_of(whole),
                image=_drawn(whole, "share"),
            )
        )
    for sign, title in (("lens_recall", "Lens recall"), ("reliance", "Reliance on one filter")):
        chosen = _chosen(history, names, sign)
        if chosen:
            figures.append(
                Figure(
                    name=sign,
                    caption=(
                        f"{title} by epoch for the {len(chosen)} classes with the worst last "
                        f"value, as the training run recorded it: {PER_CLASS[sign]}"
                        + (", with 95 % Wilson bands." if sign == "lens_recall" else ".")
                    ),
                    seen=_ends_of({name: history[f"{sign}.{name}"] for name in chosen}),
                    image=_drawn(
                        {name: history[f"{sign}.{name}"] for name in chosen}, title.lower(),
                        _counts(history, chosen) if sign == "lens_recall" else None,
                    ),
                )
            )  # fmt: skip
    return tuple(figures)


def _ends_of(lines: Mapping[str, tuple[tuple[int, float], ...]]) -> str:
    """First and last value of each line, in words."""
    texts = [
        f"{name}: {number(points[0][1], 2)} in epoch {points[0][0]}, "
        f"{number(points[-1][1], 2)} in epoch {points[-1][0]}"
        for name, points in lines.items()
    ]
    return "; ".join(texts) + "."


def _chosen(history: History, names: Sequence[str], sign: str) -> list[str]:
    known = [name for name in names if f"{sign}.{name}" in history]
    sense = 1 if sign == "lens_recall" else -1
    return sorted(known, key=lambda name: sense * history[f"{sign}.{name}"][-1][1])[:DRAWN]


def _counts(history: History, names: Sequence[str]) -> dict[str, dict[int, float]]:
    return {name: dict(history.get(f"class_images.{name}", ())) for name in names}


def _drawn(
    lines: Mapping[str, tuple[tuple[int, float], ...]],
    axis: str,
    counts: Mapping[str, Mapping[int, float]] | None = None,
) -> bytes:
    steps = sorted({step for points in lines.values() for step, _ in points})
    values = {name: [dict(points).get(step, np.nan) for step in steps]
              for name, points in lines.items()}  # fmt: skip
    bands = {}
    for name, known in (counts or {}).items():
        spans = [
            wilson(round(value * known[step]), int(known[step]))
            if step in known and np.isfinite(value) else None
            for step, value in zip(steps, values[name], strict=True)
        ]  # fmt: skip
        bands[name] = (
            [np.nan if end is None else end.low for end in spans],
            [np.nan if end is None else end.high for end in spans],
        )
    return curves(steps, values, x_axis="epoch", y_axis=axis, bands=bands, y_range=(0, 1.02))


def _signs_table(history: History) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, points in sorted(history.items()):
        values = [value for _, value in points]
        trend = _trend(points)
        rows.append((name, len(points), values[0], min(values), max(values), values[-1], trend))
    return Table(
        name="signs",
        caption=(
            "Each row is a sign that the training run recorded. It gives the number of epochs, the "
            "first, lowest, highest and last value, and Kendall's rank correlation with the epoch "
            "(1 if the sign only rises). Values of single epochs have no intervals."
        ),
        columns=("sign", "epochs", "first", "lowest", "highest", "last", "trend"),
        rows=tuple(rows),
        shown=25,
    )


def _trend(points: Sequence[tuple[int, float]]) -> float | None:
    values = [value for _, value in points]
    if len(set(values)) < 2:  # noqa: PLR2004 - a constant has no trend
        return None
    return float(stats.kendalltau([step for step, _ in points], values).statistic)


def _class_table(history: History, names: Sequence[str]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        recall = history.get(f"lens_recall.{name}", ())
        probe, reliance = (
            history.get(f"{sign}.{name}", ()) for sign in ("probe_recall", "reliance")
        )
        count = history.get(f"class_images.{name}", ())
        n = int(count[-1][1]) if count else None
        low, high = ends(wilson(round(recall[-1][1] * n), n) if recall and n else None)
        rows.append(
            (name, n, max((value for _, value in recall), default=None),
             recall[-1][1] if recall else None, low, high,
             probe[-1][1] if probe else None, reliance[-1][1] if reliance else None)
        )  # fmt: skip
    return Table(
        name="classes",
        caption=(
            "Each row is a class. It gives the images in the last epoch, the best lens recall, the "
            "last lens recall with its 95 % Wilson interval, the last probe recall, and the last "
            "share of the screen on one filter."
        ),
        columns=("class", "n", "best", "lens_recall", "low", "high", "probe_recall", "reliance"),
        rows=tuple(rows),
        shown=25,
    )

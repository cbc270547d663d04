"""Performance: how often is the model right, overall and for every class, and how sure may it be?

Purpose
    This analysis gives the numbers that everyone asks for first, on all validation images, so that
    no other analysis is read without them. A high overall accuracy can hide a class that is hardly
    ever recognised. The recall of every class and of the worst one therefore stand beside it.

Method
    The class with the highest probability counts as the answer. Accuracy, recall (the share of a
    class's images that are recognised) and precision (the share of the images answered with a class
    that belong to it) carry 95 % Wilson intervals. The interval of the worst recall allows for its
    having been picked as the worst. A class falls short if its images show that its recall is below
    the one that is asked of every class (`class_recall`). The test is the exact binomial one at
    0.05 divided by the number of classes, so that of a model whose classes all hold that recall, no
    class falls short in at least 95 of 100 validation sets. Balanced accuracy is the plain mean of
    the recalls, with a MOVER interval. The calibration error compares confidence with the share of
    right answers in bins of equally many images. Beside it stands the error that a perfectly
    calibrated model would show on as many images with the same confidences, found by simulation.
    Negative log-likelihood and the Brier score (0 is best, 2 is worst) judge the probabilities
    themselves. The control is a model that always gives the shares of the classes as probabilities
    and names the commonest class.

    Outputs may stand for other classes than the images say. The natural order of names (2 before
    10) is tested on all images, and the one-to-one order with most right answers on half of the
    images on the other half. Classes that change places among themselves are tested together, by
    the exact McNemar test at 0.01 divided by the number of such groups. Most of their images must
    be right in the order found.

Signs of risk
    All images are answered with one class. The recall of a class lies far below the others, or its
    interval reaches down to chance. A recall fell from the previous version while accuracy held.
    Confidences lie far above the share of right answers. Two classes are taken for one another.
    Classes are exchanged: then the other figures describe a wrong list of names and not the model.

Limits
    The numbers hold only for images like the validation images. A class with few images has a wide
    interval, so read the interval. Right answers may have wrong reasons. The other analyses look
    for those.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from governance.errors import AnalysisError
from governance.methods.class_order import IN_ORDER, exchanged
from governance.methods.misread import misread
from governance.methods.one_answer import one_answer
from governance.methods.statistics.calibration import Calibration, calibration, calibration_table
from governance.methods.statistics.confusion import confusion, confusion_figure, confusion_table
from governance.methods.statistics.intervals import mean, wilson
from governance.methods.statistics.proportions import (
    ClassShare,
    by_class,
    chance,
    ends,
    lowest,
    mean_of,
    unknown,
)
from governance.methods.statistics.shortfall import cannot_fall_short, falls_short
from governance.records.evidence import Cell, Interval, Measurement, Metric, Table
from governance.records.numbers import number
from governance.records.policy import Expectation
from governance.records.wording import first_few, missing
from governance.subject.subject import Needs, Subject

__all__ = ["Performance", "performance"]

# Figures and printed tables stop here; evidence keeps every row.
DRAWN = 25
CLASS_COLUMNS = (
    "class", "n", "recall", "recall_low", "recall_high",
    "named", "precision", "precision_low", "precision_high",
)  # fmt: skip
# A probability of exactly 0 for the true class would make the likelihood infinite.
SMALLEST = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Right answers and calibration on all validation images.

    Attributes:
        bins: Largest number of bins for the calibration error.
        class_recall: Recall that every class is meant to have.
    """

    bins: int = 15
    class_recall: float = 0.5

    needs: ClassVar[Needs] = "probabilities"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "accuracy": Metric(meaning="Share of images answered rightly.", better="higher"),
            "balanced_accuracy": Metric(
                meaning="Mean of the recalls of all classes.", better="higher", per_class=True
            ),
            "recall_worst": Metric(
                meaning="Recall of the class that is recognised least often.",
                better="higher",
                per_class=True,
            ),
            "recall.{class}": Metric(
                meaning="Share of this class's images that are recognised.",
                better="higher",
                per_class=True,
            ),
            "classes_short": Metric(
                meaning="Number of classes whose recall is shown to be below `class_recall`.",
                better="lower",
                highest=None,
                per_class=True,
            ),
            "classes_exchanged": Metric(
                meaning="Number of classes that are shown to have another output than the order of "
                "the classes says.",
                better="lower",
                highest=None,
            ),
            "ece": Metric(
                meaning="Expected calibration error: mean distance of confidence from the share of "
                "right answers.",
                better="lower",
            ),
            "nll": Metric(
                meaning="Mean negative log-likelihood of the true class, in nats.",
                better="lower",
                highest=None,
            ),
            "brier": Metric(
                meaning="Brier score: mean squared distance of the probabilities from the truth.",
                better="lower",
                highest=2.0,
            ),
        }
    )

    #: Holds under every policy that does not state its own on the same metric.
    standing: ClassVar[tuple[Expectation, ...]] = (IN_ORDER,)

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise ValueError(f"bins = {self.bins}: a whole number of at least 1 is accepted")
        if not 0 < self.class_recall <= 1:
            raise ValueError(f"class_recall = {self.class_recall}: above 0 to 1 is accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure on every validation image."""
        validation, predictions = subject.validation, subject.predictions()
        measured = performance(
            predictions,
            validation.labels,
            validation.class_names,
            bins=self.bins,
            class_recall=self.class_recall,
            seed=seed,
            absent=validation.absent,
            ids=validation.ids,
        )
        pictures, table = misread(
            np.asarray(predictions, dtype=np.float64),
            validation.labels,
            validation.class_names,
            validation.ids,
            lambda place: subject.pixels([place])[0].cpu().numpy(),
        )
        return replace(
            measured,
            figures=(*measured.figures, *pictures),
            tables=(*measured.tables, table),
        )


def performance(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    class_names: Sequence[str],
    *,
    bins: int = 15,
    class_recall: float = 0.5,
    seed: int = 0,
    absent: Sequence[str] = (),
    ids: Sequence[str] | None = None,
) -> Measurement:
    """Right answers and calibration of probabilities against labels.

    Args:
        probabilities: (N, K), each row summing to one.
        labels: (N,) index into `class_names`.
        class_names: K names in the order of the columns.
        bins: Largest number of bins of the calibration error.
        class_recall: Recall that every class is meant to have.
        seed: Of the bootstrap, of the simulated control and of the images that choose an order.
        absent: Classes that are known to have no images; nothing is said of them.
        ids: N names of the images; their places in the set by default.

    Raises:
        AnalysisError: If shapes disagree, a label is out of range, or a row holds no probabilities.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    _refuse(p, y, class_names)
    named = p.argmax(1)
    right = named == y
    by_label, by_answer = (by_class(right, of, len(class_names)) for of in (y, named))
    known = [place for place, name in enumerate(class_names) if name not in set(absent)]
    names, recalls = [class_names[place] for place in known], tuple(by_label[i] for i in known)
    scale = calibration(p.max(1), right, bins=bins, seed=seed)
    scores = _scores(p, y, right, recalls, scale)
    metrics = {name: value for name, (value, _, _) in scores.items()}
    intervals = {name: interval for name, (_, interval, _) in scores.items() if interval}
    for name, item in zip(names, recalls, strict=True):
        metrics[f"recall.{name}"] = item.share
        interval = item.interval
        if interval:
            intervals[f"recall.{name}"] = interval
    metrics["classes_short"], short_note = _short(recalls, names, class_recall)
    metrics["classes_exchanged"], order_note = exchanged(named, y, class_names, seed)
    confused = confusion(y, named, len(class_names))
    drawn = len(class_names) <= DRAWN
    return Measurement(
        metrics=metrics,
        intervals=intervals,
        figures=(confusion_figure(confused, class_names),) if drawn else (),
        tables=(
            _overall(scores, len(y)),
            _classes(class_names, by_label, by_answer, absent),
            confusion_table(confused, class_names),
            calibration_table(scale),
            _answers(ids or [str(place) for place in range(len(y))], class_names, y, p),
        ),
        notes=(*_notes(class_names, named, names, recalls, scale), *order_note, *short_note),
    )


def _refuse(p: NDArray[np.float64], y: NDArray[np.int64], class_names: Sequence[str]) -> None:
    if p.ndim != 2 or p.shape != (len(y), len(class_names)) or len(y) == 0:  # noqa: PLR2004 - (N, K)
        raise AnalysisError(
            f"probabilities of shape {p.shape} for {len(y)} labels and {len(class_names)} classes; "
            "one row per image, at least one image, and one column per class is accepted"
        )
    if len(set(class_names)) != len(class_names):
        raise AnalysisError("class names repeat; every class needs a name of its own")
    if y.min() < 0 or y.max() >= len(class_names):
        raise AnalysisError(
            f"labels from {y.min()} to {y.max()}; 0 to {len(class_names) - 1} is accepted"
        )
    # NaN fails both comparisons.
    if not ((p >= 0).all() and (np.abs(p.sum(1) - 1) < 1e-3).all()):  # noqa: PLR2004 - float32 sums
        raise AnalysisError("a row of probabilities is negative, NaN or does not sum to one")


def _scores(
    p: NDArray[np.float64],
    y: NDArray[np.int64],
    right: NDArray[np.bool_],
    recalls: tuple[ClassShare, ...],
    scale: Calibration,
) -> dict[str, tuple[float | None, Interval | None, float]]:
    """Value, interval and control of every overall metric; the control knows class shares alone."""
    n, classes = p.shape
    share = np.bincount(y, minlength=classes) / n
    truth = np.eye(classes)[y]
    losses = -np.log(np.maximum(p[np.arange(n), y], SMALLEST))
    briers = ((p - truth) ** 2).sum(1)
    seen = share[share > 0]
    worst, balanced = lowest(recalls), mean_of(recalls)
    # Always naming one class recognises that class alone.
    blind_worst = 0.0 if len(recalls) > 1 else 1.0
    return {
        "accuracy": (float(right.mean()), wilson(int(right.sum()), n), chance(y)),
        "balanced_accuracy": (*(balanced or (None, None)), 1 / len(recalls)),
        "recall_worst": (*(worst or (None, None)), blind_worst),
        "ece": (scale.error, scale.interval, scale.null_mean),
        "nll": (float(losses.mean()), mean(losses, lowest=0), float(-(seen * np.log(seen)).sum())),
        "brier": (
            float(briers.mean()),
            mean(briers, lowest=0, highest=2),
            float(1 - (share**2).sum()),
        ),
    }


def _short(
    recalls: tuple[ClassShare, ...], names: Sequence[str], asked: float
) -> tuple[float | None, tuple[str, ...]]:
    """How many classes fall short of what is asked, with the note that names them or says why."""
    unable = cannot_fall_short([item.n for item in recalls], asked)
    if unable.any():
        scarce = first_few([name for name, flag in zip(names, unable, strict=True) if flag])
        why = f"too few images of {scarce} to show a recall below {number(asked)}, were none right"
        return None, (missing(["classes_short"], why),)
    short = falls_short(recalls, asked)
    listed = [
        f"{name} ({number(item.share)} of {item.n} images)"
        for name, item, flag in zip(names, recalls, short, strict=True)
        if flag
    ]
    if not listed:
        return 0.0, ()
    return float(len(listed)), (
        f"Shown to be below a recall of {number(asked)}: {first_few(listed)}.",
    )


def _overall(scores: Mapping[str, tuple[float | None, Interval | None, float]], n: int) -> Table:
    rows = tuple(
        (name, value, *ends(end), end.n if end else n, control)
        for name, (value, end, control) in scores.items()
    )
    return Table(
        name="overall",
        caption=(
            "Each measure with its 95 % interval and number of images n. The control is the same "
            "measure of a model that always answers with the shares of the classes. For the "
            "calibration error (ece) it is the mean error of a perfectly calibrated model with the "
            "same confidences."
        ),
        columns=("measure", "value", "low", "high", "n", "control"),
        rows=rows,
    )


def _classes(
    names: Sequence[str],
    recalls: Sequence[ClassShare],
    precisions: Sequence[ClassShare],
    absent: Sequence[str],
) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, recall, precision in zip(names, recalls, precisions, strict=True):
        if name in absent and precision.n == 0:  # one without images may yet be answered
            continue
        recall_cells = (recall.n, recall.share, *ends(recall.interval))
        rows.append((name, *recall_cells, precision.n, precision.share, *ends(precision.interval)))
    rows.sort(key=lambda row: (row[2] is not None, float(row[2] or 0.0)))
    return Table(
        name="classes",
        caption=(
            "Recall (among the n images of the class) and precision (among the images answered "
            "with the class) of each class, with 95 % Wilson intervals, lowest recall first."
        ),
        columns=CLASS_COLUMNS,
        rows=tuple(rows),
        shown=DRAWN,
    )


def _answers(
    ids: Sequence[str], names: Sequence[str], y: NDArray[np.int64], p: NDArray[np.float64]
) -> Table:
    return Table(
        name="answers",
        caption=(
            f"Each row is a validation image, in the order of the set (n = {len(y)}): its name, "
            "its class, the model's answer, and the probability of that answer."
        ),
        columns=("image", "class", "answer", "confidence"),
        rows=tuple(
            (image, names[true], names[named], float(sure))
            for image, true, named, sure in zip(ids, y, p.argmax(1), p.max(1), strict=True)
        ),
        shown=0,
    )


def _notes(
    class_names: Sequence[str],
    named: NDArray[np.int64],
    names: Sequence[str],
    recalls: tuple[ClassShare, ...],
    scale: Calibration,
) -> tuple[str, ...]:
    beyond = "lies above" if scale.error > scale.null_high else "does not exceed"
    scale_note = (
        f"The calibration error of {number(scale.error, 3)} {beyond} what perfect calibration "
        f"shows on as many images (mean {number(scale.null_mean, 3)}, 97.5 % quantile "
        f"{number(scale.null_high, 3)})."
    )
    alike = one_answer(named, class_names)
    counts = [item.n for item in recalls]
    absent = unknown(names, counts, ("recall_worst", "balanced_accuracy"), "recall")
    # First, and worded alike for every model: the report's first page repeats it.
    notes = (alike and f"{alike[0].upper()}{alike[1:]}.", scale_note, absent)
    return tuple(note for note in notes if note)

"""Preprocessing check: was the model trained with the preprocessing that the policy declares?

Purpose
    A model that gets its images in the wrong scale or channel order raises no error and is wrong
    more often. Every other number of this report would then describe the mistake and not the model.
    This analysis therefore compares the declared preprocessing with the usual ones.

Method
    The same images, drawn evenly over the classes, are given to the model under the declared
    preprocessing and under each alternative. Alternatives are other usual means and standard
    deviations, numbers from 0 to 1 and from 0 to 255, the other channel order for colour, and
    inverted brightness for grey. The gain of an alternative is its accuracy minus the declared
    one's on the same images, with Newcombe's interval for paired shares. An alternative counts as
    better if it gains and the exact McNemar test is significant after Bonferroni's correction for
    the number of alternatives. The interval of the largest gain allows for its having been picked
    as the largest. Two values serve as controls. An alternative equal to the declared preprocessing
    would gain exactly 0, and chance is the share of the commonest class.

Signs of risk
    An alternative is clearly better: the declared preprocessing is wrong, or the model was exported
    with a normalisation of its own. A gain near 0 is harmless, because networks with normalisation
    inside often tolerate a changed scale. The gain is missing if every preprocessing gets the same
    answer for every image, because nothing could have shown.

Limits
    Only the listed alternatives are tried. Resizing and cropping are not. If a model was trained
    with an unusual preprocessing and declared with a usual one, possibly no alternative shows it.
    That no alternative is better does not show that the accuracy is good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import AnalysisError, SubjectError
from governance.methods.figures import bars
from governance.methods.one_answer import one_answer
from governance.methods.statistics.intervals import LEVEL, wilson
from governance.methods.statistics.proportions import (
    ClassShare,
    Paired,
    chance,
    ends,
    largest,
    whiskers,
)
from governance.records.evidence import Cell, Figure, Measurement, Metric, Table
from governance.records.numbers import number, percent
from governance.records.policy import Expectation
from governance.records.wording import missing
from governance.subject.classifier import Classifier
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Needs, Subject
from governance.subject.usual_preprocessings import CAFFE, COLOUR, GREY

__all__ = ["Alternative", "PreprocessingCheck", "alternatives"]

COLUMNS = (
    "preprocessing", "scale", "n", "accuracy", "low", "high",
    "gain", "gain_low", "gain_high", "p_adjusted", "better",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A preprocessing that a model may have been trained with.

    Attributes:
        name: Usual name of the preprocessing.
        preprocessing: Scale and channel order of the alternative, with the size as declared.
        inverted: Whether light and dark are exchanged first.
    """

    name: str
    preprocessing: Preprocessing
    inverted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessingCheck:
    """The declared preprocessing against the usual ones.

    Attributes:
        samples: Number of images for each preprocessing, drawn evenly over the classes.
    """

    samples: int = 256

    needs: ClassVar[Needs] = "probabilities"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "accuracy_declared": Metric(
                meaning="Accuracy on the sample under the declared preprocessing.", better="higher"
            ),
            "best_alternative_gain": Metric(
                meaning="Accuracy of the best alternative minus accuracy under the declared "
                "preprocessing.",
                better="lower",
                lowest=-1.0,
            ),
            "better_alternatives": Metric(
                meaning="Number of alternatives significantly better than the declared "
                "preprocessing.",
                better="lower",
                highest=None,
            ),
        }
    )

    #: Holds under every policy that does not state its own on the same metric.
    standing: ClassVar[tuple[Expectation, ...]] = (
        Expectation(
            metric="preprocessing_check.better_alternatives",
            at_most=0.0,
            severity="review",
            rationale=(
                "Where a usual preprocessing does clearly better than the declared one, every "
                "other number may describe the mistake and not the model."
            ),
        ),
    )

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples = {self.samples}: a whole number of at least 1 is accepted")

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Measure on a sample of the validation images."""
        chosen = subject.validation.sample(self.samples, seed)
        labels = subject.validation.labels[chosen]
        declared = Alternative(name="declared", preprocessing=subject.preprocessing)
        tried = (declared, *alternatives(subject.preprocessing))
        answers, hits = _answered(subject, tried, chosen)
        pairs = tuple(Paired.of(hits[:, i], hits[:, 0]) for i in range(1, len(tried)))
        better = [pair.first > pair.second and _adjusted(pair, pairs) < 1 - LEVEL for pair in pairs]
        top = largest(pairs)
        declared_interval = wilson(int(hits[:, 0].sum()), len(chosen))
        if top is None or declared_interval is None:
            raise AnalysisError("preprocessing check: no images to try; at least one is needed")
        metrics = {
            "accuracy_declared": float(hits[:, 0].mean()),
            "best_alternative_gain": top[0],
            "better_alternatives": float(sum(better)),
        }
        undefined, why = _undefined(answers, len(pairs), subject.validation.class_names)
        return Measurement(
            metrics=metrics | dict.fromkeys(undefined),
            intervals={
                name: interval
                for name, interval in (
                    ("accuracy_declared", declared_interval),
                    ("best_alternative_gain", top[1]),
                )
                if name not in undefined
            },
            figures=(_figure(tried, hits, labels),),
            tables=(_table(tried, hits, pairs, better),),
            notes=(
                *_notes(tried, better, labels, len(subject.validation)),
                *([missing(undefined, why)] if undefined else []),
            ),
        )


def alternatives(declared: Preprocessing) -> tuple[Alternative, ...]:
    """The usual preprocessings that differ from the declared one.

    For colour: the usual scales in the declared channel order, the declared scale in the other
    order, and Caffe's. For grey: the usual scales, and the declared one with light and dark
    exchanged.
    """
    scales = GREY if declared.channels == "grey" else COLOUR
    listed = [
        Alternative(name=name, preprocessing=replace(declared, mean=mean, std=std))
        for name, (mean, std) in scales.items()
    ]
    if declared.channels == "grey":
        listed.append(
            Alternative(name="as declared, inverted", preprocessing=declared, inverted=True)
        )
    else:
        other: Literal["rgb", "bgr"] = "rgb" if declared.channels == "bgr" else "bgr"
        # Mean and std belong to colours, so they change places with them.
        swapped = replace(
            declared, channels=other, mean=declared.mean[::-1], std=declared.std[::-1]
        )
        mean, std = CAFFE
        caffe = replace(declared, channels="bgr", mean=mean, std=std)
        listed.append(Alternative(name=f"as declared, {other.upper()}", preprocessing=swapped))
        listed.append(Alternative(name="Caffe (BGR, 0 to 255)", preprocessing=caffe))
    return tuple(item for item in listed if item.inverted or item.preprocessing != declared)


def _undefined(
    answers: NDArray[np.int64], alternatives: int, names: Sequence[str]
) -> tuple[tuple[str, ...], str]:
    """Metrics that no alternative could have changed, with the reason."""
    if (answers >= 0).all() and one_answer(answers.ravel(), names):
        why = f"every preprocessing gets the answer {names[int(answers[0, 0])]} for every image"
        return ("best_alternative_gain", "better_alternatives"), why
    clear = Paired(both=0, first=len(answers), second=0, neither=0)
    if min(1.0, clear.p_value() * alternatives) < 1 - LEVEL:
        return (), ""
    why = (
        f"{len(answers)} images are too few to show that an alternative is better, were it right "
        "on all of them and the declared preprocessing on none"
    )
    return ("better_alternatives",), why


def _answered(
    subject: Subject, tried: tuple[Alternative, ...], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n, alternatives) answered classes, -1 where there is none, and which are right."""
    views = [subject.classifier.with_preprocessing(item.preprocessing) for item in tried]
    blocks = []
    subject.meter.plan(images=len(chosen))
    for start in range(0, len(chosen), subject.batch_size):
        pixels = subject.pixels(chosen[start : start + subject.batch_size])
        subject.meter.count(images=len(pixels), passes=len(pixels) * len(tried))
        columns = [
            _predicted(view, 1 - pixels if item.inverted else pixels)
            for item, view in zip(tried, views, strict=True)
        ]
        blocks.append(np.stack(columns, axis=1))
    answers = np.concatenate(blocks)
    return answers, answers == subject.validation.labels[chosen][:, None]


def _predicted(classifier: Classifier, pixels: Tensor) -> NDArray[np.int64]:
    """Most probable class of each image; -1 where the model gives no usable probabilities."""
    try:
        return np.asarray(classifier.probabilities(pixels).argmax(1).cpu())
    except SubjectError:
        # Numbers far from those of the training overflow in some images and not in others.
        if len(pixels) == 1:
            return np.array([-1])
        return np.concatenate([_predicted(classifier, image[None]) for image in pixels])


def _adjusted(pair: Paired, pairs: tuple[Paired, ...]) -> float:
    return min(1.0, pair.p_value() * len(pairs))


def _table(
    tried: tuple[Alternative, ...],
    hits: NDArray[np.bool_],
    pairs: tuple[Paired, ...],
    better: list[bool],
) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for index, item in enumerate(tried):
        right, shown = hits[:, index], item.preprocessing
        scale = f"mean {_numbers(shown.mean)}, std {_numbers(shown.std)}, {shown.channels}"
        start = (item.name, scale, len(right), float(right.mean()))
        row = (*start, *ends(wilson(int(right.sum()), len(right))))
        if index == 0:
            rows.append((*row, None, None, None, None, None))
            continue
        pair = pairs[index - 1]
        gain = (pair.difference, *ends(pair.interval()))
        rows.append((*row, *gain, _adjusted(pair, pairs), better[index - 1]))
    return Table(
        name="alternatives",
        caption=(
            "Accuracy under each preprocessing on the same n images, with 95 % Wilson interval, "
            "and gain over the declared one, with Newcombe's interval for paired shares. The p "
            "value is that of the exact McNemar test times the number of alternatives. An "
            "alternative is better if it gains with p below 0.05."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
    )


def _numbers(values: tuple[float, ...]) -> str:
    distinct = values[:1] if len(set(values)) == 1 else values
    return " ".join(number(value) for value in distinct)


def _figure(
    tried: tuple[Alternative, ...], hits: NDArray[np.bool_], labels: NDArray[np.int64]
) -> Figure:
    n = len(labels)
    low, high = whiskers(ClassShare(hits=int(count), n=n) for count in hits.sum(0))
    return Figure(
        name="accuracy",
        caption=(
            "Accuracy under the declared preprocessing (top) and the usual alternatives on the "
            f"same {n} images, with 95 % Wilson intervals. The dashed line is chance."
        ),
        seen="; ".join(
            f"{item.name}: {percent(float(share))} right"
            for item, share in zip(tried, hits.mean(0), strict=True)
        )
        + f"; chance: {percent(chance(labels))}.",
        image=bars(
            [item.name for item in tried],
            hits.mean(0),
            low=low,
            high=high,
            axis="share of images answered rightly",
            reference=("chance", chance(labels)),
        ),
    )


def _notes(
    tried: tuple[Alternative, ...], better: Sequence[bool], labels: NDArray[np.int64], total: int
) -> tuple[str, ...]:
    sample = (
        f"{len(labels)} of {total} validation images, drawn evenly over the classes, were tried "
        f"with {len(tried) - 1} alternatives. Chance is {number(chance(labels), 3)}."
    )
    improving = [item.name for item, flag in zip(tried[1:], better, strict=True) if flag]
    if not improving:
        return (sample,)
    finding = (
        f"Better than the declared preprocessing: {', '.join(improving)}. The model was probably "
        "not trained with the declared one, on which every other number of this report rests."
    )
    return (sample, finding)

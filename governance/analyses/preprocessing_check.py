"""Preprocessing check: was the model trained with the preprocessing that the policy declares?

Purpose
    A model that gets its images in the wrong scale or channel order raises no error and is wrong
    more often. Every other number of this report would then describe the mistake and not the model.
    This analysis therefore compares the declared preprocessing with the usual ones.

Method
    The answers to a sample of images, drawn evenly over the classes, are those that every analysis
    of the model shares. The same images are given to the model under each alternative. Alternatives
    are other usual means and standard deviations, numbers from 0 to 1 and from 0 to 255, the other
    channel order for colour, inverted brightness for grey, and the usual ways to the model's size
    where images are resized. If the first images have orientation tags or transparent pixels, the
    other ways to read them are tried too.

    Every alternative is asked about the first 24 images, and then about those that the declared
    preprocessing gets wrong, since only these can be gained. It is given up once no answer to the
    rest could show that it is better, and the better half goes on after each round. The last two
    are asked about every image. The gain of an alternative is its accuracy minus the declared one's
    on the same images. An alternative counts as better if it was asked about every image and the
    exact McNemar test is significant after Bonferroni's correction for the number of all
    alternatives. Where an alternative was given up, its accuracy and gain are estimates from the
    images that it was asked about, separately for those answered rightly and wrongly as declared.
    The interval of the largest gain allows for its having been picked as the largest. Two values
    serve as controls. An alternative equal to the declared preprocessing would gain exactly 0, and
    chance is the share of the commonest class.

Signs of risk
    An alternative is clearly better: the declared preprocessing is wrong, or the model was exported
    with a normalisation of its own. A gain near 0 is harmless, because networks with normalisation
    inside often tolerate a changed scale. The gain is missing if every preprocessing gets the same
    answer for every image, because nothing could have shown.

Limits
    Only the listed alternatives are tried, and each changes one thing alone. If a model was trained
    with an unusual preprocessing and declared with a usual one, possibly no alternative shows it.
    Of several alternatives that do equally well, at most two are counted as better. That no
    alternative is better does not show that the accuracy is good.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from governance.errors import AnalysisError
from governance.methods.figures import bars
from governance.methods.one_answer import one_answer
from governance.methods.preprocessing_alternatives import Alternative, alternatives, readings
from governance.methods.preprocessing_asking import Asked
from governance.methods.preprocessing_trials import FIRST, Trial, largest_gain, trials
from governance.methods.statistics.intervals import LEVEL, wilson
from governance.methods.statistics.proportions import Paired, chance, ends
from governance.records.evidence import Cell, Figure, Measurement, Metric, Table
from governance.records.numbers import number, percent
from governance.records.policy import Expectation
from governance.records.wording import missing
from governance.subject.images.validation_set import evenly
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Needs, Subject

__all__ = ["PreprocessingCheck"]

COLUMNS = (
    "preprocessing", "scale", "n", "accuracy", "low", "high",
    "gain", "gain_low", "gain_high", "p_adjusted", "better",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessingCheck:
    """The declared preprocessing against the usual ones.

    Attributes:
        samples: Largest number of images for each preprocessing, drawn evenly over the classes.
    """

    samples: int = 512

    needs: ClassVar[Needs] = "probabilities"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "accuracy_declared": Metric(
                meaning="Accuracy on the sample under the declared preprocessing.", better="higher"
            ),
            "best_alternative_gain": Metric(
                meaning="Accuracy of the best alternative minus accuracy under the declared "
                "preprocessing; an estimate where it was given up early.",
                better="lower",
                lowest=-1.0,
            ),
            "better_alternatives": Metric(
                meaning="Number of alternatives significantly better than the declared "
                "preprocessing, at most two.",
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
        labels = subject.validation.labels
        chosen = evenly(labels, np.random.default_rng(seed))[: self.samples]
        if not len(chosen):
            raise AnalysisError("preprocessing check: no images to try; at least one is needed")
        named = subject.predictions()[chosen].argmax(1)
        asked = Asked(subject, chosen, _tried(subject, chosen))
        found = trials(named == labels[chosen], len(asked.tried), asked)
        tests = len(found)
        top = largest_gain(found)
        right = int((named == labels[chosen]).sum())
        accuracy = wilson(right, len(chosen))
        if top is None or accuracy is None:
            raise AnalysisError("preprocessing check: no alternative to try; one is needed")
        metrics = {
            "accuracy_declared": right / len(chosen),
            "best_alternative_gain": top[0],
            "better_alternatives": float(sum(item.better(tests) for item in found)),
        }
        intervals = {"accuracy_declared": accuracy, "best_alternative_gain": top[1]}
        answers = np.concatenate([named, *asked.answers])
        undefined, why = _undefined(answers, len(chosen), tests, subject.validation.class_names)
        rows = _rows(subject.preprocessing, asked.tried, found)
        return Measurement(
            metrics=metrics | dict.fromkeys(undefined),
            intervals={name: end for name, end in intervals.items() if name not in undefined},
            figures=(_figure(rows, labels[chosen]),),
            tables=(_table(rows),),
            notes=(
                *_notes(asked, found, labels[chosen], len(labels)),
                *([missing(undefined, why)] if undefined else []),
            ),
        )


def _tried(subject: Subject, chosen: NDArray[np.int64]) -> tuple[Alternative, ...]:
    """The alternatives, with other readings where the first images can be read in another way."""
    declared, validation = subject.preprocessing, subject.validation
    first = chosen[:FIRST] if validation.reading is not None else ()
    traits = {trait for index in first for trait in validation.picture(int(index)).traits}
    return (*alternatives(declared), *readings(declared, validation.reading, traits))


def _undefined(
    answers: NDArray[np.int64], images: int, tests: int, names: Sequence[str]
) -> tuple[tuple[str, ...], str]:
    """Metrics that no alternative could have changed, with the reason."""
    if (answers >= 0).all() and one_answer(answers, names):
        why = f"every preprocessing gets the answer {names[int(answers[0])]} for every image"
        return ("best_alternative_gain", "better_alternatives"), why
    clear = Paired(both=0, first=images, second=0, neither=0)
    if min(1.0, clear.p_value() * tests) < 1 - LEVEL:
        return (), ""
    why = (
        f"{images} images are too few to show that an alternative is better, were it right "
        "on all of them and the declared preprocessing on none"
    )
    return ("better_alternatives",), why


def _rows(
    declared: Preprocessing, tried: Sequence[Alternative], found: Sequence[Trial]
) -> tuple[tuple[Cell, ...], ...]:
    """A row of the table for the declared preprocessing, and one for each alternative."""
    n, right = found[0].right + found[0].wrong, found[0].right
    accuracy, tests = right / n, len(found)
    start = ("declared", _scale(declared), n, accuracy, *ends(wilson(right, n)))
    rows: list[tuple[Cell, ...]] = [(*start, None, None, None, None, None)]
    for item, trial in zip(tried, found, strict=True):
        low, high = ends(trial.interval())
        reached = accuracy + trial.gain
        if trial.complete:
            span = ends(wilson(round(reached * n), n))
        elif low is None or high is None:
            span = (None, None)
        else:
            span = (max(0.0, accuracy + low), min(1.0, accuracy + high))
        row = (item.name, _scale(item.preprocessing), trial.tried, reached, *span)
        p = trial.adjusted(tests) if trial.complete else None
        rows.append((*row, trial.gain, low, high, p, trial.better(tests)))
    return tuple(rows)


def _scale(shown: Preprocessing) -> str:
    return f"mean {_numbers(shown.mean)}, std {_numbers(shown.std)}, {shown.channels}"


def _table(rows: tuple[tuple[Cell, ...], ...]) -> Table:
    return Table(
        name="alternatives",
        caption=(
            "Accuracy under each preprocessing, and gain over the declared one. Of the sample, n "
            "images were tried. Where these are all of it, the accuracy has a 95 % Wilson interval "
            "and the gain Newcombe's for paired shares. The p value is that of the exact McNemar "
            "test times the number of alternatives. An alternative is better if it gains with p "
            "below 0.05. Where fewer were tried, no answer to the others could have shown that it "
            "is better, or others did better so far. Accuracy and gain are then estimates for the "
            "whole sample."
        ),
        columns=COLUMNS,
        rows=rows,
    )


def _numbers(values: tuple[float, ...]) -> str:
    distinct = values[:1] if len(set(values)) == 1 else values
    return " ".join(number(value) for value in distinct)


def _figure(rows: tuple[tuple[Cell, ...], ...], labels: NDArray[np.int64]) -> Figure:
    names = [str(row[0]) for row in rows]
    shares, low, high = (
        [math.nan if row[place] is None else float(row[place] or 0) for row in rows]
        for place in (3, 4, 5)
    )
    return Figure(
        name="accuracy",
        caption=(
            "Accuracy under the declared preprocessing (top) and the usual alternatives on the "
            f"same {len(labels)} images, with 95 % intervals. An alternative that was given up "
            "early has the estimate from the images that it was asked about. The dashed line is "
            "chance."
        ),
        seen="; ".join(
            f"{name}: {percent(share)} right" for name, share in zip(names, shares, strict=True)
        )
        + f"; chance: {percent(chance(labels))}.",
        image=bars(
            names,
            shares,
            low=low,
            high=high,
            axis="share of images answered rightly",
            reference=("chance", chance(labels)),
        ),
    )


def _notes(
    asked: Asked, found: Sequence[Trial], labels: NDArray[np.int64], total: int
) -> tuple[str, ...]:
    tests = len(found)
    sample = (
        f"{len(labels)} of {total} validation images, drawn evenly over the classes, were tried "
        f"with {tests} alternatives, in {asked.passes} forward passes beside those under the "
        f"declared preprocessing. Chance is {number(chance(labels), 3)}."
    )
    improving = [
        item.name for item, trial in zip(asked.tried, found, strict=True) if trial.better(tests)
    ]
    if not improving:
        return (sample,)
    finding = (
        f"Better than the declared preprocessing: {', '.join(improving)}. The model was probably "
        "not trained with the declared one, on which every other number of this report rests."
    )
    return (sample, finding)

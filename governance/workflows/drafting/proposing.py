"""Proposing: the text of a policy for one model, from what was measured of it.

Every bound leaves the margin that the images allow: a version as good as the one that was measured
meets it nine times in ten. Every line says what it follows from.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from governance.analyses.preprocessing_check import PreprocessingCheck
from governance.errors import SubjectError
from governance.methods.preprocessing_alternatives import alternatives
from governance.methods.preprocessing_search import Candidate
from governance.methods.preprocessing_trials import most_passes
from governance.methods.statistics import acceptance
from governance.records.evidence import Interval
from governance.records.identity import ValidationIdentity
from governance.records.numbers import count, duration, number, percent
from governance.records.policy import MINIMUM_CLASS_IMAGES
from governance.records.policy_text import Line, Section, Value, policy_text
from governance.records.resizing import Resize, Resizing
from governance.records.wording import first_few
from governance.subject.outputs import Outputs
from governance.workflows.policy_chances import WANTED, often

__all__ = ["Measured", "Reference", "proposed"]

#: A class that is recognised less often than this is given up, whatever was measured.
LEAST_RECALL = 0.5
#: Least that a bound on accuracy asks for, of the way from chance to 1: an untrained network's
#: favourite answers may reach half of it.
SKILL = 0.1
#: Share of the time at hand that is planned for: analyses take longer than their forward passes.
PLANNED = 0.8

WHY_OUTPUTS: Mapping[Outputs, str] = MappingProxyType(
    {
        "logits": "The model's outputs do not sum to one.",
        "probabilities": "The model's outputs sum to one.",
        "sigmoid": "The model returns one number from 0 to 1, the probability of the second class.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What thresholds are taken from.

    Attributes:
        what: Whose measurement it is, in words.
        accuracy: Share of right answers.
        interval: Interval of the accuracy.
        recalls: Right answers and images of each class; None for a class without images.
    """

    what: str
    accuracy: float
    interval: Interval | None
    recalls: tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of a model before a policy is proposed for it.

    Attributes:
        uri: Address of the model.
        name: Name for the title.
        images: Images that the policy will be judged on.
        data: Place of the images as the policy names it.
        candidate: Preprocessing that was chosen and confirmed.
        unsized: Whether the policy has to say the size, since the model's files do not.
        outputs: What the model returns.
        allow_pickle: Whether the model is a pickle.
        class_names: File with the names of the outputs as the policy names it; None without one.
        why_scale: Reasons for mean, std and channel order.
        why_size: Reasons for the treatment of sizes.
        reference: What thresholds are taken from.
        chance: Share of the commonest class.
        seconds: Time of one forward pass of an image, decoding included, in seconds.
        minutes: Time at hand for an assessment.
    """

    uri: str
    name: str
    images: ValidationIdentity
    data: str
    candidate: Candidate
    unsized: bool
    outputs: Outputs
    allow_pickle: bool
    class_names: str | None = None
    why_scale: str
    why_size: str
    reference: Reference
    chance: float
    seconds: float
    minutes: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What an analysis of the starter policy costs, in forward passes of one image.

    Attributes:
        parameter: Parameter that sets the number of images.
        passes: Passes for each of them, as timed on a ResNet-20 for CIFAR-10.
        default: Number of images by default.
        least: Number of images below which the analysis is left out.
    """

    parameter: str
    passes: float
    default: int
    least: int


COSTS = {
    "layer_prediction": Cost("samples", 4, 1000, 200),
    "filter_importance": Cost("images", 40, 400, 100),
    "genetic_explanation": Cost("images", 1300, 24, 12),
}


CARD = (
    "State here what the model is for, a line each: purpose, users, out_of_scope, owner, "
    'risk_tier, training_data, monitoring, and class_noun such as "digit". The report prints '
    "what you state, and what follows from each statement that is missing. Nobody checks it."
)


def proposed(measured: Measured) -> str:
    """The text of the policy.

    Raises:
        SubjectError: If no bound above chance can be asked on so many images.
    """
    reference = measured.reference
    drafted = (
        f"Drafted by `governance policy draft` for {measured.uri}, from "
        f"{count(measured.images.images)} images of {len(measured.images.class_names)} classes. "
        "Each comment says why the line below it stands there. Change what you know better, then "
        "run `governance policy check` on this file."
    )
    taken = (
        f"The thresholds are taken from {reference.what}, and leave the margin that the images "
        "allow. They say that later versions must not be worse. Whether that is good enough for "
        "its use, nobody has measured: raise them to what users were promised."
    )
    sections = (
        Section(lines=_top(measured)),
        Section(header="[card]", why=CARD),
        Section(header="[model]", lines=_model(measured)),
        Section(
            header="[validation]",
            lines=(Line(key="data", value=measured.data, why="The images that were given."),),
        ),
        *_analyses(measured),
        *_expectations(measured),
    )
    return policy_text((drafted, taken), sections)


def _top(measured: Measured) -> tuple[Line, ...]:
    always = _always(measured)
    minutes = max(measured.minutes, math.ceil(2 * always / 60))
    why = (
        f"An analysis that was not begun by then counts as missing. You gave "
        f"{number(measured.minutes)} minutes. Those that always run take about "
        f"{duration(always)} here, at {number(1000 * measured.seconds)} ms an image."
    )
    if minutes > measured.minutes:
        why += " That is too long for the time given, so the budget is twice of what they take."
    return (
        Line(key="title", value=f"Release policy for {measured.name}", why="Printed on reports."),
        Line(key="seed", value=0, why="Seed of everything random in an assessment."),
        Line(
            key="baseline",
            value="champion",
            why="The version with this alias is printed beside each new one, once there is one.",
        ),
        Line(key="budget_minutes", value=minutes, why=why),
    )


def _model(measured: Measured) -> tuple[Line, ...]:
    chosen = measured.candidate.preprocessing
    lines = [
        Line(key="channels", value=chosen.channels, why=measured.why_scale),
        Line(key="mean", value=_short(chosen.mean)),
        Line(key="std", value=_short(chosen.std)),
        Line(key="resize", value=_resize(chosen.resize), why=measured.why_size),
    ]
    if measured.unsized:
        why = "The model's files do not say which size it takes; this one did best."
        lines.append(Line(key="size", value=chosen.size, why=why))
    lines.append(Line(key="outputs", value=measured.outputs, why=WHY_OUTPUTS[measured.outputs]))
    if measured.class_names is not None:
        why = "The names of the outputs that you gave, in their order."
        lines.append(Line(key="class_names", value=measured.class_names, why=why))
    if measured.allow_pickle:
        why = "The model is a pickle, and you allowed it. Loading it runs code from the file."
        lines.append(Line(key="allow_pickle", value=True, why=why))
    return tuple(lines)


def _resize(chosen: Resizing) -> Value:
    return chosen.keys if isinstance(chosen, Resize) else chosen


def _short(values: tuple[float, ...]) -> tuple[float, ...]:
    distinct = values[:1] if len(set(values)) == 1 else values
    return tuple(round(value, 6) for value in distinct)


def _always(measured: Measured) -> float:
    """Seconds of the three analyses that run under every policy."""
    n = measured.images.images
    tried = len(alternatives(measured.candidate.preprocessing))
    return measured.seconds * (2 * n + most_passes(min(n, PreprocessingCheck().samples), tried))


def _analyses(measured: Measured) -> list[Section]:
    left = max(0.0, 60 * measured.minutes * PLANNED - _always(measured))
    sections = []
    for place, (name, cost) in enumerate(COSTS.items()):
        each = cost.passes * measured.seconds
        share = left / (len(COSTS) - place)
        most = min(cost.default, measured.images.images)
        size = min(most, int(share / each))
        if size < min(cost.least, most):
            sections.append(
                Section(
                    why=f"[analyses.{name}] is left out: {count(min(cost.least, most))} images "
                    f"would take about {duration(each * min(cost.least, most))}, and "
                    f"{duration(share)} are left of the {number(measured.minutes)} minutes."
                )
            )
            continue
        left -= size * each
        reckoned = f"reckoned at {number(cost.passes)} forward passes an image"
        why = f"About {duration(size * each)}, {reckoned}."
        if size < most:
            why += f" {count(most)} images would be the default, and take longer than there is."
        sections.append(
            Section(
                header=f"[analyses.{name}]",
                lines=(Line(key=cost.parameter, value=size, why=why),),
            )
        )
    return sections


def _expectations(measured: Measured) -> tuple[Section, ...]:
    classes = _classes(measured)
    return (_accuracy(measured), *classes)


def _accuracy(measured: Measured) -> Section:
    reference, n = measured.reference, measured.images.images
    accuracy = reference.accuracy

    def passes(bound: float) -> float:
        return acceptance.share_passes(n, accuracy, bound, "interval")

    bounds = [step / 100 for step in range(int(100 * accuracy), 0, -1)]
    bound = next((item for item in bounds if passes(item) >= WANTED), 0.0)
    least = measured.chance + SKILL * (1 - measured.chance)
    if bound < least:
        raise SubjectError(
            f"model {measured.uri}: has an accuracy of {number(accuracy)} in {reference.what}; on "
            f"{count(n)} images it meets no bound of {number(least)} or more nine times in ten, "
            f"and chance is {number(measured.chance)}. No policy is written; a model that answers "
            "more images rightly, or more images, are accepted"
        )
    span = f" [{number(reference.interval.low)}, {number(reference.interval.high)}]" if (
        reference.interval
    ) else ""  # fmt: skip
    worse = acceptance.share_passes(n, max(0.0, 1 - 1.5 * (1 - bound)), bound, "interval")
    why = (
        f"Accuracy {number(accuracy)}{span} in {reference.what}. On {count(n)} images a version "
        f"with this accuracy meets the bound {often(passes(bound))}, and one with "
        f"half as many errors again as the bound allows {often(worse)}."
    )
    return Section(
        header="[[expectations]]",
        lines=(
            Line(key="metric", value="performance.accuracy"),
            Line(key="at_least", value=bound, why=why),
            Line(key="severity", value="block", why="Later versions must not be less accurate."),
            Line(
                key="on",
                value="interval",
                why="The lower end of the interval is judged, so that few images pass nothing.",
            ),
            Line(
                key="rationale",
                value=f"No worse than {reference.what}: accuracy {number(accuracy)}.",
            ),
        ),
    )


def _classes(measured: Measured) -> tuple[Section, ...]:
    counts, names = measured.images.counted, measured.images.counted_names
    scarce = [
        f"{name} ({count(n)})"
        for name, n in zip(names, counts, strict=True)
        if n < MINIMUM_CLASS_IMAGES
    ]
    if scarce:
        why = (
            f"Nothing is expected of single classes: {count(len(scarce))} of {count(len(names))} "
            f"have fewer than {MINIMUM_CLASS_IMAGES} images ({first_few(scarce)})."
        )
        return (Section(why=why),)
    recalls = [
        # Half an image each way: all of a few images right is no recall of 1.
        (found[0] + 0.5) / (found[1] + 1) if found else LEAST_RECALL
        for name, found in zip(measured.images.class_names, measured.reference.recalls, strict=True)
        if name in names
    ]
    asked, passes = _asked(counts, recalls)
    return _class_sections(measured, asked, passes, recalls)


def _asked(counts: Sequence[int], recalls: Sequence[float]) -> tuple[float, float]:
    """The largest recall that may be asked of each class, and the chance that none falls short."""
    steps = range(99, int(100 * LEAST_RECALL), -1)
    for asked in (step / 100 for step in steps):
        passes = acceptance.none_short(counts, recalls, asked)
        if passes >= WANTED:
            return asked, passes
    return LEAST_RECALL, acceptance.none_short(counts, recalls, LEAST_RECALL)


def _class_sections(
    measured: Measured, asked: float, passes: float, recalls: Sequence[float]
) -> tuple[Section, ...]:
    counts, names = measured.images.counted, measured.images.counted_names
    worst = min(range(len(names)), key=recalls.__getitem__)
    bad = max(0.0, 1 - 2 * (1 - asked))
    shares = [max(asked, recall) for recall in recalls]
    shares[worst] = bad
    slips = acceptance.none_short(counts, shares, asked)
    why = (
        f"The least often recognised class was {names[worst]}, at {number(recalls[worst], 2)}, in "
        f"{measured.reference.what}. A version with the same recalls as there meets the "
        f"expectation below {often(passes)}."
    )
    if passes < WANTED:
        why += f" A class that is recognised less than {percent(LEAST_RECALL)} of the time is "
        why += "given up, so that this is asked all the same."
    reason = (
        f"The lowest of {count(len(names))} measured recalls is no bound: it lies below the lowest "
        "true one. Counted are classes that are shown to fall short. One that truly has a recall "
        f"of {number(bad)} gets through {often(slips)} on so many images."
    )
    return (
        Section(
            header="[analyses.performance]",
            lines=(Line(key="class_recall", value=asked, why=why),),
        ),
        Section(
            header="[[expectations]]",
            lines=(
                Line(key="metric", value="performance.classes_short"),
                Line(key="at_most", value=0, why=reason),
                Line(
                    key="severity",
                    value="block",
                    why="An average must not hide a class that is given up.",
                ),
                Line(
                    key="rationale",
                    value=f"No class is recognised less often than {number(asked)} of the time.",
                ),
            ),
        ),
    )

"""Representative interpretation: what do the model's decisions on many similar images share?

Purpose
    An explanation of one image says nothing about the next. This analysis looks for rules that hold
    for many images of a class at once. A rule is a set of a few linear decision boundaries of the
    network itself, and all images of the rule lie on the same side of them. The analysis measures
    how much of a class such rules cover, whether they hold on images that were not used to find
    them, and which images no rule covers. The rules are kept, so that a later version can be tested
    on the same images.

Method
    The analysis follows Lam et al. 2021. It reads the published formulation and is not a
    reproduction. The network is cut at the last feature map, or block of tokens, behind which it is
    not linear and still reads places of the image. Behind a pooled linear head every class would be
    one region and the rule the class itself.

    Around an image, boundaries to images of other answers are found by bisection between their
    features. Each boundary is the hyperplane on which two classes tie. A greedy cover takes the
    boundaries that keep out images of other answers at the loss of the fewest images of the class.
    It stops when no more images of other answers are left than all boundaries together would leave.
    Boundaries that cost no covered image are added, up to 24. The rules of a class are found one
    after another. The next seed is the most confidently answered image that no rule covers yet. A
    set cover then prunes the rules.

    One half of the images makes the rules, and the other half tests them. The class of an image is
    the model's answer. Shares carry 95 % Clopper-Pearson intervals. Stability is the Jaccard index
    of the images covered when other boundaries are sampled around the same seed. There are three
    controls: a linear surrogate for the model's answers on the same features, k-means clusters, and
    balls around the same seeds. Each covers as many unseen images of the class as the rules.
    Choices that this leaves open are made in favour of the controls.

Signs of risk
    A class needs many rules, or no rule covers much of it: the model has no common ground for the
    class. Precision falls from the reference half to the unseen half. Heat maps of a rule lie
    beside the object on its images. The rules of a class no longer hold in the next version.

Limits
    A rule is a region of the model's features and not a reason. Boundaries are linear pieces found
    by sampling, and other samples give other rules (see stability). With smooth activations a
    boundary is a tangent, which is good only near the images it was found between. Precision is
    measured against the model's own answers, so a rule can be precise and the model wrong. Where
    the linear surrogate does as well, these features tell the class apart easily and the rules add
    no insight. The notes then say so. The interval of that comparison holds for these rules. Which
    images happen to make the rules shifts it by about its own width. Rules can be compared with a
    later version only if it shares the features, as after further training. A network trained from
    scratch does not share them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from governance.methods.decision_rules import find_cut, find_rules
from governance.methods.decision_rules.estimates import RuleEstimates, estimate_rules
from governance.methods.decision_rules.interpretation import (
    Interpretation,
    representative_rules,
    spread_out,
)
from governance.methods.decision_rules.pictures import pictures
from governance.methods.decision_rules.rules import LEAST
from governance.methods.decision_rules.tables import boundary_table, image_table
from governance.methods.network import TracedNetwork, trace
from governance.methods.statistics import intervals
from governance.methods.statistics.intervals import clopper_pearson
from governance.methods.statistics.proportions import ClassShare, lowest
from governance.records.evidence import Interval, Measurement, Metric, Table
from governance.records.numbers import number, signed
from governance.records.wording import missing
from governance.subject.subject import Needs, Subject

__all__ = ["Interpretation", "RepresentativeInterpretation", "representative_rules"]

PRINTED = 25  # rows of a printed table
LISTED = 10  # classes named in a note
STABLE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentativeInterpretation:
    """Rules of shared linear decision boundaries, tested on unseen images.

    Attributes:
        samples: Number of images, drawn evenly over the classes; half make the rules and half test
            them.
        cut: Layer whose output the rules are about; `auto` is the last one behind which the
            network is not linear.
        boundaries: Number of boundaries sampled for each rule.
        max_rules: Largest number of rules per class.
    """

    samples: int = 2000
    cut: str = "auto"
    boundaries: int = 100
    max_rules: int = 10

    needs: ClassVar[Needs] = "features"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "coverage_worst": Metric(
                meaning="Share of the worst class's unseen images that its rules cover.",
                better="higher",
                per_class=True,
            ),
            "coverage.{class}": Metric(
                meaning="Share of this class's unseen images that its rules cover.",
                better="higher",
                per_class=True,
            ),
            "precision_worst": Metric(
                meaning="Share of the unseen images covered by the worst class's rules that the "
                "model answers with that class.",
                better="higher",
                per_class=True,
            ),
            "precision.{class}": Metric(
                meaning="Share of the unseen images covered by this class's rules that the model "
                "answers with it.",
                better="higher",
                per_class=True,
            ),
            "uncovered": Metric(
                meaning="Share of the unseen images that no rule of their class covers.",
                better="lower",
            ),
            "rules_for_80": Metric(
                meaning="Largest number of rules that a class needs to cover 80 % of its reference "
                "images; missing if the rules of a class do not reach 80 %.",
                better="lower",
                highest=None,
                per_class=True,
            ),
            "stability": Metric(
                meaning="Mean Jaccard index of the images a rule covers when other boundaries are "
                "sampled around its seed.",
                better="higher",
            ),
            "edge_over_linear": Metric(
                meaning="Precision of the rules on unseen images minus that of a linear surrogate "
                "that covers as many.",
                better="higher",
                lowest=-1.0,
            ),
        }
    )

    def __post_init__(self) -> None:
        least = {"samples": 2 * LEAST, "boundaries": 1, "max_rules": 1}
        for name, lowest_accepted in least.items():
            if getattr(self, name) < lowest_accepted:
                raise ValueError(
                    f"{name} = {getattr(self, name)}: {lowest_accepted} and more are accepted"
                )

    def run(self, subject: Subject, seed: int) -> Measurement:
        """Find and test rules on a sample of the validation images."""
        validation = subject.validation
        chosen = validation.sample(self.samples, seed)
        example = subject.network.inputs(subject.pixels(spread_out(chosen)))
        network = trace(
            subject.network.model,
            example[:2],
            batch_size=subject.batch_size,
            meter=subject.meter,
        )
        cut, room = find_cut(network, example, self.cut, subject.network.returns)
        used = chosen if room >= len(chosen) else validation.sample(room, seed)
        subject.meter.plan(images=len(used))
        all_rules = find_rules(
            network, _batches(subject, used), cut, boundaries=self.boundaries,
            max_rules=self.max_rules, seed=seed, outputs=subject.network.returns,
        )  # fmt: skip
        names = validation.class_names
        summary = estimate_rules(all_rules, seed)
        hashes = [validation.hashes[place] for place in used]
        ids = [validation.ids[place] for place in used]
        values, spread = _metrics(summary, names)
        return Measurement(
            metrics=values,
            intervals=spread,
            figures=pictures(
                all_rules, names, lambda places: subject.pixels(used[places]), network.layout(cut)
            ),
            tables=(
                _class_table(summary, names),
                _rule_table(summary, names, ids),
                boundary_table(all_rules, names),
                image_table(all_rules, names, hashes),
            ),
            notes=(
                *_notes(summary, names, len(used), len(chosen), network),
                *_undefined(values),
            ),
        )


def _batches(subject: Subject, chosen: NDArray[np.int64]) -> Iterator[Tensor]:
    for start in range(0, len(chosen), subject.batch_size):
        part = chosen[start : start + subject.batch_size]
        yield subject.network.inputs(subject.pixels(part))
        subject.meter.count(images=len(part))


def _metrics(
    summary: RuleEstimates, names: Sequence[str]
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    all_rules = summary.all_rules
    empty = ClassShare(hits=0, n=0)
    values: dict[str, float | None] = {}
    spread: dict[str, Interval | None] = {}
    # A class for which no rule was found has a measured coverage of 0.
    sought = [k for k, status in enumerate(all_rules.statuses) if status in {"measured", "no rule"}]
    for name, read, known in (
        ("coverage", summary.coverage, sought),
        ("precision", summary.precision, all_rules.measured),
    ):
        shares = [read(k) if k in known else empty for k in range(all_rules.classes)]
        worst = lowest(shares)
        values[f"{name}_worst"], spread[f"{name}_worst"] = worst or (None, None)
        for label, share in zip(names, shares, strict=True):
            values[f"{name}.{label}"] = share.share
            spread[f"{name}.{label}"] = clopper_pearson(share.hits, share.n)
    covered = [summary.coverage(label) for label in sought]
    images = sum(item.n for item in covered)
    left = images - sum(item.hits for item in covered)
    values["uncovered"] = left / images if images else None
    spread["uncovered"] = clopper_pearson(left, images)
    counts = [summary.enough(label) for label in range(all_rules.classes)]
    reached = [count for count in counts if count is not None]
    values["rules_for_80"] = max(reached) if len(reached) == len(counts) else None
    stable = [rule.stability for rule in all_rules.rules]
    values["stability"] = float(np.mean(stable)) if stable else None
    spread["stability"] = intervals.bootstrap(np.mean, stable, summary.seed)
    values["edge_over_linear"], spread["edge_over_linear"] = summary.edge() or (None, None)
    return values, {name: item for name, item in spread.items() if item}


def _undefined(metrics: Mapping[str, float | None]) -> Iterator[str]:
    """Reason for missing metrics, one note for all of them."""
    absent = [name for name, value in metrics.items() if value is None]
    if absent:
        overall = [name for name in absent if "." not in name]
        classes = [name for name in absent if "." in name]
        rest = ["more of single classes"] if classes[LISTED:] else []
        shown = [*overall, *classes[:LISTED], *rest]
        why = "classes were not measured, are covered by no rule, or need more rules than there are"
        yield missing(shown, why)


def _class_table(summary: RuleEstimates, names: Sequence[str]) -> Table:
    return _table(
        "classes",
        (
            "Each row is a class, by the model's answer, on the unseen half "
            f"(n = {int(summary.all_rules.unseen.sum())} images). It gives the number of rules and "
            "how many of them cover 80 % of the reference images. Coverage is the share of the "
            "class that the rules cover. Precision is the share of the covered images that are of "
            "the class. Both have 95 % Clopper-Pearson intervals. Each plain method has its "
            "precision where it covers as many images of the class."
        ),
        summary.class_rows(names),
        (
            "class", "status", "rules", "rules_for_80",
            "coverage", "coverage_low", "coverage_high",
            "precision", "precision_low", "precision_high", "precision_n",
            "linear_precision",
        ),
    )  # fmt: skip


def _rule_table(summary: RuleEstimates, names: Sequence[str], ids: Sequence[str]) -> Table:
    return _table(
        "rules",
        (
            f"Each row is a rule in the features at {summary.all_rules.cut}. It gives the seed "
            "image, the number of boundaries, the classes on their other side (most frequent "
            "first), coverage and precision on the reference half and on the unseen half with "
            "95 % Clopper-Pearson intervals, the stability, and the precision of the plain methods "
            "at the same unseen coverage."
        ),
        summary.rule_rows(names, ids),
        (
            "rule", "seed_image", "boundaries", "opposing_classes",
            "coverage_unseen", "coverage_unseen_low", "coverage_unseen_high",
            "precision_unseen", "precision_unseen_low", "precision_unseen_high",
            "stability", "linear_precision",
        ),
    )  # fmt: skip


def _table(name: str, caption: str, frame: pd.DataFrame, printed: tuple[str, ...]) -> Table:
    plain = frame.astype(object).where(frame.notna(), None)
    return Table(
        name=name,
        caption=caption,
        columns=tuple(frame.columns),
        printed=printed,
        rows=tuple(plain.itertuples(index=False, name=None)),
        shown=PRINTED,
    )


def _notes(
    summary: RuleEstimates, names: Sequence[str], used: int, asked: int, network: TracedNetwork
) -> tuple[str, ...]:
    all_rules = summary.all_rules
    half = int(all_rules.unseen.sum())
    notes = [
        (
            f"Measured on {used} validation images, drawn evenly over the classes: {used - half} "
            f"make the rules and {half} test them. The network was cut at {all_rules.cut} and read "
            f"by {network.path}."
        )
    ]
    if used < asked:
        notes.append(f"{asked} images were asked for; the features of {used} fit in memory.")
    for status in ("too few images", "never predicted", "no rule"):
        listed = [names[k] for k, state in enumerate(all_rules.statuses) if state == status]
        if listed:
            what = f"fewer than {LEAST} reference images" if status == "too few images" else status
            shown = ", ".join(listed[:LISTED]) + (" and more" if len(listed) > LISTED else "")
            notes.append(f"{len(listed)} of {len(names)} classes not measured, {what}: {shown}.")
    if all_rules.measured:
        notes.append(_against_linear(summary))
        notes.append(_against_others(summary))
    stable = [rule.stability for rule in all_rules.rules]
    if stable and np.mean(stable) < STABLE:
        notes.append(
            "The rules depend on which boundaries were sampled: their stability is "
            f"{number(float(np.mean(stable)), 2)} on average over {len(stable)} rules, which is "
            f"below {STABLE}."
        )
    return tuple(notes)


def _against_linear(summary: RuleEstimates) -> str:
    ours, theirs = summary.total("precision"), summary.total("linear")
    edge = summary.edge()
    if edge is None or ours.share is None or theirs.share is None:
        return "The rules cover no unseen image of any class, so they beat no linear surrogate."
    value, interval = edge
    text = (
        f"precision {number(ours.share, 3)} (n = {ours.n}) against {number(theirs.share, 3)} "
        f"(n = {theirs.n})"
    )
    span = (
        f", 95 % interval {signed(interval.low, 3)} to {signed(interval.high, 3)}"
        if interval
        else ""
    )
    beaten = interval is not None and interval.low > 0
    lead = "The rules beat" if beaten else "The rules do not beat"
    return (
        f"{lead} a linear surrogate on the same features at the same coverage of unseen images: "
        f"{text}, difference {signed(value, 3)}{span}. The interval holds for these rules. Other "
        "halves of the images give other rules."
    )


def _against_others(summary: RuleEstimates) -> str:
    parts = []
    for name in ("k-means", "ball"):
        share = summary.total(name)
        if share.share is not None:
            parts.append(f"{name} {number(share.share, 3)} (n = {share.n})")
    return f"Precision of the other plain methods at that coverage: {', '.join(parts) or 'none'}."

"""Representative interpretation: what the model's decisions on many similar images share.

Purpose
    An explanation of one image says nothing about the next. This analysis finds rules that hold
    for many images of a class at once: a few linear decision boundaries of the network itself that
    all these images lie on the same side of. It says how much of a class such rules cover, whether
    they hold on images that were not used to find them, and which images no rule covers. The rules
    are kept, so that a later version can be asked about the same images.

Method
    After Lam et al. 2021; a reading of the published formulation, not a reproduction. The network
    is cut at the last feature map behind which it is not linear (behind a pooled linear head every
    class would be one region and the rule the class itself). Around an image, boundaries to images
    of other answers are found by bisection between their features; each is the hyperplane on which
    two classes tie. Of these a greedy cover takes those that keep out images of other answers at
    the loss of fewest images of the class, until no more are left than all boundaries together
    would leave; boundaries that cost no covered image are added, up to 24. Rules are peeled off,
    the most confidently answered image not yet covered being the next seed, and pruned by a set
    cover. One half of the images makes the rules, the other tests them. The class of an image is
    what the model answers. Shares carry 95 % Clopper-Pearson intervals. Stability is the Jaccard
    index of the images covered when other boundaries are sampled around the same seed. Controls,
    each covering as many unseen images of the class as the rules: a linear surrogate for the
    model's answers on the same features, k-means clusters, and balls around the same seeds; what
    these leave open is set in their favour.

Signs of risk
    A class that needs many rules, or much of which no rule covers: the model has no common ground
    for it. Precision that falls from the reference half to the unseen half. Heat maps of a rule
    that lie beside the object on its images. A class whose rules no longer hold in the next
    version.

Limits
    A rule is a region of the model's features, not a reason. Boundaries are linear pieces found by
    sampling; with other samples the rules are others (see stability). With smooth activations a
    boundary is a tangent, good near the images it was found between. Precision is measured against
    the model's own answers: a rule can be precise and the model wrong. Where the linear surrogate
    does as well, the class is simply that easy to tell from these features, and the rules add no
    insight; the notes say so. The interval of that comparison is for the rules found; which images
    happen to make the rules shifts it by about its own width. Rules compare with a later version
    only as far as this shares the features, as after further training; a network trained from
    scratch does not.
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
from governance.methods.missing import missing
from governance.methods.network import TracedNetwork, trace
from governance.methods.statistics import intervals
from governance.methods.statistics.intervals import clopper_pearson
from governance.methods.statistics.proportions import ClassShare, lowest
from governance.records.evidence import Interval, Measurement, Metric, Table
from governance.records.numbers import number, signed
from governance.subject.subject import Needs, Subject

__all__ = ["Interpretation", "RepresentativeInterpretation", "representative_rules"]

PRINTED = 25  # rows of a printed table
LISTED = 10  # classes named in a note
STABLE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentativeInterpretation:
    """Rules of shared linear decision boundaries, tested on unseen images.

    Attributes:
        samples: Images used, drawn evenly over the classes; half make the rules, half test them.
        cut: Layer whose output the rules speak of; `auto` for the last behind which the network is
            not linear.
        boundaries: Sampled for each rule.
        max_rules: Most rules of a class.
    """

    samples: int = 2000
    cut: str = "auto"
    boundaries: int = 100
    max_rules: int = 10

    needs: ClassVar[Needs] = "network"
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType(
        {
            "coverage_worst": Metric(
                meaning="share of its unseen images that the rules of the worst class cover",
                better="higher",
                per_class=True,
            ),
            "coverage.{class}": Metric(
                meaning="share of this class's unseen images that its rules cover",
                better="higher",
                per_class=True,
            ),
            "precision_worst": Metric(
                meaning="share of the unseen images covered by the rules of the worst class that "
                "the model answers with that class",
                better="higher",
                per_class=True,
            ),
            "precision.{class}": Metric(
                meaning="share of the unseen images covered by this class's rules that the model "
                "answers with it",
                better="higher",
                per_class=True,
            ),
            "uncovered": Metric(
                meaning="share of the unseen images that no rule of their class covers",
                better="lower",
            ),
            "rules_for_80": Metric(
                meaning="rules that cover 80 % of a class's reference images, for the class that "
                "needs most; missing where a class does not get there",
                better="lower",
                highest=None,
                per_class=True,
            ),
            "stability": Metric(
                meaning="mean Jaccard index of the images a rule covers when other boundaries are "
                "sampled around its seed",
                better="higher",
            ),
            "edge_over_linear": Metric(
                meaning="precision of the rules on unseen images minus that of a linear surrogate "
                "that covers as many",
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
        network = trace(subject.network.model, example[:2], batch_size=subject.batch_size)
        cut, room = find_cut(network, example, self.cut, subject.network.outputs)
        used = chosen if room >= len(chosen) else validation.sample(room, seed)
        found = find_rules(
            network, _batches(subject, used), cut, boundaries=self.boundaries,
            max_rules=self.max_rules, seed=seed, outputs=subject.network.outputs,
        )  # fmt: skip
        names = validation.class_names
        summary = estimate_rules(found, seed)
        hashes = [validation.hashes[place] for place in used]
        ids = [validation.ids[place] for place in used]
        values, spread = _metrics(summary, names)
        return Measurement(
            metrics=values,
            intervals=spread,
            figures=pictures(found, names, lambda places: subject.pixels(used[places])),
            tables=(
                _class_table(summary, names),
                _rule_table(summary, names, ids),
                boundary_table(found, names),
                image_table(found, names, hashes),
            ),
            notes=(
                *_notes(summary, names, len(used), len(chosen), network),
                *_undefined(values),
            ),
        )


def _batches(subject: Subject, chosen: NDArray[np.int64]) -> Iterator[Tensor]:
    for start in range(0, len(chosen), subject.batch_size):
        yield subject.network.inputs(subject.pixels(chosen[start : start + subject.batch_size]))


def _metrics(
    summary: RuleEstimates, names: Sequence[str]
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    found = summary.all_rules
    empty = ClassShare(hits=0, n=0)
    values: dict[str, float | None] = {}
    spread: dict[str, Interval | None] = {}
    # A class for which no rule was found is covered by none: that much was measured.
    sought = [k for k, status in enumerate(found.statuses) if status in {"measured", "no rule"}]
    for name, read, known in (
        ("coverage", summary.coverage, sought),
        ("precision", summary.precision, found.measured),
    ):
        shares = [read(k) if k in known else empty for k in range(found.classes)]
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
    counts = [summary.enough(label) for label in range(found.classes)]
    reached = [count for count in counts if count is not None]
    values["rules_for_80"] = max(reached) if len(reached) == len(counts) else None
    stable = [rule.stability for rule in found.rules]
    values["stability"] = float(np.mean(stable)) if stable else None
    spread["stability"] = intervals.bootstrap(np.mean, stable, summary.seed)
    values["edge_over_linear"], spread["edge_over_linear"] = summary.edge() or (None, None)
    return values, {name: item for name, item in spread.items() if item}


def _undefined(metrics: Mapping[str, float | None]) -> Iterator[str]:
    """Why metrics are missing, a note for all of them."""
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
            "Classes, by what the model answers, on the unseen half (n = "
            f"{int(summary.all_rules.unseen.sum())} images): number of rules and how many of them "
            "cover 80 % of the reference images; share of the class that the rules cover and share "
            "of the covered that is of the class, with 95 % Clopper-Pearson intervals; and the "
            "precision of each baseline that covers as many of the class."
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
            f"Rules in the features at {summary.all_rules.cut}: seed image, number of boundaries, "
            "classes on their other side (most frequent first), coverage and precision on the "
            "reference and on the unseen half with 95 % Clopper-Pearson intervals, stability, and "
            "the baselines' precision at the same unseen coverage."
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
    found = summary.all_rules
    half = int(found.unseen.sum())
    notes = [
        (
            f"{used} validation images, drawn evenly over the classes: {used - half} make the "
            f"rules, {half} test them. Cut at {found.cut}, network read by {network.path}."
        )
    ]
    if used < asked:
        notes.append(f"{asked} images were asked for; the features of {used} fit in memory.")
    for status in ("too few images", "never predicted", "no rule"):
        listed = [names[k] for k, state in enumerate(found.statuses) if state == status]
        if listed:
            what = f"fewer than {LEAST} reference images" if status == "too few images" else status
            shown = ", ".join(listed[:LISTED]) + (" and more" if len(listed) > LISTED else "")
            notes.append(f"{len(listed)} of {len(names)} classes not measured, {what}: {shown}.")
    if found.measured:
        notes.append(_against_linear(summary))
        notes.append(_against_others(summary))
    stable = [rule.stability for rule in found.rules]
    if stable and np.mean(stable) < STABLE:
        notes.append(
            "The rules depend on which boundaries were sampled: stability "
            f"{number(float(np.mean(stable)), 2)} on average over {len(stable)} rules, below "
            f"{STABLE}."
        )
    return tuple(notes)


def _against_linear(summary: RuleEstimates) -> str:
    ours, theirs = summary.total("precision"), summary.total("linear")
    edge = summary.edge()
    if edge is None or ours.share is None or theirs.share is None:
        return "The rules cover no unseen image of any class: they do not beat a linear surrogate."
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
        f"{text}, difference {signed(value, 3)}{span}. The interval is for these rules; other "
        "halves of the images give others."
    )


def _against_others(summary: RuleEstimates) -> str:
    parts = []
    for name in ("k-means", "ball"):
        share = summary.total(name)
        if share.share is not None:
            parts.append(f"{name} {number(share.share, 3)} (n = {share.n})")
    return f"Precision of the other baselines at that coverage: {', '.join(parts) or 'none'}."

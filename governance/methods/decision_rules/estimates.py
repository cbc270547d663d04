"""Estimates: coverage and precision of rules on images they have not seen, beside the baselines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from governance.methods.decision_rules.baselines import (
    BASELINES,
    Scores,
    ball,
    best,
    coordinates,
    k_means,
    linear,
    matched,
)
from governance.methods.decision_rules.rules import DecisionRule, DecisionRules
from governance.methods.statistics import intervals
from governance.methods.statistics.intervals import clopper_pearson
from governance.methods.statistics.proportions import ClassShare, ends
from governance.records.evidence import Cell, Interval

__all__ = ["ENOUGH", "RuleEstimates", "estimate_rules"]

ENOUGH = 0.8  # share of a class's reference images that few rules should cover
Truth = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleEstimates:
    """What the rules of a network are worth on images they have not seen.

    Attributes:
        all_rules: The rules.
        seed: Seed of the plain methods and of resampling.
        scores: Likeness (M, K) of each unseen image to each class, by plain method.
    """

    all_rules: DecisionRules
    seed: int
    scores: dict[str, Scores]

    def coverage(self, label: int) -> ClassShare:
        """Unseen images of a class that its rules cover, among all of the class."""
        own, covered = self._unseen(label, self.all_rules.covered(label))
        return ClassShare(hits=int((own & covered).sum()), n=int(own.sum()))

    def precision(self, label: int) -> ClassShare:
        """Unseen images of a class among all that its rules cover."""
        own, covered = self._unseen(label, self.all_rules.covered(label))
        return ClassShare(hits=int((own & covered).sum()), n=int(covered.sum()))

    def against(self, baseline: str, label: int) -> ClassShare:
        """Precision of a baseline that covers as many unseen images of the class."""
        own, covered = self._unseen(label, self.all_rules.covered(label))
        found = matched(self.scores[baseline][:, label], own, int((own & covered).sum()))
        return found or ClassShare(hits=0, n=0)

    def total(self, name: str) -> ClassShare:
        """Coverage or precision of the rules, or a baseline's precision, over measured classes."""
        read = {"coverage": self.coverage, "precision": self.precision}
        found = [
            read[name](label) if name in read else self.against(name, label)
            for label in self.all_rules.measured
        ]
        return ClassShare(hits=sum(item.hits for item in found), n=sum(item.n for item in found))

    def edge(self) -> tuple[float, Interval | None] | None:
        """Precision of the rules minus that of the linear surrogate at the same coverage.

        The interval is a bootstrap over the unseen images, which both are measured on.
        """
        rows = np.zeros((int(self.all_rules.unseen.sum()), 4))
        for label in self.all_rules.measured:
            own, covered = self._unseen(label, self.all_rules.covered(label))
            hits = int((own & covered).sum())
            if not hits:
                continue
            score = self.scores["linear"][:, label]
            taken = score >= np.sort(score[own])[-hits]
            rows += np.stack([own & covered, covered, own & taken, taken], 1)

        def difference(data: NDArray[np.float64]) -> float:
            one, of_one, two, of_two = data.sum(0)
            return float(one / of_one - two / of_two) if of_one and of_two else np.nan

        value = difference(rows)
        if not np.isfinite(value):
            return None
        return value, intervals.bootstrap(difference, rows, self.seed, resamples=1000)

    def enough(self, label: int) -> int | None:
        """Rules of a class that cover 80 % of its reference images; None if all do not."""
        all_rules = self.all_rules
        own = (all_rules.predicted == label) & ~all_rules.unseen
        found = np.zeros(len(own), dtype=bool)
        for rule in all_rules.of(label):
            found |= rule.covered
            if (found & own).sum() >= ENOUGH * own.sum():
                return rule.number
        return None

    def rule_rows(self, names: Sequence[str], ids: Sequence[str]) -> pd.DataFrame:
        """One row a rule, both halves, with the baselines at its coverage of unseen images."""
        return pd.DataFrame(
            [self._rule_row(rule, names, ids) for rule in self.all_rules.rules],
            columns=["rule", "class", "number", "seed_image", "boundaries", "opposing_classes",
                     *_columns("coverage_ref"), *_columns("precision_ref"),
                     *_columns("coverage_unseen"), *_columns("precision_unseen"), "stability",
                     *(f"{name}_precision" for name in BASELINES)],
        )  # fmt: skip

    def class_rows(self, names: Sequence[str]) -> pd.DataFrame:
        """One row a class with its status, rules and unseen coverage and precision."""
        rows = []
        for label, status in enumerate(self.all_rules.statuses):
            coverage, precision = self.coverage(label), self.precision(label)
            measured = status == "measured"
            cells: list[Cell] = [names[label], status, len(self.all_rules.of(label))]
            cells.append(self.enough(label) if measured else None)
            cells += _share(coverage) if measured else [None, None, None, coverage.n]
            cells += _share(precision) if measured else [None, None, None, None]
            for baseline in BASELINES:
                cells.append(self.against(baseline, label).share if measured else None)
            rows.append(cells)
        return pd.DataFrame(
            rows,
            columns=["class", "status", "rules", "rules_for_80", *_columns("coverage"),
                     *_columns("precision"), *(f"{name}_precision" for name in BASELINES)],
        )  # fmt: skip

    def _unseen(self, label: int, covered: Truth) -> tuple[Truth, Truth]:
        half = self.all_rules.unseen
        own: Truth = (self.all_rules.predicted == label)[half]
        return own, covered[half]

    def _rule_row(self, rule: DecisionRule, names: Sequence[str], ids: Sequence[str]) -> list[Cell]:
        cells: list[Cell] = [
            rule.name(names), names[rule.label], rule.number, ids[rule.seed],
            len(rule.boundaries), _opposing(rule, names),
        ]  # fmt: skip
        own = self.all_rules.predicted == rule.label
        for half in (~self.all_rules.unseen, self.all_rules.unseen):
            hits = int((own & rule.covered & half).sum())
            cells += _share(ClassShare(hits=hits, n=int((own & half).sum())))
            cells += _share(ClassShare(hits=hits, n=int((rule.covered & half).sum())))
        cells.append(rule.stability)
        mine, covered = self._unseen(rule.label, rule.covered)
        for baseline in BASELINES:
            score = self.scores[baseline][:, rule.label]
            found = matched(score, mine, int((mine & covered).sum()))
            cells.append(found.share if found else None)
        return cells


def estimate_rules(all_rules: DecisionRules, seed: int) -> RuleEstimates:
    """Hold the rules against a linear surrogate, k-means and balls around the same seeds.

    Penalty and number of clusters are those with the highest precision on the unseen half itself,
    which favours the baselines.
    """
    half = all_rules.unseen
    flat = all_rules.features.flatten(1)
    chosen = half.tolist()
    reference = flat[[index for index, taken in enumerate(chosen) if not taken]]
    unseen = flat[[index for index, taken in enumerate(chosen) if taken]]
    one, two = coordinates(reference, unseen)
    named = all_rules.predicted[~half]
    owns = {label: (all_rules.predicted == label)[half] for label in all_rules.measured}
    covered = {label: int((owns[label] & all_rules.covered(label)[half]).sum()) for label in owns}
    balls = np.zeros((len(unseen), all_rules.classes))
    for label in all_rules.measured:
        balls[:, label] = ball(unseen, flat[[rule.seed for rule in all_rules.of(label)]])
    scores = {
        "linear": best(linear(one, named, two, all_rules.classes), owns, covered),
        "k-means": best(k_means(one, named, two, all_rules.classes, seed), owns, covered),
        "ball": balls,
    }
    return RuleEstimates(all_rules=all_rules, seed=seed, scores=scores)


def _opposing(rule: DecisionRule, names: Sequence[str]) -> str:
    # The classes on the other side, the most frequent first.
    classes, counts = np.unique(rule.boundaries.opposing, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return ", ".join(names[int(classes[place])] for place in order)


def _columns(name: str) -> tuple[str, ...]:
    return name, f"{name}_low", f"{name}_high", f"{name}_n"


def _share(share: ClassShare) -> list[Cell]:
    return [share.share, *ends(clopper_pearson(share.hits, share.n)), share.n]

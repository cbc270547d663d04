"""Interpretation: rules of a model on images, for use without the rest of the package."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from torch import nn

from governance.errors import AnalysisError
from governance.methods.decision_rules.estimates import estimate_rules
from governance.methods.decision_rules.rules import (
    DecisionRule,
    DecisionRules,
    Outputs,
    find_cut,
    find_rules,
)
from governance.methods.decision_rules.tables import boundary_table, image_table
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import trace
from governance.records.evidence import Table

__all__ = ["Interpretation", "representative_rules", "spread_out"]

TRIAL = 32  # images on which a cut is tried


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpretation:
    """What `representative_rules` found.

    Attributes:
        cut: The layer whose output the rules speak of.
        rules: The rules of all classes.
        table: One row a rule: coverage and precision on both halves with 95 % Clopper-Pearson
            intervals, stability, and the precision of the baselines at its unseen coverage.
        classes: One row a class: status, number of rules, unseen coverage and precision of all its
            rules together, and the baselines'.
        boundaries: The rules as they are recorded; `decision_rules.ask` takes it.
        images: Which rules cover which image; `decision_rules.ask` takes it.
        all_rules: Features, halves and answers that the tables were made from.
    """

    cut: str
    rules: tuple[DecisionRule, ...]
    table: pd.DataFrame
    classes: pd.DataFrame
    boundaries: Table
    images: Table
    all_rules: DecisionRules

    def similar(self, rule: DecisionRule) -> pd.DataFrame:
        """All images by semantic distance to a rule's seed, the nearest first.

        Returns:
            Columns image (number), distance (logits), covered, answer.
        """
        features = self.all_rules.features
        frame = pd.DataFrame(
            {
                "image": np.arange(len(features)),
                "distance": rule.distances(features, features[rule.seed]),
                "covered": rule.covered,
                "answer": self.all_rules.predicted,
            }
        )
        return frame.sort_values("distance", kind="stable", ignore_index=True)


def representative_rules(
    model: nn.Module,
    images: Images,
    labels: ArrayLike | None = None,
    *,
    cut: str = "auto",
    boundaries: int = 100,
    max_rules: int = 10,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    outputs: Outputs = "logits",
    batch_size: int = 64,
) -> Interpretation:
    """Rules that many images of a class share, made of the network's own decision boundaries.

    Args:
        model: Maps (B, C, H, W) to (B, K); left as found.
        images: (N, C, H, W) in the model's input space, on its device. Half make the rules.
        labels: (N,) true classes, if known; they add `right_unseen` to the table, the share of the
            covered unseen images whose true class is the rule's.
        cut: Layer whose output the rules speak of, or `auto`.
        boundaries: Sampled for each rule.
        max_rules: Maximum number of rules of a class.
        seed: Seed of the halves, the boundaries and the plain methods.
        class_names: K names; numbers if not given.
        outputs: Whether the model returns logits or probabilities.
        batch_size: Images per forward pass.

    Raises:
        AnalysisError: If the cut does not exist, cannot be resumed or has a linear map behind it,
            features do not fit in memory, or all images are answered alike.
    """
    images = image_tensor(images)
    truth = None if labels is None else image_labels(labels, len(images))
    if boundaries < 1 or max_rules < 1:
        raise AnalysisError(
            f"boundaries = {boundaries}, max_rules = {max_rules}; 1 and more are accepted"
        )
    network = trace(model, images[:2], batch_size=batch_size)
    example = images[spread_out(np.arange(len(images))).tolist()]
    layer, _ = find_cut(network, example, cut, outputs)
    found = find_rules(
        network, [images], layer, boundaries=boundaries, max_rules=max_rules, seed=seed,
        outputs=outputs,
    )  # fmt: skip
    names = class_names or [str(label) for label in range(network.classes)]
    ids = [str(index) for index in range(len(images))]
    summary = estimate_rules(found, seed)
    table = summary.rule_rows(names, ids)
    if truth is not None:
        masks = [rule.covered & found.unseen for rule in found.rules]
        table["right_unseen"] = [
            float((truth[mask] == rule.label).mean()) if mask.any() else None
            for mask, rule in zip(masks, found.rules, strict=True)
        ]
    return Interpretation(
        cut=layer, rules=found.rules, table=table, classes=summary.class_rows(names),
        boundaries=boundary_table(found, names), images=image_table(found, names, ids),
        all_rules=found,
    )  # fmt: skip


def spread_out(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """A few of many images, evenly through their order: sets are often sorted by class."""
    return chosen[:: max(1, len(chosen) // TRIAL)][:TRIAL]

"""Tables: all rules and the images they cover, as they are recorded."""

import base64
import json
from collections.abc import Sequence

import numpy as np
import torch

from governance.methods.decision_rules.boundaries import boundary_digest
from governance.methods.decision_rules.rules import DecisionRules
from governance.records.evidence import Cell, Table

__all__ = ["boundary_table", "image_table"]


def boundary_table(all_rules: DecisionRules, names: Sequence[str]) -> Table:
    """All rules as rows, one a boundary."""
    rows: list[tuple[Cell, ...]] = []
    shape = "x".join(str(size) for size in all_rules.features.shape[1:])
    for rule in all_rules.rules:
        digest = boundary_digest(rule.boundaries)
        whole = rule.boundaries.normals.to(torch.int8).cpu().numpy()
        rows += [
            (rule.name(names), rule.label, all_rules.cut, shape, names[opposing], opposing,
             float(rule.boundaries.scales[place]), float(rule.boundaries.offsets[place]),
             base64.b64encode(whole[place].tobytes()).decode(), digest)
            for place, opposing in enumerate(rule.boundaries.opposing.tolist())
        ]  # fmt: skip
    return Table(
        name="boundaries",
        caption=(
            "The boundaries of every rule. An image is covered where scale times the inner product "
            "of normal and features, plus offset, is at least 0 for each of them. Normals are "
            "signed bytes in base64, in the order channel, row, column."
        ),
        columns=("rule", "label", "cut", "shape", "opposing", "opposing_label", "scale", "offset",
                 "normal", "digest"),
        rows=tuple(rows),
        shown=0,
    )  # fmt: skip


def image_table(all_rules: DecisionRules, names: Sequence[str], ids: Sequence[str]) -> Table:
    """Which rules cover which image, as rows."""
    covering: list[list[str]] = [[] for _ in all_rules.predicted]
    for rule in all_rules.rules:
        for image in np.flatnonzero(rule.covered):
            covering[image].append(rule.name(names))
    own = [all_rules.covered(label) for label in range(all_rules.classes)]
    rows = tuple(
        (
            ids[image], int(label), names[int(label)], bool(all_rules.unseen[image]),
            json.dumps(covering[image]), bool(own[label][image]),
        )
        for image, label in enumerate(all_rules.predicted)
    )  # fmt: skip
    return Table(
        name="images",
        caption=(
            f"Every image, n = {len(rows)}: what the model answers, whether it was unseen when the "
            "rules were made, the rules that cover it (a JSON list), and whether one of them is of "
            "its class."
        ),
        columns=("image", "label", "answer", "unseen", "rules", "covered"),
        rows=rows,
        shown=0,
    )

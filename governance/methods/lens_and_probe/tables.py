"""Tables of what each depth answers: by class at the last stage, by layer, by class and layer."""

from collections.abc import Sequence

import pandas as pd

from governance.methods.statistics.proportions import ClassShare, Paired, ends
from governance.records.evidence import Cell, Table

__all__ = ["class_table", "gap_table", "layer_table"]

# Printed tables stop here; evidence keeps every row.
PRINTED = 25
GAP_COLUMNS = (
    "class", "n", "lens_recall", "lens_low", "lens_high", "probe_recall",
    "gap", "gap_low", "gap_high", "p",
)  # fmt: skip


def gap_table(
    pairs: Sequence[Paired], lens: Sequence[ClassShare], names: Sequence[str], layer: str
) -> Table:
    """One row per class at the last stage: lens, probe and the gap between them."""
    rows: list[tuple[Cell, ...]] = []
    for name, pair, share in zip(names, pairs, lens, strict=True):
        own = (name, pair.n, share.share, *ends(share.interval))
        probe = (pair.both + pair.first) / pair.n if pair.n else None
        rows.append((*own, probe, pair.difference, *ends(pair.interval()), pair.p_value()))
    rows.sort(key=lambda row: (row[6] is None, -float(row[6] or 0.0)))
    return Table(
        name="gaps",
        caption=(
            f"Per class at the last convolutional stage ({layer}): lens recall with 95 % Wilson "
            "interval, probe recall, and the gap (probe minus lens) with Newcombe's interval for "
            "paired shares and the p-value of the exact McNemar test, both for the class alone. "
            "Widest gap first."
        ),
        columns=GAP_COLUMNS,
        rows=tuple(rows),
        shown=PRINTED,
    )


def layer_table(frame: pd.DataFrame) -> Table:
    """One row per layer and method, over all images."""
    columns = ("layer", "depth", "method", "n", "recall", "ci_lo", "ci_hi", "agree_final", "chance")
    overall = frame[frame["class"] == "all"]
    return Table(
        name="layers",
        caption=(
            "Accuracy of lens, probe and the probe's control at each depth on the same n images, "
            "with 95 % Wilson intervals; agree_final: share of images named as the model finally "
            "does; chance: share of the commonest class."
        ),
        columns=columns,
        rows=_rows(overall, columns),
    )


def class_table(frame: pd.DataFrame) -> Table:
    """One row per layer, method and class."""
    columns = tuple(str(name) for name in frame.columns)
    return Table(
        name="classes",
        caption=(
            "Recall of lens, probe and the probe's control per layer and class with 95 % Wilson "
            "intervals; nll and kl_to_final in nats, for the lens only."
        ),
        columns=columns,
        rows=_rows(frame, columns),
        shown=0,
    )


def _rows(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(row) for row in frame[list(columns)].itertuples(index=False))

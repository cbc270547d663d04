"""Tables: what each depth answers, by class, by layer and for single images."""

from collections.abc import Sequence

import pandas as pd

from governance.methods.lens_and_probe.estimates import Readings
from governance.methods.lens_and_probe.masked import Local
from governance.methods.statistics.proportions import ClassShare, Paired, ends
from governance.records.evidence import Cell, Table

__all__ = ["class_table", "gap_table", "layer_table", "local_table"]

# Printed tables stop here; evidence keeps every row.
PRINTED = 25
GAP_COLUMNS = (
    "class", "n", "lens_recall", "lens_low", "lens_high", "probe_recall",
    "gap", "gap_low", "gap_high", "p",
)  # fmt: skip

LOCAL_COLUMNS = (
    "image", "rule", "class", "answer", "p_answer", "layer", "lens_answer", "lens_p", "p_masked",
    "p_moved", "kept",
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
            f"Per class at the last stage ({layer}): lens recall with 95 % Wilson "
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


def local_table(local: Local, readings: Readings, names: Sequence[str]) -> Table:
    """One row per chosen image and layer: what the lens says, and what is left under the mask."""
    rows: list[tuple[Cell, ...]] = []
    for row, image in enumerate(local.places):
        own = int(readings.final[image])
        about = (
            local.ids[row], local.rules[row], names[readings.labels[image]], names[own],
            float(readings.probabilities[image, own]),
        )  # fmt: skip
        for column, layer in enumerate(local.seen.layers):
            lens = readings.found[layer, "lens"]
            said = None if lens.probabilities is None else float(lens.probabilities[image, own])
            under = (local.seen.answers[row, column, own], local.seen.elsewhere[row, column, own])
            kept = local.seen.kept[row, column]
            rows.append((*about, layer, names[lens.answers[image]], said, *under, kept))
    return Table(
        name="images",
        caption=(
            f"Images chosen by rule (n = {len(local.places)}), one row per layer: what the model "
            "answers and with which probability; what the lens would answer at the layer (lens_p: "
            "its probability for the model's answer); the model's probability for that answer when "
            "all but the part the layer looked at is blurred (p_masked), and the control with the "
            "same "
            "region moved elsewhere (p_moved); kept: share of the pixels left. Single images: no "
            "intervals."
        ),
        columns=LOCAL_COLUMNS,
        rows=tuple(rows),
        shown=len(local.seen.layers) * 2,
    )


def _rows(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(row) for row in frame[list(columns)].itertuples(index=False))

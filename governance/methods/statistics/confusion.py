"""Confusion: which classes are taken for one another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from governance.methods.figures import heatmap
from governance.methods.statistics.intervals import wilson
from governance.methods.statistics.proportions import ends, span
from governance.records.evidence import Figure, Table

__all__ = ["confusion", "confusion_figure", "confusion_table"]

PRINTED = 10
NUMBERED = 12


def confusion(
    labels: NDArray[np.int64], named: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """(K, K) images by true class (row) and the class they are named as (column)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, named), 1)
    return counts


def confusion_table(counts: NDArray[np.int64], class_names: Sequence[str]) -> Table:
    """Every pair of classes that is confused at all, most frequent first."""
    wrong, totals = counts - np.diag(np.diag(counts)), counts.sum(1)
    places = np.argwhere(wrong)
    order = np.argsort(-wrong[wrong > 0], kind="stable")
    rows = []
    for true, named in places[order]:
        count, n = int(wrong[true, named]), int(totals[true])
        pair = (class_names[true], class_names[named])
        rows.append((*pair, count, n, count / n, *ends(wilson(count, n))))
    return Table(
        name="confusions",
        caption=(
            "Classes taken for another, most frequent first: images of the true class named as the "
            "other, as share of the true class's n images with 95 % Wilson interval."
        ),
        columns=("class", "named", "images", "n", "share", "low", "high"),
        rows=tuple(rows),
        shown=PRINTED,
    )


def confusion_figure(counts: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """The matrix as colours, for as many classes as a page can hold."""
    totals = counts.sum(1, keepdims=True)
    shares = np.full(counts.shape, np.nan)
    np.divide(counts, totals, out=shares, where=totals > 0)
    return Figure(
        name="confusion",
        caption=(
            "Confusion of classes: rows are true classes, columns the named ones, colours the "
            f"share of the row's images (n = {span(totals.ravel())} a class). The diagonal is the "
            "recall."
        ),
        seen=_most_confused(counts, class_names),
        image=heatmap(
            shares,
            class_names,
            class_names,
            row_axis="true class",
            column_axis="class the model answers",
            scale="share of the true class",
            limits=(0, 1),
            marks=len(class_names) <= NUMBERED,
        ),
    )


def _most_confused(counts: NDArray[np.int64], class_names: Sequence[str]) -> str:
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return f"All {int(counts.sum())} images lie on the diagonal: no class is taken for another."
    true, named = divmod(int(wrong.argmax()), len(class_names))
    return (
        f"{int(wrong.sum())} of {int(counts.sum())} images lie off the diagonal; most, "
        f"{wrong[true, named]}, where {class_names[true]} is answered with {class_names[named]}."
    )

"""Drift pictures: a comparison of two versions, drawn from its tables alone."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from governance.drift.answers import Comparison
from governance.drift.flips import SHOWN, surest
from governance.methods import figures
from governance.methods.coarse_maps import unpack
from governance.records.evidence import Figure, Table
from governance.records.numbers import cell, number

__all__ = ["pictures"]

FEW = 3  # filters below which a scatter shows nothing
COLUMNS = 6


def pictures(
    comparison: Comparison, pixels: Mapping[int, NDArray[np.float32]] | None = None
) -> tuple[Figure, ...]:
    """All figures that a comparison has data for.

    Args:
        comparison: Comparison of two versions.
        pixels: Validation images by their place, (C, H, W) in [0, 1]. The heat maps of the
            gallery are laid over them; images whose answer turned are drawn from them alone.

    Returns:
        `newly_wrong` and `newly_right` (images whose answer turned), `null` (the new version among
        the reference runs), `emergence` (lens recall by layer of both versions), `matched_filters`
        and `gallery` (same answer, different reason), each only if the comparison holds its data.
    """
    shown = pixels or {}
    drawn = (
        _turned(comparison, "newly wrong", shown),
        _turned(comparison, "newly right", shown),
        _null(comparison),
        _emergence(comparison.table("lens")),
        _filters(comparison),
        _gallery(comparison.table("maps"), shown),
    )
    return tuple(figure for figure in drawn if figure is not None)


def _turned(
    comparison: Comparison, kind: str, pixels: Mapping[int, NDArray[np.float32]]
) -> Figure | None:
    """Images of a kind whose pixels are known, those of the classes that changed most first."""
    found = comparison.flips
    if found is None or not found.everything:
        return None
    images = [item for item in surest(found, kind) if item.place in pixels][:SHOWN]
    if not images:
        return None
    drawn = [
        (
            f"class {item.label}\n{item.before}, now {item.now}",
            figures.overlay(pixels[item.place]),
        )
        for item in images
    ]
    side = (
        "answered rightly before and wrongly now"
        if kind == "newly wrong"
        else ("answered wrongly before and rightly now")
    )
    return Figure(
        name=kind.replace(" ", "_"),
        caption=(
            f"{kind.capitalize()}: {len(images)} of {len(found.turned.of_kind(kind))} images "
            f"{side}, the surest answers of the classes that changed most first. Each has its "
            "class, the answer before and the answer now."
        ),
        seen="; ".join(
            f"image {item.name} of class {item.label}, {item.before} before and {item.now} now"
            for item in images
        )
        + ".",
        image=figures.gallery(drawn, columns=COLUMNS),
    )


def _null(comparison: Comparison) -> Figure | None:
    m = len(comparison.references)
    if m == 0:
        return None
    score = comparison.observed is not None
    drifts = next(change for change in comparison.changes if change.name == "rank")
    values = (
        np.array([comparison.observed, *comparison.null], dtype=np.float64)
        if score
        else np.array([drifts.value, *drifts.benign])
    )
    known = values[np.isfinite(values)]
    # One without spread around it lies infinitely far: it is drawn at the end.
    shown = np.clip(values, None, known.max() if len(known) else 0.0)
    order = np.argsort(-shown, kind="stable")
    names = ["new version", *(f"reference {place}" for place in range(1, m + 1))]
    measure = (
        "largest statistic, standard deviations over the rest" if score else "heat map distance"
    )
    return Figure(
        name="null",
        caption=(
            f"The new version among the {m} reference runs: {measure}. The dashed line is the "
            "reference run that lies farthest. If the new version were one more harmless run, "
            "every place in this list would be equally likely."
        ),
        seen=(
            f"The new version stands at place {int(np.flatnonzero(order == 0)[0]) + 1} of "
            f"{len(order)} with {number(shown[0], 2)}; the farthest reference run has "
            f"{number(float(shown[1:].max()), 2)}."
        ),
        image=figures.bars(
            [names[place] for place in order], shown[order], axis=measure,
            reference=("farthest reference run", float(shown[1:].max())),
        ),
    )  # fmt: skip


def _emergence(table: Table | None) -> Figure | None:
    if table is None or not table.rows:
        return None
    frame = pd.DataFrame(list(table.rows), columns=list(table.columns)).dropna()
    if frame.empty:
        return None
    layers = list(dict.fromkeys(frame["layer"]))
    mean = frame.groupby("layer")[["old", "new"]].mean().loc[layers]
    worst = str(frame.loc[frame["change"].abs().idxmax(), "class"])
    rows = frame[frame["class"] == worst].set_index("layer").reindex(layers)
    lines = {
        "all classes, old": mean["old"], "all classes, new": mean["new"],
        f"{worst}, old": rows["old"], f"{worst}, new": rows["new"],
    }  # fmt: skip
    return Figure(
        name="emergence",
        caption=(
            "Lens recall by layer in both versions: the mean over all classes, and the class that "
            f"changed most ({worst})."
        ),
        seen="; ".join(
            f"{name}: {number(values.iloc[0], 2)} at {layers[0]}, {number(values.iloc[-1], 2)} at "
            f"{layers[-1]}"
            for name, values in lines.items()
        )
        + ".",
        image=figures.curves(
            layers,
            lines,
            x_axis="layer, in order of depth",
            y_axis="lens recall",
            y_range=(0.0, 1.02),
        ),
    )


def _filters(comparison: Comparison) -> Figure | None:
    table, matched = comparison.table("filters"), comparison.matching
    if table is None or matched.status == "not_comparable":
        return None
    columns = [table.columns.index(name) for name in ("old_dloss", "new_dloss")]
    pairs = [[row[place] for place in columns] for row in table.rows]
    known = np.array([pair for pair in pairs if None not in pair], dtype=np.float64)
    if len(known) < FEW:
        return None
    return Figure(
        name="matched_filters",
        caption=(
            f"Loss that silencing adds for each of {len(known)} matched filters in both versions "
            f"({matched.status}, median correlation {number(matched.correlation, 2)}). The "
            "importance of filters off the line changed."
        ),
        seen=(
            f"{len(known)} dots; the largest change is "
            f"{number(float(np.abs(known[:, 1] - known[:, 0]).max()))} nats."
        ),
        image=figures.points(
            known[:, 0], known[:, 1], x_axis="added loss, old version (nats)",
            y_axis="added loss, new version (nats)",
        ),
    )  # fmt: skip


def _gallery(table: Table | None, pixels: Mapping[int, NDArray[np.float32]]) -> Figure | None:
    if table is None or not table.rows:
        return None
    drawn = []
    for row in (dict(zip(table.columns, cells, strict=True)) for cells in table.rows):
        for which in ("old", "new"):
            title = f"class {row['class']}, {which}\nmoved {cell(row['distance'])}"
            heat = _shown(str(row[f"{which}_map"]), pixels.get(int(row["place"] or 0)))
            drawn.append((title, heat))
    return Figure(
        name="gallery",
        caption=(
            f"Same answer, different reason: {len(table.rows)} images that both versions answer "
            "rightly and whose heat maps moved farthest beyond the noise limit. Each image has the "
            "heat map of the old and of the new version; bright parts hold the evidence."
        ),
        seen="Images "
        + ", ".join(str(row[table.columns.index("image")]) for row in table.rows)
        + ", each with its heat map in the old and in the new version.",
        image=figures.gallery(drawn, columns=COLUMNS),
    )


def _shown(text: str, image: NDArray[np.float32] | None) -> NDArray[np.float32]:
    cells = (len(text) * 3 // 4 - text.count("=")) // np.dtype(np.float16).itemsize
    heat = unpack(text, np.float16, cells, "drift/maps").astype(np.float32)
    grid = round(cells**0.5)
    heat = heat.reshape(grid, grid) / max(float(heat.max()), float(np.finfo(np.float32).tiny))
    if image is None:
        return heat
    rows = np.arange(image.shape[1]) * grid // image.shape[1]
    columns = np.arange(image.shape[2]) * grid // image.shape[2]
    return figures.overlay(image, heat=heat[np.ix_(rows, columns)])

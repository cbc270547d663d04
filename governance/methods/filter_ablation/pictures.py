"""Importance in pictures: the top filters, where importance lies, and what excites a filter."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.methods.figures import bars, extremes, gallery, heatmap, overlay
from governance.methods.filter_ablation.estimates import mass
from governance.methods.filter_ablation.measurement import FilterMeasurements
from governance.methods.network import TracedNetwork
from governance.records.evidence import Figure
from governance.records.numbers import number

__all__ = ["pictures"]

PICTURED = 6  # filters whose strongest images are shown
EACH = 3  # images of each
DRAWN = 25  # most classes of a heat map


def pictures(
    measurements: FilterMeasurements,
    table: pd.DataFrame,
    top: pd.DataFrame,
    network: TracedNetwork,
    names: Sequence[str],
    pixels: Tensor,
    inputs: Tensor,
    chance: float,
) -> tuple[Figure, ...]:
    """The top of the list, importance by layer and class, and what excites the first filters.

    Args:
        measurements: The measurements, from `measure_filters`.
        table: Their estimates, from `filter_estimates`.
        top: The rows of the list's head.
        network: The model, cut open.
        names: Names of the classes.
        pixels: (N, C, H, W) in [0, 1].
        inputs: The same images in the model's input space.
        chance: Largest effect of the null.
    """
    labels = [f"{row.layer} : {row.unit}" for row in top.itertuples()]
    figures = [
        Figure(
            name="top",
            caption=(
                f"The {len(top)} filters whose silencing adds most cross-entropy, with 95 % "
                "intervals. Dashed: the largest to be expected if each image's effects had a "
                "random sign (control)."
            ),
            seen=(
                f"Added cross-entropy of {len(top)} filters: {extremes(labels, top['estimate'])} "
                f"nats; the control reaches {number(chance)}."
            ),
            image=bars(
                labels, top["estimate"], low=top["ci_lo"], high=top["ci_hi"],
                axis="cross-entropy added (nats)", reference=("control", chance),
            ),
        )
    ]  # fmt: skip
    drawn = _by_class(measurements, table, network, names) if len(names) <= DRAWN else None
    if drawn is not None:
        figures.append(drawn)
    figures.append(_excited(top, network, pixels, inputs))
    return tuple(figures)


def _by_class(
    measurements: FilterMeasurements,
    table: pd.DataFrame,
    network: TracedNetwork,
    names: Sequence[str],
) -> Figure | None:
    by_class = mass(measurements, table, "dp_true", by_class=True)
    if by_class.empty:
        return None
    grid = by_class.pivot_table(index="layer", columns="class", values="mass", aggfunc="sum")
    grid = grid.reindex([unit.layer for unit in network.units()]).fillna(0.0)
    shown = [name for name in names if name in grid.columns]
    return Figure(
        name="mass",
        caption=(
            "Importance by layer and class: probability of the true class lost, positive parts "
            "summed over the filters of a layer (filters not measured are represented by the "
            "random sample)."
        ),
        seen=(
            "Summed over classes, a layer loses "
            f"{extremes(list(grid.index), grid[shown].sum(axis=1))}."
        ),
        image=heatmap(
            grid[shown].to_numpy(), list(grid.index), shown, row_axis="layer",
            column_axis="class", scale="probability lost",
        ),
    )  # fmt: skip


def _excited(top: pd.DataFrame, network: TracedNetwork, pixels: Tensor, inputs: Tensor) -> Figure:
    filters = [(row.layer, int(row.unit)) for row in top.head(PICTURED).itertuples()]
    layers = sorted({layer for layer, _ in filters})
    peaks: list[Tensor] = []
    places: list[Tensor] = []
    for _, _, activations in network.features(inputs, layers):
        maps = [
            network.layout(layer).on_image(activations[layer])[:, unit].flatten(1)
            for layer, unit in filters
        ]
        peaks.append(torch.stack([item.amax(1) for item in maps], 1))
        places.append(torch.stack([item.argmax(1) for item in maps], 1))
    strength, place = torch.cat(peaks), torch.cat(places)
    sizes = {unit.layer: unit.size for unit in network.units()}
    shown = []
    for column, (layer, unit) in enumerate(filters):
        best = strength[:, column].argsort(descending=True, stable=True)[:EACH]
        for image in best.tolist():
            spot = divmod(int(place[image, column]), sizes[layer][1])
            picture = pixels[image].cpu().numpy()
            region = _region(picture.shape[1:], sizes[layer], spot)
            title = f"{layer} : {unit}\nreached {number(float(strength[image, column]))}"
            shown.append((title, overlay(picture, outline=region)))
    return Figure(
        name="excited",
        caption=(
            f"The {EACH} images that excite each of the first {len(filters)} filters of the list "
            "most, with the value reached; outlined: around the place where it was reached."
        ),
        seen=f"Filters {', '.join(f'{layer} : {unit}' for layer, unit in filters)}, "
        f"{EACH} images each.",
        image=gallery(shown),
    )


def _region(
    picture: tuple[int, int], size: tuple[int, int], spot: tuple[int, int]
) -> NDArray[np.bool_]:
    region = np.zeros(picture, dtype=bool)
    ends = []
    for length, cells, cell in zip(picture, size, spot, strict=True):
        centre, half = (cell + 0.5) * length / cells, max(length / 6, length / cells / 2)
        ends.append(slice(max(0, int(centre - half)), int(np.ceil(centre + half))))
    region[ends[0], ends[1]] = True
    return region

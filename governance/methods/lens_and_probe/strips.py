"""Strips: an image beside what each depth of the network looked at, and what it would answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from governance.methods.figures import gallery, overlay
from governance.methods.lens_and_probe.masked import Seen
from governance.methods.lens_and_probe.readings import Readings
from governance.records.evidence import Cell, Figure, Table
from governance.records.numbers import number

__all__ = ["Local", "local_table", "strips"]

ACROSS = 6  # pictures in a row: the image and five depths
COLUMNS = (
    "image", "rule", "class", "answer", "p_answer", "layer", "lens_answer", "lens_p", "p_masked",
    "p_moved", "kept",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Local:
    """Some of the images read, looked at one by one.

    Attributes:
        places: (B,) of the images among those read.
        ids: What a person calls them.
        rules: By which each was chosen.
        pixels: (B, C, H, W) in [0, 1].
        seen: What layers found for the class the model names.
    """

    places: NDArray[np.int64]
    ids: tuple[str, ...]
    rules: tuple[str, ...]
    pixels: Tensor
    seen: Seen


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
        columns=COLUMNS,
        rows=tuple(rows),
        shown=len(local.seen.layers) * 2,
    )


def strips(local: Local, readings: Readings, names: Sequence[str]) -> Figure:
    """A row per chosen image: the image, then heat map and probabilities at up to five depths."""
    count = len(local.seen.layers)
    drawn = np.unique(np.linspace(0, count - 1, min(count, ACROSS - 1)).round().astype(int))
    pictures: list[tuple[str, NDArray[np.float32]]] = []
    for row, image in enumerate(local.places):
        own = int(readings.final[image])
        pixels = local.pixels[row].cpu().numpy()
        said = readings.probabilities[image, own]
        title = (
            f"{names[readings.labels[image]]} ({local.rules[row]})\n"
            f"said {names[own]} {number(said, 2)}"
        )
        pictures.append((title, overlay(pixels)))
        for column in drawn:
            layer = local.seen.layers[column]
            lens = names[readings.found[layer, "lens"].answers[image]]
            under = local.seen.answers[row, column, own]
            heat = local.seen.heat[row, column]
            pictures.append(
                (f"{layer}: {number(under, 2)}\nlens {lens}", overlay(pixels, heat=heat))
            )
    return Figure(
        name="strips",
        caption=(
            f"Images chosen by rule (worst, borderline, best, random; n = {len(local.places)}), "
            "each with what it is and what the model says. To the right, by depth: where the layer "
            "found evidence for that answer (bright), the model's probability for it when all but "
            "the brightest fifth of the image is blurred, and what the lens would answer there."
        ),
        image=gallery(pictures, columns=len(drawn) + 1),
    )

"""Pictures: how a network's answer takes shape from layer to layer, over all images and in some."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from governance.methods.figures import curves, extremes, gallery, heatmap, overlay
from governance.methods.lens_and_probe.estimates import METHODS, PERMUTED, Readings
from governance.methods.lens_and_probe.masked import Local
from governance.methods.statistics.proportions import ClassShare, chance, span, whiskers
from governance.records.evidence import Figure
from governance.records.numbers import number

__all__ = ["emergence", "gap_map", "strips", "worst_classes"]

ACROSS = 6  # pictures in a row: the image and five depths
DRAWN = 25
NUMBERED = 12
WORST = 2
# One scale for all but extreme gaps, so that pictures of two models can be compared.
SCALE = 0.3

Line = tuple[list[float], list[float], list[float]]


def emergence(readings: Readings) -> Figure:
    """Accuracy of lens, probe and controls over depth."""
    everyone = np.ones(len(readings.labels), dtype=bool)
    drawn = {method: _line(readings, method, everyone) for method in (*METHODS, PERMUTED)}
    blind = [chance(readings.labels)] * len(readings.layers)
    return Figure(
        name="emergence",
        caption=(
            f"Share of {len(readings.labels)} images named rightly at each depth by the lens (what "
            "the model would say) and by the probe (what could be said), with 95 % Wilson bands. "
            "Controls: the probe on labels exchanged between images, and chance."
        ),
        seen=_ends_of(drawn, readings.layers),
        image=_picture(readings, drawn, "share of images named rightly", {"chance": blind}),
    )


def worst_classes(readings: Readings, class_names: Sequence[str]) -> Figure:
    """Recall by lens and probe over depth, for the classes the model recognises least."""
    counts = np.bincount(readings.labels, minlength=len(class_names))
    hits = readings.found[readings.layers[-1], "lens"].right
    found = np.bincount(readings.labels[hits], minlength=len(class_names))
    known = np.flatnonzero(counts)
    chosen = known[np.argsort(found[known] / counts[known], kind="stable")][:WORST]
    drawn = {
        f"{method}, {class_names[index]}": _line(readings, method, readings.labels == index)
        for index in chosen
        for method in METHODS
    }
    sizes = ", ".join(f"{class_names[index]}: n = {counts[index]}" for index in chosen)
    return Figure(
        name="worst_classes",
        caption=(
            f"Recall by lens and probe at each depth for the {len(chosen)} classes that the model "
            f"recognises least ({sizes}), with 95 % Wilson bands. Where the probe stays above the "
            "lens, the features tell the class and the model does not."
        ),
        seen=_ends_of(drawn, readings.layers),
        image=_picture(readings, drawn, "recall (share of the class)"),
    )


def gap_map(readings: Readings, class_names: Sequence[str]) -> Figure:
    """Probe recall minus lens recall, class by layer; widest at the last stage on top."""
    counts = np.bincount(readings.labels, minlength=len(class_names))
    gaps = np.full((len(class_names), len(readings.layers)), np.nan)
    for column, layer in enumerate(readings.layers):
        probe, lens = readings.found[layer, "probe"].right, readings.found[layer, "lens"].right
        ahead = probe.astype(float) - lens
        totals = np.bincount(readings.labels, weights=ahead, minlength=len(class_names))
        np.divide(totals, counts, out=gaps[:, column], where=counts > 0)
    known = np.flatnonzero(counts)
    order = known[np.argsort(-gaps[known, -2], kind="stable")][:DRAWN]
    every = len(order) == len(class_names)
    which = "all classes" if every else f"{len(order)} of {len(class_names)} classes"
    limit = max(SCALE, float(np.abs(gaps[order]).max()))
    return Figure(
        name="gap_map",
        caption=(
            f"Gap (probe recall minus lens recall) per class and layer, {which}, widest at the "
            f"last stage first; n = {span(counts[order])} a class. Red: the features tell the "
            "class, the model does not. At the last stage a gap is a finding; "
            "at early layers, where the lens is blunt, it need not be."
        ),
        seen=(
            f"At {readings.layers[-2]} the gaps lie "
            f"{extremes([class_names[index] for index in order], gaps[order, -2])}."
        ),
        image=heatmap(
            gaps[order],
            [class_names[index] for index in order],
            readings.layers,
            row_axis="class",
            column_axis="layer, in order of depth",
            scale="probe recall minus lens recall",
            limits=(-limit, limit),
            marks=len(order) <= NUMBERED,
        ),
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
            f"true {names[readings.labels[image]]} ({local.rules[row]})\n"
            f"answer {names[own]} ({number(said, 2)})"
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
        seen=f"{len(local.places)} rows: "
        + "; ".join(
            f"{names[readings.labels[image]]} answered with {names[int(readings.final[image])]} "
            f"({rule})"
            for image, rule in zip(local.places, local.rules, strict=True)
        )
        + ".",
        image=gallery(pictures, columns=len(drawn) + 1),
    )


def _ends_of(drawn: dict[str, Line], layers: Sequence[str]) -> str:
    """First and last value of each line, in words."""
    lines = [
        f"{name}: {number(values[0], 2)} at {layers[0]}, {number(values[-1], 2)} at {layers[-1]}"
        for name, (values, _, _) in drawn.items()
    ]
    return "; ".join(lines) + "."


def _line(readings: Readings, method: str, members: NDArray[np.bool_]) -> Line:
    right = [readings.found[layer, method].right[members] for layer in readings.layers]
    shares = [ClassShare(hits=int(hits.sum()), n=len(hits)) for hits in right]
    return [item.hits / item.n for item in shares], *whiskers(shares)


def _picture(
    readings: Readings,
    drawn: dict[str, Line],
    axis: str,
    references: dict[str, list[float]] | None = None,
) -> bytes:
    lines = {name: values for name, (values, _, _) in drawn.items()} | (references or {})
    return curves(
        readings.layers,
        lines,
        x_axis="layer, in order of depth",
        y_axis=axis,
        bands={name: (low, high) for name, (_, low, high) in drawn.items()},
        y_range=(0, 1.02),
    )

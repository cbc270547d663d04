"""Figures: PNG pictures of evidence, and the one place that knows matplotlib.

The object interface is used, never pyplot: no global state, no window. Colours are Okabe and Ito's,
which colour-blind readers can tell apart; maps use viridis or a diverging pair. Pictures are made
for an A4 page of 170 mm text width: `WIDTH` inches at `DPI` dots, type at the size of the text.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from numpy.typing import ArrayLike, NDArray

from governance.records.numbers import number

__all__ = ["COLOURS", "bars", "curves", "gallery", "heatmap", "overlay", "png", "points"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDTH = 6.7
DPI = 150
TYPE = 8
GREY = "#555555"
LETTER = 0.045  # inches down that a letter of a slanting name takes
LUMINANCE = (0.2126, 0.7152, 0.0722)  # weight of red, green and blue, ITU-R BT.709


def png(canvas: Canvas) -> bytes:
    """The bytes of a drawn figure, free of dates and versions so that they can be reproduced."""
    FigureCanvasAgg(canvas)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def bars(
    labels: Sequence[str],
    values: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    axis: str,
    reference: float | None = None,
) -> bytes:
    """Horizontal bars with interval whiskers, first label on top.

    Args:
        labels: One per bar.
        values: (n,) lengths of the bars.
        low: (n,) lower ends of the intervals, if known.
        high: (n,) upper ends.
        axis: Measured quantity with its unit.
        reference: A value to draw as a dashed line: chance, threshold, baseline.
    """
    data = np.asarray(values, dtype=float)
    canvas = Canvas(figsize=(WIDTH, 0.6 + 0.17 * len(data)), layout="constrained")
    axes = canvas.subplots()
    places = np.arange(len(data))[::-1]
    axes.barh(places, data, color=COLOURS[0], height=0.7)
    if low is not None and high is not None:
        ends = np.stack([np.asarray(low, dtype=float), np.asarray(high, dtype=float)])
        axes.hlines(places, ends[0], ends[1], color="black", linewidth=1)
    if reference is not None:
        axes.axvline(reference, color=COLOURS[1], linestyle="--", linewidth=1)
    axes.set_yticks(places, [_short(label) for label in labels], fontsize=TYPE)
    axes.tick_params(axis="x", labelsize=TYPE)
    axes.set_xlabel(axis, fontsize=TYPE)
    axes.set_ylim(-0.6, len(data) - 0.4)
    _quiet(axes)
    return png(canvas)


def curves(
    x: Sequence[str] | ArrayLike,
    lines: Mapping[str, ArrayLike],
    *,
    x_axis: str,
    y_axis: str,
    bands: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
) -> bytes:
    """Named lines over a common axis, each with its interval band if given.

    Args:
        x: (n,) numbers, or names of the points.
        lines: (n,) values by name of the line; the first two names get the strongest colours.
        x_axis: Meaning of the points.
        y_axis: Measured quantity with its unit.
        bands: Lower and upper ends, (n,) each, by name of the line.
        y_range: Ends of the vertical axis.
        diagonal: Whether to draw y = x, the line of perfect calibration.
    """
    names = [str(item) for item in x] if isinstance(x[0], str) else None  # type: ignore[index, union-attr]
    places = np.arange(len(names)) if names else np.asarray(x, dtype=float)
    canvas = Canvas(figsize=(WIDTH, 2.6), layout="constrained")
    axes = canvas.subplots()
    if diagonal:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    for index, (name, values) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        dash = "-" if index < len(COLOURS) else "--"
        axes.plot(
            places, np.asarray(values, dtype=float), dash, color=colour, marker="o",
            markersize=3, linewidth=1.3, label=_short(name),
        )  # fmt: skip
        if bands and name in bands:
            low, high = (np.asarray(end, dtype=float) for end in bands[name])
            axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    if names:
        ticks = [_short(name) for name in names]
        axes.set_xticks(places, ticks, rotation=30, ha="right", fontsize=TYPE)
    axes.tick_params(labelsize=TYPE)
    axes.set_xlabel(x_axis, fontsize=TYPE)
    axes.set_ylabel(y_axis, fontsize=TYPE)
    if y_range:
        axes.set_ylim(*y_range)
    _quiet(axes)
    if len(lines) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=TYPE)
    return png(canvas)


def heatmap(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    scale: str,
    limits: tuple[float, float] | None = None,
    marks: bool = False,
) -> bytes:
    """A matrix of numbers as colours with a legend.

    Args:
        values: (rows, columns); NaN cells stay white.
        rows: Names down the side.
        columns: Names along the bottom.
        scale: Meaning of the colours, with the unit.
        limits: Ends of the colour scale; a range symmetric about 0 gets a diverging scale.
        marks: Whether to print each number in its cell.
    """
    data = np.asarray(values, dtype=float)
    names = [_short(name) for name in columns]
    below = max(0.3, LETTER * max(map(len, names)))  # the names hang there, at 45 degrees
    height = min(7.5, 0.6 + below + 0.18 * max(4, len(rows)))
    canvas = Canvas(figsize=(WIDTH, height), layout="constrained")
    axes = canvas.subplots()
    low, high = limits or (float(np.nanmin(data)), float(np.nanmax(data)))
    palette = "RdBu_r" if low < 0 and np.isclose(low, -high) else "viridis"
    shown = axes.imshow(data, vmin=low, vmax=high, cmap=palette, aspect="auto")
    axes.set_xticks(
        range(len(columns)),
        names,
        rotation=45,
        ha="right",
        fontsize=TYPE,
    )
    axes.set_yticks(range(len(rows)), [_short(name) for name in rows], fontsize=TYPE)
    if marks:
        for row, column in np.argwhere(np.isfinite(data)):
            dark = np.dot(shown.to_rgba(data[row, column])[:3], LUMINANCE) < 0.4  # noqa: PLR2004 - black is hard to read on less
            axes.text(column, row, number(data[row, column], 2), ha="center", va="center",
                      fontsize=6, color="white" if dark else "black")  # fmt: skip
    legend = canvas.colorbar(shown, ax=axes, shrink=0.9)
    legend.set_label(scale, fontsize=TYPE)
    legend.ax.tick_params(labelsize=7)
    return png(canvas)


def overlay(
    image: NDArray[np.float32],
    heat: NDArray[np.float32] | None = None,
    outline: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """A picture with a heat map or a chosen region laid over it.

    Args:
        image: (C, H, W) in [0, 1], one or three channels.
        heat: (H, W) in [0, 1], laid over in viridis.
        outline: (H, W) true inside the region; outside is faded and the border drawn.

    Returns:
        (H, W, 3) in [0, 1].
    """
    picture = np.repeat(image, 3, axis=0) if image.shape[0] == 1 else image
    picture = picture.transpose(1, 2, 0).astype(np.float32)
    if heat is not None:
        picture = 0.45 * picture + 0.55 * colormaps["viridis"](heat)[..., :3].astype(np.float32)
    if outline is not None:
        faded = 0.25 * picture + 0.75
        picture = np.where(outline[..., None], picture, faded)
        edge = np.zeros_like(outline)
        edge[1:] |= outline[1:] != outline[:-1]
        edge[:, 1:] |= outline[:, 1:] != outline[:, :-1]
        picture = np.where(edge[..., None], np.array([0.84, 0.37, 0.0], dtype=np.float32), picture)
    return np.clip(picture, 0, 1)


def gallery(pictures: Sequence[tuple[str, NDArray[np.float32]]], *, columns: int = 6) -> bytes:
    """Small pictures in rows, each under its own short title.

    Args:
        pictures: Title (up to two lines) and (H, W, 3) or (H, W) in [0, 1] of each.
        columns: Pictures in a row.
    """
    rows = -(-len(pictures) // columns)
    canvas = Canvas(figsize=(WIDTH, rows * (WIDTH / columns + 0.32)), layout="constrained")
    cells = np.atleast_1d(canvas.subplots(rows, columns, squeeze=False)).ravel()
    for cell in cells:
        cell.set_axis_off()
    for cell, (title, picture) in zip(cells, pictures, strict=False):
        cell.imshow(picture, cmap="gray" if picture.ndim == 2 else None, vmin=0, vmax=1)  # noqa: PLR2004 - (H, W)
        cell.set_title("\n".join(_short(line, 22) for line in title.split("\n")), fontsize=6.5)
    return png(canvas)


def points(x: ArrayLike, y: ArrayLike, *, x_axis: str, y_axis: str) -> bytes:
    """One dot for each pair of numbers, with the line on which both are equal.

    Args:
        x: (n,) numbers.
        y: (n,) numbers beside them.
        x_axis: Quantity `x` with its unit.
        y_axis: Quantity `y` with its unit.
    """
    canvas = Canvas(figsize=(WIDTH, WIDTH / 2), layout="constrained")
    axes = canvas.subplots()
    across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    both = np.concatenate([across, up])
    ends = [float(both.min()), float(both.max())]
    axes.plot(ends, ends, color=GREY, linestyle=":", linewidth=1)
    axes.plot(across, up, "o", color=COLOURS[0], markersize=3, alpha=0.5, markeredgewidth=0)
    axes.tick_params(labelsize=TYPE)
    axes.set_xlabel(x_axis, fontsize=TYPE)
    axes.set_ylabel(y_axis, fontsize=TYPE)
    _quiet(axes)
    return png(canvas)


def _short(text: str, longest: int = 28) -> str:
    # Names are untrusted: no line breaks, no TeX, no run off the page.
    flat = " ".join(str(text).split()).replace("$", r"\$")
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def _quiet(axes: object) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)  # type: ignore[attr-defined]
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.5)  # type: ignore[attr-defined]
    axes.set_axisbelow(True)  # type: ignore[attr-defined]

"""Figures: PNG pictures of evidence, and the one place that knows matplotlib.

The object interface is used, never pyplot: no global state, no window. Colours are Okabe and Ito's,
which colour-blind readers can tell apart; maps use viridis or a diverging pair. Pictures are made
for an A4 page of 170 mm text width and printed at that size: `WIDTH` inches at `DPI` dots, all
type at 8 points. Every axis has a title, and every line that is no measurement has its name.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from governance.records.numbers import number

__all__ = [
    "COLOURS",
    "bars",
    "curves",
    "extremes",
    "gallery",
    "heatmap",
    "overlay",
    "png",
    "points",
]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDTH = 6.7
DPI = 150
TYPE = 8
GREY = "#555555"
LETTER = 0.045  # inches down that a letter of a slanting name takes
LINE = 0.145  # inches of a line of type
CELL = 21  # letters above a small picture
MOST_MARKS = 12  # columns of a heat map whose cells have room for a number
THINNEST, STEP = 1.2, 0.7  # of lines: each is thinner than the one that it may cover
MARKERS = "osD^vP*"
MOST_LETTERS = 70  # of names along an axis that stand level
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
    reference: tuple[str, float] | None = None,
) -> bytes:
    """Horizontal bars with interval whiskers, first label on top.

    Args:
        labels: One per bar.
        values: (n,) lengths of the bars.
        low: (n,) lower ends of the intervals, if known.
        high: (n,) upper ends.
        axis: Measured quantity with its unit.
        reference: Name and value of a dashed line: chance, an even share, a control.
    """
    data = np.asarray(values, dtype=float)
    canvas = Canvas(figsize=(WIDTH, 0.75 + 0.17 * len(data)), layout="constrained")
    axes = canvas.subplots()
    places = np.arange(len(data))[::-1]
    axes.barh(places, data, color=COLOURS[0], height=0.7)
    if low is not None and high is not None:
        ends = np.stack([np.asarray(low, dtype=float), np.asarray(high, dtype=float)])
        axes.hlines(places, ends[0], ends[1], color="black", linewidth=1)
    if reference is not None:
        name, value = reference
        axes.axvline(value, color=COLOURS[1], linestyle="--", linewidth=1)
        axes.annotate(
            _short(name), (value, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
            textcoords="offset points", ha="center", fontsize=TYPE, color=COLOURS[1],
        )  # fmt: skip
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

    Whole numbers get whole ticks. Lines that lie on each other are all seen, since each is thinner
    than the one below it.

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
        above = min(len(lines) - 1 - index, 4)
        axes.plot(
            places, np.asarray(values, dtype=float), dash, color=colour,
            marker=MARKERS[index % len(MARKERS)], markersize=3 + 1.5 * above,
            linewidth=THINNEST + STEP * above, label=_short(name),
        )  # fmt: skip
        if bands and name in bands:
            low, high = (np.asarray(end, dtype=float) for end in bands[name])
            axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    if names:
        ticks = [_short(name) for name in names]
        level = sum(map(len, ticks)) <= MOST_LETTERS
        axes.set_xticks(
            places, ticks, fontsize=TYPE, rotation=0 if level else 30,
            ha="center" if level else "right",
        )  # fmt: skip
    elif np.equal(places, places.round()).all():
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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
    row_axis: str,
    column_axis: str,
    scale: str,
    limits: tuple[float, float] | None = None,
    marks: bool = False,
) -> bytes:
    """A matrix of numbers as colours with a legend.

    Args:
        values: (rows, columns); NaN cells stay white.
        rows: Names down the side.
        columns: Names along the bottom.
        row_axis: What the rows are.
        column_axis: What the columns are.
        scale: Meaning of the colours, with the unit.
        limits: Ends of the colour scale; a range symmetric about 0 gets a diverging scale.
        marks: Whether to print each number in its cell, where there is room.
    """
    data = np.asarray(values, dtype=float)
    names = [_short(name) for name in columns]
    below = max(0.3, LETTER * max(map(len, names)))  # the names hang there, at 45 degrees
    height = min(7.5, 0.75 + below + 0.18 * max(4, len(rows)))
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
    axes.set_xlabel(column_axis, fontsize=TYPE)
    axes.set_ylabel(row_axis, fontsize=TYPE)
    if marks and len(columns) <= MOST_MARKS:
        for row, column in np.argwhere(np.isfinite(data)):
            dark = np.dot(shown.to_rgba(data[row, column])[:3], LUMINANCE) < 0.4  # noqa: PLR2004 - black is hard to read on less
            axes.text(column, row, number(data[row, column], 2), ha="center", va="center",
                      fontsize=TYPE, color="white" if dark else "black")  # fmt: skip
    legend = canvas.colorbar(shown, ax=axes, shrink=0.9)
    legend.set_label(scale, fontsize=TYPE)
    legend.ax.tick_params(labelsize=TYPE)
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
        pictures: Title (up to three lines) and (H, W, 3) or (H, W) in [0, 1] of each.
        columns: Pictures in a row.
    """
    rows = -(-len(pictures) // columns)
    lines = max((title.count("\n") + 1 for title, _ in pictures), default=1)
    height = rows * (WIDTH / columns + LINE * lines + 0.05)
    canvas = Canvas(figsize=(WIDTH, height), layout="constrained")
    cells = np.atleast_1d(canvas.subplots(rows, columns, squeeze=False)).ravel()
    for cell in cells:
        cell.set_axis_off()
    for cell, (title, picture) in zip(cells, pictures, strict=False):
        cell.imshow(picture, cmap="gray" if picture.ndim == 2 else None, vmin=0, vmax=1)  # noqa: PLR2004 - (H, W)
        cell.set_title(
            "\n".join(_short(line, CELL * 6 // columns) for line in title.split("\n")),
            fontsize=TYPE,
        )
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


def extremes(labels: Sequence[str], values: ArrayLike) -> str:
    """The lowest and the highest of named values in words; for the text in place of a picture.

    Args:
        labels: One per value.
        values: (n,) numbers; NaN is left out.
    """
    known = [
        (float(value), " ".join(str(label).split()))
        for label, value in zip(labels, np.asarray(values, dtype=float), strict=True)
        if np.isfinite(value)
    ]
    if not known:
        return "no value is known"
    low, high = min(known, key=lambda pair: pair[0]), max(known, key=lambda pair: pair[0])
    if low[0] == high[0]:
        return f"all {len(known)} are {number(low[0])}"
    return f"from {number(low[0])} ({low[1]}) to {number(high[0])} ({high[1]})"


def _short(text: str, longest: int = 28) -> str:
    # Names are untrusted: no line breaks, no TeX, no run off the page.
    flat = " ".join(str(text).split()).replace("$", r"\$")
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def _quiet(axes: object) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)  # type: ignore[attr-defined]
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.5)  # type: ignore[attr-defined]
    axes.set_axisbelow(True)  # type: ignore[attr-defined]

"""Pictures: claims about patches and whole images, drawn."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from governance.methods.bounds.cases import Case, patches
from governance.methods.bounds.locality import Window
from governance.methods.bounds.tables import Row
from governance.methods.figures import curves, extremes, gallery, overlay
from governance.methods.statistics.intervals import clopper_pearson
from governance.records.evidence import Figure
from governance.records.numbers import number, percent

__all__ = ["pictures"]


def pictures(
    cases: Sequence[Case],
    whole: Sequence[Row],
    local: Sequence[Row],
    radii: Mapping[int, NDArray[np.float64]],
    ids: Sequence[str],
) -> tuple[Figure, ...]:
    """Figures of all claims: the two-sided bracket, and each image with its patches.

    Args:
        cases: Images asked about.
        whole: Claims about whole images.
        local: Claims about patches; empty where there are none.
        radii: Largest verified radius of each patch in 255ths, by image.
        ids: Names of the images.
    """
    figures = [_bracket_figure(whole)]
    shown = []
    for which, found in radii.items():
        image = cases[which].image[0].cpu().numpy()
        side = round(len(found) ** 0.5)
        windows = patches(image.shape[1], image.shape[2], (side, side))
        heat = np.zeros(image.shape[1:], dtype=np.float32)
        for window, value in zip(windows, found, strict=True):
            heat[window.top : window.bottom, window.left : window.right] = value
        top = max(float(found.max()), 1e-9)
        shown.append((f"{ids[which]}\nclass {cases[which].decided}", overlay(image)))
        title = f"verified radius (255ths)\n{number(found.min(), 1)} to {number(found.max(), 1)}"
        shown.append((title, overlay(image, heat / top)))
        shown.append(_status_picture(which, local, windows, image))
    if shown:
        caption = (
            f"Patches of {len(radii)} images. Second: the largest radius up to which the patch "
            "alone provably cannot change the decision (bright: large). Third: what is known at "
            "the largest radius asked; green verified, orange refuted, grey unknown or vacuous."
        )
        picture = gallery(shown, columns=3)
        known = [float(found.min()) for found in radii.values()]
        seen = (
            f"{len(radii)} images; the least radius of a patch is "
            f"{extremes([ids[which] for which in radii], known)} 255ths."
        )
        figures.append(Figure(name="patch_map", caption=caption, image=picture, seen=seen))
    return tuple(figures)


def _status_picture(
    which: int, local: Sequence[Row], windows: Sequence[Window], image: NDArray[np.float32]
) -> tuple[str, NDArray[np.float32]]:
    rows = [row for row in local if row.image == which and row.mode == local[0].mode]
    largest = max(row.radius for row in rows)
    colour = {"VERIFIED": (0.0, 0.62, 0.45), "REFUTED": (0.84, 0.37, 0.0)}
    picture = overlay(image)
    for row in rows:
        if row.radius == largest:
            window = windows[row.patch]
            part = picture[window.top : window.bottom, window.left : window.right]
            part[:] = 0.4 * part + 0.6 * np.array(colour.get(row.status, (0.6, 0.6, 0.6)))
    counts = [sum(r.status == s for r in rows if r.radius == largest) for s in colour]
    return f"radius {largest:g}\n{counts[0]} verified, {counts[1]} refuted", picture


def _bracket_figure(whole: Sequence[Row]) -> Figure:
    radii = sorted({row.radius for row in whole})
    lines: dict[str, list[float]] = {"not changed by attack": [], "proven": []}
    bands: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in lines}
    n = 0
    for radius in radii:
        rows = [row for row in whole if row.radius == radius]
        n = len(rows)
        for name, count in (
            ("proven", sum(row.status == "VERIFIED" for row in rows)),
            ("not changed by attack", sum(row.status != "REFUTED" for row in rows)),
        ):
            found = clopper_pearson(count, n)
            if found:
                lines[name].append(count / n)
                bands[name][0].append(found.low)
                bands[name][1].append(found.high)
    return Figure(
        name="bracket",
        caption=(
            "Share of robust decisions, bracketed from both sides: proven from below, attacked "
            f"from above, {n} whole images at each radius, 95 % Clopper-Pearson bands. What lies "
            "between the lines is not known."
        ),
        seen=(
            "; ".join(
                f"radius {radius:g}: {percent(low)} proven, {percent(high)} not changed by attack"
                for radius, low, high in zip(
                    radii, lines["proven"], lines["not changed by attack"], strict=False
                )
            )
            + "."
        ),
        image=curves(
            radii,
            lines,
            x_axis="radius in 255ths of the range of pixel values (l-infinity)",
            y_axis="share of images",
            bands=bands,
            y_range=(0, 1.02),
        ),
    )

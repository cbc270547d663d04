"""The image table: one row per validation image, with all that can be said of it without a model.

"Unusual" is relative to the set: robust standard deviations (1.4826 times the median absolute
deviation) from the median, so that digits on black are not dark and drawings not blurred where all
are. Near duplicates are found by `near_duplicates.py`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from governance.errors import SubjectError
from governance.subject.images.decoding import TRAITS
from governance.subject.images.near_duplicates import groups, perceptual_hashes, thumbnail
from governance.subject.images.validation_set import ValidationSet

__all__ = ["DEVIATIONS", "SIMILARITY", "classes", "survey"]

#: Robust standard deviations from the median at which a value counts as unusual.
DEVIATIONS = 4.0
SIMILARITY = 0.98
# Fewer values tell nothing about what is usual.
ENOUGH = 30
LEVELS = 256
# A robust deviation is at least this wide, so that a set of equal images finds no speck unusual:
# a factor of 2 in pixels, 20 % in sharpness and 4 grey levels in brightness always pass.
WIDTHS: Mapping[str, float] = MappingProxyType(
    {
        "pixels": float(np.log(2)) / DEVIATIONS,
        "sharpness": float(np.log(1.2)) / DEVIATIONS,
        "brightness": 4 / (LEVELS - 1) / DEVIATIONS,
    }
)


def survey(validation: ValidationSet, *, similarity: float = SIMILARITY) -> pd.DataFrame:
    """One row per validation image; each is decoded once, and one at a time.

    Args:
        validation: The images.
        similarity: Smallest correlation of thumbnails of near duplicates.

    Returns:
        Columns `id`, `label`, `class` (None for a label out of range), `sha256`, `width`, `height`,
        `mode` (`grey` or `rgb`), `mean` and `std` of brightness in [0, 1], `entropy` in bits,
        `sharpness` (variance of the Laplacian over the variance of brightness; NaN for constant
        images), `tagged`, `transparent`, `cut` and `windowed` (what its file holds beside the
        picture), `perceptual_hash`, `copies` and `copy_labels` (images with the same sha256, and
        their different labels), `near_group`, `near_contents` and `near_labels` (different sha256
        in its group and, where there are several, their different labels), `mode_share` (images
        in this mode), `sharpness_deviation`, `brightness_deviation` and `pixels_deviation` (robust
        standard deviations from the median) and `decodes`.

    Raises:
        SubjectError: All images that cannot be decoded, after the last one was tried.
    """
    rows: list[dict[str, Any]] = []
    thumbnails: list[NDArray[np.uint8]] = []
    problems: list[str] = []
    for index in range(len(validation)):
        try:
            picture = validation.picture(index)
        except SubjectError as error:
            problems += error.problems
            continue
        luma = np.asarray(Image.fromarray(picture.pixels).convert("L"))
        thumbnails.append(thumbnail(luma))
        mode = "grey" if picture.pixels.ndim == 2 else "rgb"  # noqa: PLR2004 - (H, W)
        traits = {trait: trait in picture.traits for trait in TRAITS}
        rows.append(_features(luma, mode) | traits)
    if problems:
        raise SubjectError(problems)
    table = pd.DataFrame(rows)
    labels = np.asarray(validation.labels)
    known = (labels >= 0) & (labels < len(validation.class_names))
    names = [
        validation.class_names[label] if good else None
        for label, good in zip(labels, known, strict=True)
    ]
    table.insert(0, "id", list(validation.ids))
    table.insert(1, "label", labels)
    table.insert(2, "class", pd.Series(names, dtype=object))
    table.insert(3, "sha256", list(validation.hashes))
    _relate(table, np.stack(thumbnails), similarity)
    table["decodes"] = True
    return table


def classes(table: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """One row per class, absent ones too: `id` (its name), `images`, `share`, `of_even_share`."""
    counts = table["class"].value_counts()
    images = np.array([int(counts.get(name, 0)) for name in class_names])
    share = images / len(table)
    return pd.DataFrame(
        {
            "id": list(class_names),
            "images": images,
            "share": share,
            "of_even_share": share * len(class_names),
        }
    )


def _features(luma: NDArray[np.uint8], mode: str) -> dict[str, Any]:
    values = luma.astype(np.float64)
    shares = np.bincount(luma.ravel(), minlength=LEVELS) / luma.size
    seen = shares[shares > 0]
    variance = float(values.var())
    sharpness = float(ndimage.laplace(values).var()) / variance if variance else np.nan
    return {
        "width": luma.shape[1],
        "height": luma.shape[0],
        "mode": mode,
        "mean": float(values.mean()) / (LEVELS - 1),
        "std": variance**0.5 / (LEVELS - 1),
        "entropy": float(-(seen * np.log2(seen)).sum()),
        "sharpness": sharpness,
    }


def _relate(table: pd.DataFrame, thumbnails: NDArray[np.uint8], similarity: float) -> None:
    """Add to each row what it is beside the others."""
    hashes = perceptual_hashes(thumbnails)
    table["perceptual_hash"] = [f"{value:016x}" for value in hashes]
    same = table.groupby("sha256")
    table["copies"] = same["id"].transform("size")
    table["copy_labels"] = same["label"].transform("nunique")
    # Copies are looked at once, so that a thousand of them cost no million comparisons.
    first = np.flatnonzero(~table["sha256"].duplicated())
    content = pd.Series(groups(thumbnails[first], hashes[first], similarity))
    content.index = pd.Index(table["sha256"].iloc[first])
    table["near_group"] = table["sha256"].map(content)
    near = table.groupby("near_group")
    table["near_contents"] = near["sha256"].transform("nunique")
    # Copies under two labels are for `copy_labels` to tell.
    table["near_labels"] = near["label"].transform("nunique").where(table["near_contents"] > 1, 1)
    table["mode_share"] = table.groupby("mode")["id"].transform("size") / len(table)
    with np.errstate(divide="ignore"):
        sharpness = np.log(table["sharpness"].to_numpy())
    pixels = np.log((table["width"] * table["height"]).to_numpy(dtype=np.float64))
    table["sharpness_deviation"] = _deviations(sharpness, WIDTHS["sharpness"])
    table["brightness_deviation"] = _deviations(table["mean"].to_numpy(), WIDTHS["brightness"])
    table["pixels_deviation"] = _deviations(pixels, WIDTHS["pixels"])


def _deviations(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Robust standard deviations from the median; NaN for all where too few values are known."""
    known = values[np.isfinite(values)]
    if len(known) < ENOUGH:
        return np.full(len(values), np.nan)
    centre = np.median(known)
    spread = max(1.4826 * float(np.median(np.abs(known - centre))), width)
    return np.asarray((values - centre) / spread)

"""Superpixels: the regions an image is cut into, and what may take the place of their pixels."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from governance.errors import AnalysisError
from governance.methods.image_tensors import Images, tensor_of

__all__ = [
    "BASELINES",
    "FEWEST",
    "MOST",
    "Baseline",
    "baseline_image",
    "check_image",
    "paper_superpixels",
    "replacement",
    "superpixels",
]

Baseline = Literal["blur", "mean", "black", "noise", "superpixel"]

BASELINES: tuple[Baseline, ...] = ("blur", "mean", "black", "noise", "superpixel")
SMALLEST_SIDE = 16
GRID_BELOW = 64  # pixels; below, SLIC's superpixels are a few ragged pixels each
FEWEST, MOST = 8, 128  # superpixels
COMPACTNESS = (10, 40, 160)  # weight of nearness against colour, in units of Lab
HALVED_FROM = 128  # pixels; from there SLIC sees a picture of half the size, in a fifth of the time


def check_image(image: Tensor) -> None:
    """Refuse an image that cannot be explained.

    Args:
        image: (C, H, W) float in [0, 1], grey (C = 1) or RGB (C = 3), at least 16 pixels a side.

    Raises:
        AnalysisError: All problems at once.
    """
    problems = []
    if image.ndim != 3 or image.shape[0] not in {1, 3}:  # noqa: PLR2004 - (C, H, W)
        problems.append(f"image has shape {tuple(image.shape)}; (1 or 3, H, W) is accepted")
    elif min(image.shape[1:]) < SMALLEST_SIDE:
        problems.append(
            f"image is {image.shape[1]} x {image.shape[2]} pixels; {SMALLEST_SIDE} pixels a side "
            "and more are accepted"
        )
    if not image.is_floating_point():
        problems.append(f"image holds {image.dtype}; floating point in [0, 1] is accepted")
    elif not torch.isfinite(image).all() or image.min() < 0 or image.max() > 1:
        problems.append("image holds numbers outside [0, 1]; unnormalised pixels are accepted")
    if problems:
        raise AnalysisError(problems)


def superpixels(
    image: Tensor, segments: int | NDArray[np.integer] | None = None
) -> NDArray[np.int64]:
    """Cut an image into regions of similar colour, or into a grid where it is small.

    Args:
        image: (C, H, W) in [0, 1].
        segments: How many to aim at; None for one per 28 x 28 pixels, 32 to 100 (64 at 224 x 224).
            Below 64 pixels a side the cells of a grid are 4 pixels and more. Or a label map (H, W).

    Returns:
        (H, W), labels 0 to n - 1, each present.

    Raises:
        AnalysisError: For fewer than 8 or more than 128 segments, or a label map of another size.

    Source:
        SLIC: Achanta et al. 2012, as in scikit-image, on a picture of half the size from 128
        pixels a side on; compactness 10, more where that leaves less than half of the segments
        asked for.
    """
    height, width = image.shape[1:]
    if isinstance(segments, np.ndarray):
        if segments.shape != (height, width) or not np.issubdtype(segments.dtype, np.integer):
            raise AnalysisError(
                f"segments: a label map {segments.shape} of {segments.dtype} for an image of "
                f"{height} x {width}; whole numbers, one per pixel, are accepted"
            )
        labels = segments
    elif segments is not None and not FEWEST <= segments <= MOST:
        raise AnalysisError(f"segments = {segments}: {FEWEST} to {MOST} are accepted")
    elif min(height, width) < GRID_BELOW:
        labels = _grid(height, width, segments)
    else:
        labels = _slic(image, segments or int(np.clip(height * width / 784, 32, 100)))
    names, relabelled = np.unique(labels, return_inverse=True)
    if not FEWEST <= len(names) <= MOST:
        raise AnalysisError(
            f"the image falls into {len(names)} segments; {FEWEST} to {MOST} are accepted: ask for "
            "another number, or give a label map"
        )
    return np.asarray(relabelled.reshape(height, width), dtype=np.int64)


def paper_superpixels(image: Tensor) -> NDArray[np.int64]:
    """SLIC with 100 segments and sigma 5 at any size, as far as the authors' own code is known.

    Returns:
        (H, W) labels 0 to n - 1.

    Raises:
        AnalysisError: Where it leaves fewer than 8 segments.

    Source:
        The helper library that Wang et al. wrote before their paper of 2022; whether the paper
        used the same numbers is not known.
    """
    return superpixels(image, _slic(image, 100, sigma=5))


def _grid(height: int, width: int, segments: int | None) -> NDArray[np.int64]:
    if segments is None:
        rows, columns = (int(np.clip(side // 4, 6, 8)) for side in (height, width))
    else:
        rows = max(1, round(np.sqrt(segments * height / width)))
        columns = max(1, round(segments / rows))
    down = np.arange(height) * rows // height
    across = np.arange(width) * columns // width
    return np.asarray(down[:, None] * columns + across[None, :], dtype=np.int64)


def _slic(image: Tensor, segments: int, sigma: float = 1) -> NDArray[np.int64]:
    from skimage.segmentation import slic  # noqa: PLC0415 - only photos need it

    step = 2 if min(image.shape[1:]) >= HALVED_FROM else 1
    small = functional.avg_pool2d(image.detach()[None].float(), step, ceil_mode=True)[0]
    picture = small.cpu().numpy().transpose(1, 2, 0)
    colour = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    labels = np.zeros(picture.shape[:2], dtype=np.int64)
    # Where noise tears its regions apart, SLIC merges them into few; nearer to a grid it does not.
    for compactness in COMPACTNESS:
        labels = slic(
            colour, n_segments=segments, compactness=compactness, sigma=sigma, start_label=0,
            channel_axis=2,
        )  # fmt: skip
        if 2 * len(np.unique(labels)) >= segments:
            break
    height, width = image.shape[1:]
    whole = labels.repeat(step, axis=0).repeat(step, axis=1)[:height, :width]
    return np.asarray(whole, dtype=np.int64)


def baseline_image(image: Tensor, name: str, labels: NDArray[np.int64], seed: int = 0) -> Tensor:
    """What removed pixels are replaced with.

    Args:
        image: (C, H, W) in [0, 1].
        name: `blur` (Gaussian, sigma a twelfth of the shorter side), `mean` (colour of the image),
            `black`, `noise` (uniform) or `superpixel` (mean colour of each).
        labels: (H, W) superpixels, for `superpixel`.
        seed: Seed of the noise.

    Returns:
        (C, H, W) on the image's device.

    Raises:
        AnalysisError: For any other name.
    """
    if name == "blur":
        sigma = min(image.shape[1:]) / 12
        pixels = image.detach().cpu().numpy()
        blurred = ndimage.gaussian_filter(pixels, (0, sigma, sigma), mode="nearest")
        return torch.from_numpy(blurred).to(image)
    if name == "mean":
        return image.mean((1, 2), keepdim=True).expand_as(image).contiguous()
    if name == "black":
        return torch.zeros_like(image)
    if name == "noise":
        return torch.from_numpy(np.random.default_rng(seed).random(image.shape)).to(image)
    if name == "superpixel":
        where = torch.from_numpy(labels).to(image.device).flatten()
        sums = image.new_zeros(image.shape[0], int(labels.max()) + 1)
        sums.index_add_(1, where, image.flatten(1))
        return (sums / where.bincount())[:, where].view_as(image)
    raise AnalysisError(f"baseline {name!r}: {', '.join(BASELINES)} or a tensor is accepted")


def replacement(
    image: Tensor,
    baseline: str | Images,
    seed: int = 0,
    labels: NDArray[np.int64] | None = None,
) -> Tensor:
    """What removed pixels are replaced with, by name or given as pixels.

    Args:
        image: (C, H, W) in [0, 1].
        baseline: A name that `baseline_image` knows, or (C, H, W).
        seed: Seed of the noise.
        labels: (H, W) superpixels; None cuts them where the baseline needs them.

    Returns:
        (C, H, W) on the image's device.

    Raises:
        AnalysisError: For another name, another shape or numbers that are not finite.
    """
    if isinstance(baseline, str):
        if labels is None:
            cut = baseline == "superpixel"
            labels = superpixels(image) if cut else np.zeros(image.shape[1:], dtype=np.int64)
        return baseline_image(image, baseline, labels, seed)
    baseline = tensor_of(baseline, "baseline")
    if baseline.shape != image.shape or not torch.isfinite(baseline).all():
        raise AnalysisError(
            f"baseline of shape {tuple(baseline.shape)} for an image {tuple(image.shape)}; the "
            "same shape and finite numbers are accepted"
        )
    return baseline.to(image)

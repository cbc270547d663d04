"""Masking: what a model says when only part of an image is left.

An image is cut into superpixels; a *subset* keeps some of them and takes the other pixels from a
baseline (a blurred copy, its mean colour, ...). Everything here needs nothing of a model but
`predict`, a function from float32 pixels (B, C, H, W) in [0, 1] to probabilities (B, K).

Masks are composed by index-gather on the image's device, one batch at a time. Several searches can
share a forward pass: each is a generator that yields an `Ask` and is sent its probabilities, and
`answer` fills the batches with whatever all of them ask.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from governance.errors import AnalysisError

__all__ = [
    "BASELINES",
    "Archive",
    "Ask",
    "Baseline",
    "Curve",
    "Forward",
    "Predict",
    "Scene",
    "answer",
    "baseline_image",
    "check_image",
    "curve",
    "superpixels",
]

Predict = Callable[[Tensor], Any]
Baseline = Literal["blur", "mean", "black", "noise", "superpixel"]
Bits = NDArray[np.bool_]
Result = TypeVar("Result")

BASELINES: tuple[Baseline, ...] = ("blur", "mean", "black", "noise", "superpixel")
SMALLEST_SIDE = 16
GRID_BELOW = 64  # pixels; below, SLIC's superpixels are a few ragged pixels each
FEWEST, MOST = 8, 128
BATCH_NUMBERS = {"cpu": 2_400_000, "cuda": 20_000_000}  # input numbers of a batch, by device
TOLERANCE = 1e-3  # rounding of a float16 softmax


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
    elif image.numel() and image.flatten(1).amax(1).equal(image.flatten(1).amin(1)):
        problems.append("image is one flat colour; there is no region to tell from another")
    if problems:
        raise AnalysisError(problems)


def superpixels(image: Tensor, segments: int | NDArray[np.integer] | None = None) -> NDArray[np.int64]:
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
        SLIC: Achanta et al. 2012, as in scikit-image, compactness 10.
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
    return relabelled.reshape(height, width).astype(np.int64)


def _grid(height: int, width: int, segments: int | None) -> NDArray[np.int64]:
    if segments is None:
        rows, columns = (int(np.clip(side // 4, 6, 8)) for side in (height, width))
    else:
        rows = max(1, round(np.sqrt(segments * height / width)))
        columns = max(1, round(segments / rows))
    down = np.arange(height) * rows // height
    across = np.arange(width) * columns // width
    return np.asarray(down[:, None] * columns + across[None, :], dtype=np.int64)


def _slic(image: Tensor, segments: int) -> NDArray[np.int64]:
    from skimage.segmentation import slic  # noqa: PLC0415 - only photos need it

    picture = image.detach().cpu().numpy().astype(np.float64).transpose(1, 2, 0)
    colour = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    labels = slic(colour, n_segments=segments, compactness=10, start_label=0, channel_axis=2)
    return np.asarray(labels, dtype=np.int64)


def baseline_image(image: Tensor, name: str, labels: NDArray[np.int64], seed: int = 0) -> Tensor:
    """What removed pixels are replaced with.

    Args:
        image: (C, H, W) in [0, 1].
        name: `blur` (Gaussian, sigma a twelfth of the shorter side), `mean` (colour of the image),
            `black`, `noise` (uniform) or `superpixel` (mean colour of each).
        labels: (H, W) superpixels, for `superpixel`.
        seed: Of the noise.

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


class Ask(NamedTuple):
    """Subsets that a search wants to know about.

    Attributes:
        keep: (B, n) true where a superpixel is kept.
        baseline: Which replacement stands for the others.
    """

    keep: Bits
    baseline: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """An image with its superpixels and what may replace them.

    Attributes:
        image: (C, H, W) in [0, 1].
        labels: (H * W,) superpixel of each pixel, on the image's device.
        replacements: (C, H, W) by name of the baseline.
    """

    image: Tensor
    labels: Tensor
    replacements: Mapping[str, Tensor]

    def compose(self, ask: Ask) -> Tensor:
        """The masked images: (B, C, H, W)."""
        keep = torch.from_numpy(ask.keep).to(self.image.device)
        where = keep.index_select(1, self.labels).view(-1, 1, *self.image.shape[1:])
        return torch.where(where, self.image, self.replacements[ask.baseline])


class Forward:
    """Forward passes in batches, checked, with the batch halved when memory runs out.

    Attributes:
        batch_size: Images per pass, as it stands now.
        passes: Images that went through.
    """

    def __init__(self, predict: Predict, batch_size: int | None, image: Tensor) -> None:
        if batch_size is not None and batch_size < 1:
            raise AnalysisError(f"batch_size = {batch_size}: 1 and more are accepted")
        room = BATCH_NUMBERS.get(image.device.type, BATCH_NUMBERS["cuda"])
        self.batch_size = batch_size or int(np.clip(room // image.numel(), 8, 256))
        self.passes = 0
        self._predict = predict
        self._classes: int | None = None

    def __call__(self, count: int, compose: Callable[[int, int], Tensor]) -> NDArray[np.float32]:
        """Probabilities of `count` images, (count, K); `compose(start, stop)` makes some of them.

        Raises:
            AnalysisError: If the predictor's answer is no (B, K) of probabilities.
            torch.OutOfMemoryError: If not even one image fits.
        """
        parts, start = [], 0
        while start < count:
            stop = min(start + self.batch_size, count)
            try:
                with torch.no_grad():
                    output = self._predict(compose(start, stop))
            except torch.OutOfMemoryError:
                if stop - start == 1:
                    raise
                self.batch_size = max(1, (stop - start) // 2)
                continue
            parts.append(self._checked(output, stop - start))
            start = stop
        self.passes += count
        return np.concatenate(parts)

    def _checked(self, output: object, count: int) -> NDArray[np.float32]:
        answer = torch.as_tensor(output).detach().to("cpu", torch.float32).numpy()
        if answer.ndim != 2 or len(answer) != count or answer.shape[1] < 2:  # noqa: PLR2004 - (B, K)
            raise AnalysisError(
                f"predict returned shape {answer.shape} for {count} images; ({count}, classes) "
                "with two classes and more is accepted"
            )
        if self._classes not in {None, answer.shape[1]}:
            raise AnalysisError(
                f"predict returned {answer.shape[1]} classes after {self._classes}; always the "
                "same number is accepted"
            )
        if not np.isfinite(answer).all():
            raise AnalysisError("predict returned NaN or infinity; probabilities are accepted")
        if answer.min() < -TOLERANCE or answer.max() > 1 + TOLERANCE:
            raise AnalysisError(
                f"predict returned numbers from {answer.min():.3g} to {answer.max():.3g}, which "
                "look like logits; probabilities in [0, 1] (after softmax) are accepted"
            )
        self._classes = answer.shape[1]
        return answer


def answer(
    forward: Forward,
    searches: Sequence[Generator[Ask, NDArray[np.float32], Result]],
    scenes: Sequence[Scene],
) -> list[Result]:
    """Run searches to their end, each on its scene, sharing every forward pass.

    Returns:
        What each search returned.
    """
    results: dict[int, Result] = {}
    asks: dict[int, Ask] = {}

    def advance(place: int, told: NDArray[np.float32] | None) -> None:
        try:
            # A generator is started by sending None, whatever it is sent later.
            asks[place] = searches[place].send(told)  # type: ignore[arg-type]
        except StopIteration as end:
            asks.pop(place, None)
            results[place] = end.value

    for place in range(len(searches)):
        advance(place, None)
    while asks:
        order = sorted(asks)
        ends = np.cumsum([len(asks[place].keep) for place in order])
        told = forward(int(ends[-1]), lambda a, b, o=order, e=ends: _mixed(scenes, asks, o, e, a, b))  # type: ignore[misc]
        for place, part in zip(order, np.split(told, ends[:-1]), strict=True):
            advance(place, part)
    return [results[place] for place in range(len(searches))]


def _mixed(
    scenes: Sequence[Scene],
    asks: Mapping[int, Ask],
    order: Sequence[int],
    ends: NDArray[np.int64],
    start: int,
    stop: int,
) -> Tensor:
    # Images `start` to `stop` of all that is asked, counted through the searches in order.
    parts = []
    for place, end in zip(order, ends, strict=True):
        ask = asks[place]
        first = end - len(ask.keep)
        low, high = max(start, first) - first, min(stop, end) - first
        if low < high:
            parts.append(scenes[place].compose(Ask(ask.keep[low:high], ask.baseline)))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


class Archive:
    """Every subset evaluated once, with all its class probabilities, found by its packed bits.

    Attributes:
        keep: (count, n) subsets in the order of evaluation.
        probabilities: (count, K) of each.
        hits: How often a subset was asked for again and cost nothing.
    """

    def __init__(self, keep: Bits, probabilities: NDArray[np.float32]) -> None:
        self.keep = keep[:0]
        self.probabilities = probabilities[:0]
        self.hits = 0
        self._rows: dict[bytes, int] = {}
        self.add(keep, probabilities)

    def __len__(self) -> int:
        return len(self.keep)

    def add(self, keep: Bits, probabilities: NDArray[np.float32]) -> None:
        """Remember new subsets (B, n) with their probabilities (B, K)."""
        first = len(self.keep)
        self._rows |= {key: first + i for i, key in enumerate(_keys(keep))}
        self.keep = np.concatenate([self.keep, keep])
        self.probabilities = np.concatenate([self.probabilities, probabilities])

    def find(self, keep: Bits) -> NDArray[np.int64]:
        """Row of each subset (B, n), -1 for those never evaluated."""
        return np.array([self._rows.get(key, -1) for key in _keys(keep)], dtype=np.int64)

    def unknown(self, keep: Bits) -> NDArray[np.int64]:
        """Indices of the subsets (B, n) never evaluated, each different subset once."""
        first: dict[bytes, int] = {}
        for i, key in enumerate(_keys(keep)):
            if key not in self._rows:
                first.setdefault(key, i)
        return np.fromiter(first.values(), dtype=np.int64, count=len(first))


def _keys(keep: Bits) -> list[bytes]:
    packed = np.packbits(keep, axis=1)
    width, data = packed.shape[1], packed.tobytes()
    return [data[i : i + width] for i in range(0, len(data), width)]


class Curve(NamedTuple):
    """How the probability of a class follows the pixels revealed or removed.

    Attributes:
        fraction: (steps + 1,) of the pixels, 0 to 1.
        probability: (steps + 1,) of the class.
    """

    fraction: NDArray[np.float64]
    probability: NDArray[np.float64]

    @property
    def auc(self) -> float:
        """Area under the curve, trapezoidal: 0 to 1."""
        return float(np.trapezoid(self.probability, self.fraction))


def curve(
    predict: Predict,
    image: Tensor,
    replacement: Tensor,
    heat: NDArray[np.floating],
    target: int,
    *,
    kind: Literal["insertion", "deletion"],
    steps: int = 32,
    seed: int = 0,
    batch_size: int | None = None,
) -> Curve:
    """Reveal (or remove) whole pixels, the hottest first, and watch the target's probability.

    Args:
        predict: (B, C, H, W) in [0, 1] to probabilities (B, K).
        image: (C, H, W).
        replacement: (C, H, W) of removed pixels.
        heat: (H, W); equal values are ordered by `seed`.
        target: Class watched.
        kind: `insertion` starts from the replacement, `deletion` from the image.
        steps: Equal steps from no pixel to all of them.
        seed: Of the order among equal values.
        batch_size: Images per pass; None chooses.

    Source:
        Petsiuk, Das, Saenko 2018 (RISE), section 4.2.
    """
    if heat.shape != tuple(image.shape[1:]) or not np.isfinite(heat).all():
        raise AnalysisError(
            f"heat has shape {heat.shape} or is not finite; finite numbers, one per pixel of "
            f"{tuple(image.shape[1:])}, are accepted"
        )
    shuffle = np.random.default_rng(seed).permutation(heat.size)
    order = shuffle[np.argsort(-heat.ravel()[shuffle], kind="stable")]
    rank = np.empty(heat.size, dtype=np.int64)
    rank[order] = np.arange(heat.size)
    place = torch.from_numpy(rank).to(image.device).view(image.shape[1:])
    counts = torch.from_numpy(np.rint(np.linspace(0, heat.size, steps + 1)).astype(np.int64))
    inside, outside = (image, replacement) if kind == "insertion" else (replacement, image)

    def compose(start: int, stop: int) -> Tensor:
        taken = place < counts[start:stop].to(image.device).view(-1, 1, 1)
        return torch.where(taken[:, None], inside, outside)

    told = Forward(predict, batch_size, image)(steps + 1, compose)
    return Curve(counts.numpy() / heat.size, told[:, target].astype(np.float64))

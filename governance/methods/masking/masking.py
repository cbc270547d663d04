"""Masking: what a model says when only part of an image is left.

A *subset* keeps some superpixels of an image and takes the other pixels from a baseline. Nothing
here needs more of a model than `predict`, a function from float32 pixels (B, C, H, W) in [0, 1] to
probabilities (B, K). Masks are composed by index-gather on the image's device, a batch at a time.

Several searches can share a forward pass: each is a generator that yields an `Ask` and is sent its
probabilities, and `answer` fills the batches with whatever all of them ask.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import AnalysisError
from governance.methods.image_tensors import Images, image_tensor
from governance.records.numbers import number

__all__ = ["Archive", "Ask", "Bits", "Curve", "Forward", "Predict", "Scene", "answer", "curve"]

Predict = Callable[[Tensor], Any]
Bits = NDArray[np.bool_]
Result = TypeVar("Result")

BATCH_NUMBERS = {"cpu": 2_400_000, "cuda": 20_000_000}  # input numbers of a batch, by device
TOLERANCE = 1e-3  # rounding of a float16 softmax


class Ask(NamedTuple):
    """Subsets that a search wants to know about.

    Attributes:
        keep: (B, n) true where a superpixel is kept.
        baseline: Name of the fill image that stands for the others.
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

    def __post_init__(self) -> None:
        image = image_tensor(self.image, "image", dimensions=3)
        if self.labels.shape != (image.shape[1] * image.shape[2],):
            raise AnalysisError(
                f"labels of shape {tuple(self.labels.shape)} for an image of shape "
                f"{tuple(image.shape)}; (H * W,) for an image (C, H, W) is accepted"
            )
        # A record that is frozen takes what it checked in no other way.
        object.__setattr__(self, "image", image)
        given = {
            name: image_tensor(pixels, name, dimensions=3).to(image)
            for name, pixels in self.replacements.items()
        }
        object.__setattr__(self, "replacements", given)

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
                    # What a predictor is promised, whatever the images came in.
                    output = self._predict(compose(start, stop).to(torch.float32).contiguous())
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
                f"predict returned numbers from {number(answer.min())} to {number(answer.max())}, "
                "which look like logits; probabilities in [0, 1] (after softmax) are accepted"
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
        parts = [(scenes[place], asks[place]) for place in order]
        counts = [len(ask.keep) for _, ask in parts]
        told = forward(sum(counts), partial(_mixed, parts))
        for place, part in zip(order, np.split(told, np.cumsum(counts)[:-1]), strict=True):
            advance(place, part)
    return [results[place] for place in range(len(searches))]


def _mixed(parts: Sequence[tuple[Scene, Ask]], start: int, stop: int) -> Tensor:
    # Images `start` to `stop` of all that is asked, counted through the searches in order.
    made, first = [], 0
    for scene, ask in parts:
        low, high = max(start - first, 0), min(stop - first, len(ask.keep))
        if low < high:
            made.append(scene.compose(Ask(ask.keep[low:high], ask.baseline)))
        first += len(ask.keep)
    return torch.cat(made) if len(made) > 1 else made[0]


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
    image: Images,
    replacement: Images,
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
        seed: Seed of the order among equal values.
        batch_size: Images per pass; None chooses.

    Source:
        Petsiuk, Das, Saenko 2018 (RISE).
    """
    image = image_tensor(image, "image", dimensions=3)
    replacement = image_tensor(replacement, "replacement", dimensions=3).to(image)
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

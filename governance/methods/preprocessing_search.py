"""Preprocessing search: which of the usual preprocessings was a model trained with?

All candidates answer a few images; the better half goes on to more images, and so on (successive
halving). Scale and channel order are searched first, then size and crop with the two best of them.
The images that choose a preprocessing flatter it, so others must confirm it.

Source:
    Jamieson, Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter
    optimization".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from governance.errors import SubjectError
from governance.methods.class_order import best_order
from governance.methods.statistics.confusion import confusion
from governance.methods.statistics.intervals import LEVEL
from governance.methods.statistics.proportions import Paired, chance
from governance.records.resizing import Resize
from governance.subject.classifier import Classifier
from governance.subject.images.validation_set import ValidationSet
from governance.subject.preprocessing import Preprocessing
from governance.subject.usual_preprocessings import (
    CAFFE,
    COLOUR,
    FURTHER_COLOUR,
    FURTHER_GREY,
    GREY,
    usual_ways,
)

__all__ = [
    "SURE",
    "Candidate",
    "Tried",
    "above_chance",
    "answered",
    "geometries",
    "halved",
    "preferred",
    "scales",
]

BATCH = 64
#: Images after each round; half of the candidates go on, and four of them to the end.
ROUNDS = (32, 64, 128, 256, 512)
FINALISTS = 4
#: A commoner preprocessing is taken before a better one that is so little better and not shown to
#: be: on the networks tried, the means of ImageNet, CIFAR and CLIP differ by less.
ALIKE = 0.02
#: Largest p-value at which something counts as shown; it decides whether a policy is written.
SURE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A preprocessing that a model may have been trained with.

    Attributes:
        name: Usual name of scale and channel order.
        preprocessing: Scale, channel order, size and way to that size.
    """

    name: str
    preprocessing: Preprocessing

    @property
    def geometry(self) -> str:
        """Treatment of size in words."""
        declared = self.preprocessing
        if isinstance(declared.resize, Resize):
            return str(declared.resize)
        return f"{declared.size[0]} x {declared.size[1]}, {declared.resize}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tried:
    """A candidate and what the model answered under it.

    Attributes:
        candidate: The preprocessing.
        images: (n,) index of each image in the validation set.
        named: (n,) answered class, -1 where there is none.
        p_true: (n,) probability of the labelled class.
    """

    candidate: Candidate
    images: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    named: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    p_true: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def right(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which images are answered with their label: (n,).

        Args:
            labels: (N,) of the validation set.
        """
        return np.asarray(self.named == labels[self.images])

    def accuracy(self, labels: NDArray[np.int64]) -> float:
        """Share of images answered with their label."""
        return float(self.right(labels).mean())

    def joined(self, other: "Tried") -> "Tried":
        """These answers, and then those to other images."""
        return Tried(
            candidate=self.candidate,
            images=np.concatenate([self.images, other.images]),
            named=np.concatenate([self.named, other.named]),
            p_true=np.concatenate([self.p_true, other.p_true]),
        )


def scales(start: Preprocessing) -> tuple[Candidate, ...]:
    """The usual scales, for colour in both channel orders, at one size; the commonest first."""
    if start.depth == 1:
        listed = {**GREY, **FURTHER_GREY}
        return tuple(
            Candidate(name=name, preprocessing=replace(start, mean=mean, std=std))
            for name, (mean, std) in listed.items()
        )
    found = [
        Candidate(name=name, preprocessing=replace(start, channels="rgb", mean=mean, std=std))
        for name, (mean, std) in {**COLOUR, **FURTHER_COLOUR}.items()
    ]
    # Mean and std belong to colours, so they change places with them.
    swapped = [
        Candidate(
            name=f"{name}, BGR",
            preprocessing=replace(start, channels="bgr", mean=mean[::-1], std=std[::-1]),
        )
        for name, (mean, std) in COLOUR.items()
    ]
    mean, std = CAFFE
    caffe = replace(start, channels="bgr", mean=mean, std=std)
    return (*found, *swapped, Candidate(name="Caffe (BGR, 0 to 255)", preprocessing=caffe))


def geometries(
    candidate: Candidate, sizes: Sequence[tuple[int, int]] = ()
) -> tuple[Candidate, ...]:
    """The usual ways to the model's size for one scale, for each size the commonest first.

    Args:
        candidate: Scale and channel order, at any size.
        sizes: Sizes to try; that of the candidate if not given.
    """
    return tuple(
        replace(candidate, preprocessing=replace(candidate.preprocessing, size=size, resize=way))
        for size in sizes or [candidate.preprocessing.size]
        for way in usual_ways(size)
    )


def halved(
    candidates: Sequence[Candidate],
    classifier: Classifier,
    validation: ValidationSet,
    order: NDArray[np.int64],
    *,
    rounds: Sequence[int] = ROUNDS,
) -> tuple[Tried, ...]:
    """All candidates, the best first, each with the images that it was given.

    Args:
        candidates: The commonest first, which wins where nothing tells two apart.
        classifier: Model behind any preprocessing.
        validation: Images with labels.
        order: Images that may be used, every beginning of them even over the classes.
        rounds: Number of images after each round.
    """
    tried = [Tried(candidate=candidate) for candidate in candidates]
    dropped: list[Tried] = []
    done = 0
    for size in sorted({min(size, len(order)) for size in rounds}):
        grown = answered(
            [item.candidate for item in tried], classifier, validation, order[done:size]
        )
        tried = [one.joined(other) for one, other in zip(tried, grown, strict=True)]
        done = size
        scores = _scores(tried, validation)
        # Stable, so that the commoner of two equals stays in front.
        ranked = sorted(range(len(tried)), key=lambda place: scores[place], reverse=True)
        tried = [tried[place] for place in ranked]
        kept = max(FINALISTS, -(-len(tried) // 2))
        tried, dropped = tried[:kept], [*tried[kept:], *dropped]
    return (*tried, *dropped)


def preferred(
    tried: Sequence[Tried], candidates: Sequence[Candidate], validation: ValidationSet
) -> Tried:
    """The commonest candidate that does as well as the best one, as far as is shown.

    Args:
        tried: As `halved` returns them.
        candidates: The same, the commonest first.
        validation: Images with labels.
    """
    labels = validation.labels
    best, *others = tried
    right = best.right(labels)
    alike = {best.candidate: best}
    for item in others:
        if len(item.images) == len(best.images):
            pair = Paired.of(right, item.right(labels))
            if (pair.difference or 0.0) <= ALIKE and pair.p_value() >= 1 - LEVEL:
                alike[item.candidate] = item
    return next(alike[candidate] for candidate in candidates if candidate in alike)


def answered(
    candidates: Sequence[Candidate],
    classifier: Classifier,
    validation: ValidationSet,
    indices: NDArray[np.int64],
) -> tuple[Tried, ...]:
    """What the model answers under each candidate; each image is decoded once.

    Raises:
        SubjectError: If an image cannot be read.
    """
    blocks: list[list[Tried]] = []
    for start in range(0, len(indices), BATCH):
        part = indices[start : start + BATCH]
        blocks.append(list(_block(candidates, classifier, validation, part)))
    whole = [Tried(candidate=candidate) for candidate in candidates]
    for block in blocks:
        whole = [one.joined(other) for one, other in zip(whole, block, strict=True)]
    return tuple(whole)


def above_chance(right: NDArray[np.bool_], labels: NDArray[np.int64], tests: int = 1) -> float:
    """p-value that so many right answers come from naming the commonest class.

    Args:
        right: (n,) which images are answered rightly.
        labels: (n,) class of each.
        tests: Number of such tests of which this is the best (Bonferroni).
    """
    p = float(stats.binom.sf(int(right.sum()) - 1, len(right), chance(labels)))
    return min(1.0, p * tests)


def _block(
    candidates: Sequence[Candidate],
    classifier: Classifier,
    validation: ValidationSet,
    part: NDArray[np.int64],
) -> Iterator[Tried]:
    images = [validation.images[int(index)] for index in part]
    pixels: dict[Preprocessing, torch.Tensor] = {}
    for candidate in candidates:
        declared = candidate.preprocessing
        # Scale and channel order come after the pixels.
        way = Preprocessing(
            size=declared.size,
            resize=declared.resize,
            channels="grey" if declared.channels == "grey" else "rgb",
        )
        if way not in pixels:
            stacked = np.stack([way.pixels(image) for image in images])
            pixels[way] = torch.from_numpy(stacked).to(classifier.device)
        p = _probabilities(classifier.with_preprocessing(declared), pixels[way])
        known = np.isfinite(p).all(1)
        yield Tried(
            candidate=candidate,
            images=part,
            named=np.where(known, np.nan_to_num(p).argmax(1), -1),
            p_true=np.where(known, p[np.arange(len(part)), validation.labels[part]], 0.0),
        )


def _probabilities(view: Classifier, pixels: torch.Tensor) -> NDArray[np.float64]:
    """(n, K); NaN for images that the model gives no usable probabilities for."""
    try:
        return view.probabilities(pixels).double().cpu().numpy()
    except SubjectError:
        # Numbers far from those of the training overflow in some images and not in others.
        if len(pixels) == 1:
            return np.full((1, 1), np.nan)
        rows = [_probabilities(view, image[None]) for image in pixels]
        width = max(row.shape[1] for row in rows)
        return np.concatenate([np.broadcast_to(row, (1, width)) for row in rows])


def _scores(tried: Sequence[Tried], validation: ValidationSet) -> list[tuple[float, float]]:
    """Right answers, then the probability of the labels; of each candidate.

    Where no candidate is above chance the classes may stand in another order. Right answers then
    are those under the order that fits each candidate best.
    """
    labels = validation.labels[tried[0].images]
    hits = [int((item.named == labels).sum()) for item in tried]
    best = tried[int(np.argmax(hits))]
    if above_chance(best.named == labels, labels, len(tried)) < SURE:
        return [
            (float(count), float(item.p_true.sum()))
            for count, item in zip(hits, tried, strict=True)
        ]
    classes = len(validation.class_names)
    counts = [
        confusion(labels[item.named >= 0], item.named[item.named >= 0], classes) for item in tried
    ]
    return [(float(found[np.arange(classes), best_order(found)].sum()), 0.0) for found in counts]

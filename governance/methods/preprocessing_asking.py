"""Preprocessing asking: what a model answers under other preprocessings than the declared one."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import SubjectError
from governance.methods.preprocessing_alternatives import Alternative
from governance.subject.classifier import Classifier
from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject

__all__ = ["Asked"]


class Asked:
    """Asks the model about images of a sample under alternatives; an image is decoded once a round.

    Attributes:
        tried: The alternatives.
        answers: All answered classes, -1 where there was none.
    """

    def __init__(
        self, subject: Subject, chosen: NDArray[np.int64], tried: Sequence[Alternative]
    ) -> None:
        self.tried = tried
        self.answers: list[NDArray[np.int64]] = []
        self._subject, self._chosen = subject, chosen
        self._sets = {None: subject.validation} | {
            item.reading: subject.validation.read_as(item.reading)
            for item in tried
            if item.reading is not None
        }

    @property
    def passes(self) -> int:
        """Forward passes of one image."""
        return sum(len(part) for part in self.answers)

    def __call__(self, places: NDArray[np.int64], alive: Sequence[int]) -> NDArray[np.bool_]:
        """Right answers, (images, alternatives)."""
        subject = self._subject
        subject.meter.plan(passes=len(places) * len(alive))
        columns: list[list[NDArray[np.int64]]] = [[] for _ in alive]
        for start in range(0, len(places), subject.batch_size):
            part = self._chosen[places[start : start + subject.batch_size]]
            for column, named in zip(columns, self._block(part, alive), strict=True):
                column.append(named)
        answers = np.stack([np.concatenate(column) for column in columns], axis=1)
        self.answers.append(answers.ravel())
        subject.meter.count(passes=answers.size)
        return np.asarray(answers == subject.validation.labels[self._chosen[places]][:, None])

    def _block(self, part: NDArray[np.int64], alive: Sequence[int]) -> Iterator[NDArray[np.int64]]:
        """Answered classes of some images, by alternative."""
        images = {
            way: [self._sets[way].images[int(i)] for i in part]
            for way in {self.tried[i].reading for i in alive}
        }
        made: dict[object, tuple[Tensor, NDArray[np.bool_]]] = {}
        for i in alive:
            item = self.tried[i]
            way = (item.reading, item.preprocessing.resize)
            if way not in made:
                made[way] = self._pixels(images[item.reading], item.preprocessing)
            pixels, known = made[way]
            named = np.full(len(part), -1)
            if known.any():
                view = self._subject.classifier.with_preprocessing(item.preprocessing)
                named[known] = _predicted(view, 1 - pixels if item.inverted else pixels)
            yield named

    def _pixels(
        self, images: Sequence[NDArray[np.uint8]], preprocessing: Preprocessing
    ) -> tuple[Tensor, NDArray[np.bool_]]:
        """Pixels of the images that come to the model's size, and which ones do."""
        found: list[NDArray[np.float32]] = []
        known = np.zeros(len(images), dtype=np.bool_)
        for place, image in enumerate(images):
            try:
                found.append(preprocessing.pixels(image))
            except SubjectError:
                continue
            known[place] = True
        shape = (0, preprocessing.depth, *preprocessing.size)
        stacked = np.stack(found) if found else np.empty(shape, np.float32)
        return torch.from_numpy(stacked).to(self._subject.device), known


def _predicted(classifier: Classifier, pixels: Tensor) -> NDArray[np.int64]:
    """Most probable class of each image; -1 where the model gives no usable probabilities."""
    try:
        return np.asarray(classifier.probabilities(pixels).argmax(1).cpu())
    except SubjectError:
        # Numbers far from those of the training overflow in some images and not in others.
        if len(pixels) == 1:
            return np.array([-1])
        return np.concatenate([_predicted(classifier, image[None]) for image in pixels])

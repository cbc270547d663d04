"""Subjects changed in one place, and a classifier that is no network."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from governance.subject.preprocessing import Preprocessing
from governance.subject.subject import Subject

__all__ = ["BlackBox", "black_box", "with_network"]


def with_network(subject: Subject, **changed) -> Subject:
    """The same subject, with another module, preprocessing or meaning of the outputs."""
    return replace(subject, classifier=replace(subject.network, **changed))


@dataclass(frozen=True)
class BlackBox:
    """Tells stripes apart by how much the brightness changes along rows and columns, in numpy."""

    preprocessing: Preprocessing

    @property
    def device(self):
        return torch.device("cpu")

    def probabilities(self, pixels):
        (mean,), (std,) = self.preprocessing.mean, self.preprocessing.std
        images = (np.asarray(pixels)[:, 0] - mean) / std
        down = np.abs(np.diff(images, axis=1)).mean((1, 2))
        across = np.abs(np.diff(images, axis=2)).mean((1, 2))
        scores = 20 * np.stack([down - across - 0.2, across - down - 0.2, 0 * down], axis=1)
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return torch.from_numpy((powers / powers.sum(1, keepdims=True)).astype(np.float32))

    def with_preprocessing(self, preprocessing):
        return replace(self, preprocessing=preprocessing)


def black_box(subject: Subject) -> Subject:
    """The same images of stripes, before a classifier that has no layers to look into."""
    identity = replace(subject.identity, uri="models:/black-box/1", digest="sha256:" + "1" * 64)
    return replace(subject, classifier=BlackBox(subject.preprocessing), identity=identity)

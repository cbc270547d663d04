"""Subjects changed in one place, and a classifier that is no network."""

from dataclasses import replace

import numpy as np

from governance.subject.black_box import BlackBox
from governance.subject.subject import Subject

__all__ = ["black_box", "with_network"]


def with_network(subject: Subject, **changed) -> Subject:
    """The same subject, with another module, preprocessing or meaning of the outputs."""
    return replace(subject, classifier=replace(subject.network, **changed))


def scores(images):
    """Tells stripes apart by how much the brightness changes along rows and columns, in numpy."""
    down = np.abs(np.diff(images[:, 0], axis=1)).mean((1, 2))
    across = np.abs(np.diff(images[:, 0], axis=2)).mean((1, 2))
    return 20 * np.stack([down - across - 0.2, across - down - 0.2, 0 * down], axis=1)


def black_box(subject: Subject) -> Subject:
    """The same images of stripes, before a classifier that has no layers to look into."""
    identity = replace(subject.identity, uri="models:/black-box/1", digest="sha256:" + "1" * 64)
    classifier = BlackBox(ask=scores, preprocessing=subject.preprocessing)
    return replace(subject, classifier=classifier, identity=identity)

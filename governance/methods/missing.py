"""Missing metrics: why an analysis gives a metric no value, as a note that the report prints.

A metric that had nothing to be measured on is missing. Any number in its place would be read as a
result, and its best value as a perfect one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["missing", "one_answer"]


def missing(names: Sequence[str], why: str) -> str:
    """The note that some metrics are missing, with the reason.

    Args:
        names: Metrics without the name of their analysis, at least one.
        why: A clause without a full stop.
    """
    *others, last = names
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"Missing: {listed}, since {why}."


def one_answer(answers: NDArray[np.int64], class_names: Sequence[str]) -> str | None:
    """The clause that all images are answered with one class; None where answers differ.

    Whatever depends on the image cannot be told of a model that answers every image alike.

    Args:
        answers: (N,) answered class of each image.
        class_names: In the order of the model's outputs.
    """
    classes = np.unique(answers)
    if len(classes) != 1:
        return None
    images = f"all {len(answers)} images are" if len(answers) > 1 else "the only image is"
    return f"{images} answered with class {class_names[int(classes[0])]}"

"""One answer for all images: whether a model tells its images apart at all.

A metric that had nothing to be measured on is missing. Any number in its place would be read as a
result, and its best value as a perfect one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["one_answer"]


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

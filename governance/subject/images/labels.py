"""Labels: the labels of arrays, in the forms that people store them in, as indices of classes."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.records.wording import first_few

__all__ = ["LABEL_FORMS", "as_indices", "has_letters", "is_text", "label_problems"]

#: What is accepted, for messages.
LABEL_FORMS = (
    "one whole number or one class name per image, of shape (N,) or (N, 1), or one row of zeros "
    "and a single one per image is accepted"
)

PAIR = 2


def is_text(labels: NDArray[Any] | None) -> bool:
    """Whether labels are names of classes."""
    return labels is not None and labels.dtype.kind == "U"


def has_letters(texts: NDArray[np.str_]) -> bool:
    """Whether texts hold Unicode alone.

    numpy takes any number for a letter, and Python ends with an error of its own at some.
    """
    order = np.dtype(np.uint32).newbyteorder(texts.dtype.byteorder)
    return bool((np.frombuffer(texts.tobytes(), order) <= sys.maxunicode).all())


def label_problems(labels: NDArray[Any], names: Sequence[str] | None) -> Iterator[str]:
    """What is wrong with labels.

    Args:
        labels: (N,) or (N, 1) whole numbers or texts, or (N, K) rows of zeros and a single one.
        names: The K class names; None where they are missing or wrong themselves.

    Yields:
        A sentence for each problem.
    """
    flat = labels[:, 0] if labels.ndim == PAIR and labels.shape[1] == 1 else labels
    where = f"labels: {labels.dtype} of shape {labels.shape}"
    if flat.ndim == PAIR and flat.dtype.kind in "iufb":
        yield from _row_problems(flat, names, where)
    elif flat.ndim != 1 or flat.dtype.kind not in "iuU":
        yield f"{where}; {LABEL_FORMS}"
    elif is_text(flat) and not has_letters(flat):
        yield "labels: hold what is no letter; Unicode is accepted"
    elif is_text(flat):
        unknown = sorted(set(map(str, flat)) - set(names or map(str, flat)))
        if unknown:
            yield f"labels: {first_few(list(map(repr, unknown)))} are none of class_names"
    elif names is not None:
        out = np.flatnonzero((flat < 0) | (flat >= len(names)))
        if len(out):
            shown = first_few([f"{flat[i]} at {i}" for i in out])
            yield f"labels: {len(out)} out of range ({shown}); 0 to {len(names) - 1} is accepted"


def _row_problems(rows: NDArray[Any], names: Sequence[str] | None, where: str) -> Iterator[str]:
    if names is not None and rows.shape[1] != len(names):
        yield f"{where} for {len(names)} classes; {LABEL_FORMS}"
    elif not ((rows == 0) | (rows == 1)).all():
        yield f"{where} holds other numbers than 0 and 1; {LABEL_FORMS}"
    else:
        several = np.flatnonzero(rows.sum(1) != 1)
        if len(several):
            yield (
                f"labels: {len(several)} images have no class or several (the first at "
                f"{several[0]}); one class per image is accepted"
            )


def as_indices(labels: NDArray[Any], names: Sequence[str]) -> NDArray[np.int64]:
    """Index of the class of each image, (N,), of labels without problems."""
    if labels.ndim == PAIR and labels.shape[1] > 1:
        return np.asarray(labels.argmax(1), dtype=np.int64)
    flat = labels.reshape(-1)
    if is_text(flat):
        index = {name: place for place, name in enumerate(names)}
        return np.array([index[str(label)] for label in flat], dtype=np.int64)
    return flat.astype(np.int64)

"""Answers: where the class scores stand in whatever a model returns.

A model may return a tensor, a dictionary, a tuple, a dataclass or an object of `transformers`. The
class scores are one of the tensors in there: the one with the name that the policy gives, the only
one that could be meant, or the one named `logits`. No flavour looks for them in another way.
"""

import dataclasses
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from governance.errors import SubjectError
from governance.records.wording import first_few

__all__ = ["Entry", "chosen", "class_scores", "entries"]

#: Tables and lists inside one another, and tensors, that an answer may have.
DEEPEST, MOST_ENTRIES = 4, 64
#: Entry that holds the class scores wherever just one has that name.
LOGITS = "logits"
ROWS = 2  # dimensions of (B, K)
SHOWN = 10
WRAP = "wrap the model so that it returns its class scores alone"

#: Takes a part out of an answer.
Getter = Callable[[Any], Any]


class Entry(NamedTuple):
    """A tensor in an answer.

    Attributes:
        tensor: The tensor.
        getters: Steps that take it out of an answer of the same form.
    """

    tensor: Tensor
    getters: tuple[Getter, ...]


def entries(answer: object) -> dict[str, Entry]:
    """The tensors of an answer by name: `logits`, or `0` and `1` of a tuple, or `1.logits`.

    Args:
        answer: Whatever a model returned. A tensor or an array alone has the empty name.

    Raises:
        SubjectError: If the answer holds more than `MOST_ENTRIES` tensors, or none.
    """
    found: dict[str, Entry] = {}
    for path, entry in _tensors(answer, (), (), 0):
        found[".".join(path)] = entry
        if len(found) > MOST_ENTRIES:
            raise SubjectError(
                f"returns more than {MOST_ENTRIES} tensors; fewer are accepted: {WRAP}"
            )
    if not found:
        raise SubjectError(
            f"returns {type(answer).__name__} without a tensor in it; one tensor (B, K) is "
            f"accepted: {WRAP}"
        )
    return found


def _tensors(
    answer: object, path: tuple[str, ...], getters: tuple[Getter, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Entry]]:
    if isinstance(answer, Tensor):
        yield path, Entry(answer, getters)
    elif isinstance(answer, np.ndarray | np.generic) and answer.dtype.kind in "biuf":
        yield path, Entry(torch.from_numpy(np.array(answer)), (*getters, torch.as_tensor))
    elif depth < DEEPEST:
        for name, value, getter in _parts(answer):
            yield from _tensors(value, (*path, name), (*getters, getter), depth + 1)


def _parts(answer: object) -> Iterator[tuple[str, Any, Getter]]:
    """Named parts of an answer, each with what takes it out; none for what has no parts."""
    if isinstance(answer, Mapping):
        for key, value in answer.items():
            yield str(key), value, operator.itemgetter(key)
    elif dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        for item in dataclasses.fields(answer):
            yield item.name, getattr(answer, item.name, None), operator.attrgetter(item.name)
    elif isinstance(answer, tuple | list):
        names: Sequence[str] = getattr(answer, "_fields", ()) or [
            str(place) for place in range(len(answer))
        ]
        for place, (name, value) in enumerate(zip(names, answer, strict=True)):
            yield name, value, operator.itemgetter(place)


def chosen(shapes: Mapping[str, Sequence[int]], wanted: str | None = None) -> str:
    """Name of the entry that holds the class scores.

    Args:
        shapes: Shape of each entry by name, the images first.
        wanted: Name that the policy gives; None where it gives none.

    Raises:
        SubjectError: If there is no such entry, or several could be meant.
    """
    possible = [name for name, shape in shapes.items() if _are_rows(shape)]
    named = [name for name in possible if name.rpartition(".")[2] == LOGITS]
    if wanted is not None:
        possible = [name for name in possible if name == wanted]
    elif len(possible) > 1 and len(named) == 1:
        possible = named
    if len(possible) == 1:
        return possible[0]
    raise SubjectError(_refusal(shapes, wanted))


def _refusal(shapes: Mapping[str, Sequence[int]], wanted: str | None) -> str:
    """Why no entry can be chosen, and what would be accepted."""
    alone = shapes.get("") if len(shapes) == 1 else None
    told = first_few([f"{name[:40]!r} {tuple(shape)}" for name, shape in shapes.items()], SHOWN)
    returned = f"a tensor of shape {tuple(alone)}" if alone is not None else told
    possible = [repr(name[:40]) for name, shape in shapes.items() if name and _are_rows(shape)]
    if wanted is not None:
        cure = f"one of {first_few(possible, SHOWN)} is" if possible else "to leave it out is"
        return (
            f"returns {returned}, and output_name = {wanted!r} in [model] of the policy is none "
            f"of these that holds a row for each image; {cure} accepted"
        )
    if not possible:
        return (
            f"returns {returned}; one tensor (B, K) is accepted, alone or in a dictionary, a tuple "
            f"or a dataclass: {WRAP}"
        )
    return (
        f"returns {returned}, of which several could be the class scores; output_name = "
        f"{possible[0]} in [model] of the policy, or another of them, is accepted; or {WRAP}"
    )


def _are_rows(shape: Sequence[int]) -> bool:
    """Whether a shape is (B,) or (B, K), whatever sizes of one follow."""
    rest = list(shape)
    while len(rest) > ROWS and isinstance(rest[-1], int) and rest[-1] == 1:
        rest.pop()
    return len(rest) in {1, ROWS}


def class_scores(answer: object, images: int, wanted: str | None = None) -> Tensor:
    """The class scores in an answer: (B, K), in the precision of the model.

    Args:
        answer: Whatever a model returned for a batch.
        images: B.
        wanted: Name of the output that the policy gives; None where it gives none.

    Raises:
        SubjectError: If there are none, several could be meant, or they are not of these images.
    """
    found = entries(answer)
    scores = found[chosen({name: tuple(item.tensor.shape) for name, item in found.items()}, wanted)]
    if len(scores.tensor) != images:
        raise SubjectError(
            f"returns {tuple(scores.tensor.shape)} for {images} images; one tensor (B, K) is "
            "accepted"
        )
    return scores.tensor.reshape(images, -1)

"""Arranging: how a batch of images becomes the rows that a model without a torch module takes.

Scikit-learn takes one row of numbers for an image, Keras puts the channels last, ONNX and torch put
them first, and some take a table with a named column for each number. The signature in the MLmodel
file says which. Where it does not, the policy does, and else the channels come first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.records.bounded import json_data
from governance.records.model_terms import Layout
from governance.subject.model_files import UNKNOWN, Shape

__all__ = ["Arrangement", "arrangement"]

#: Kinds of numbers in a signature; others are texts and the like.
WHOLE = {"uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "integer", "long"}
FRACTIONS = {"float16", "float32", "float64", "float", "double"}
DEPTHS = {1, 3}
#: Dimensions of a batch by its layout.
DIMENSIONS: Mapping[Layout, int] = {
    "channels_first": 4, "channels_last": 4, "no_channels": 3, "flat": 2,
}  # fmt: skip
ACCEPTED = (
    "one tensor (-1, C, H, W), (-1, H, W, C), (-1, H, W) or (-1, N), or N columns of numbers, is "
    "accepted"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """How a model takes a batch of images.

    Attributes:
        layout: Order of the numbers. Rows of `flat` go through the image line by line, with the
            channels of a pixel beside one another.
        shape: Channels, height and width of an image, as far as they are said.
        numbers: Numbers of an image; None where they are not said.
        whole: Whether the model takes whole numbers alone.
        levels: Whether these are bytes, from 0 to 255.
        tensor: Name of the one tensor; empty where it has none.
        columns: Names of the columns, where the model takes a table.
    """

    layout: Layout
    shape: Shape = UNKNOWN
    numbers: int | None = None
    whole: bool = False
    levels: bool = False
    tensor: str = ""
    columns: tuple[str, ...] = ()

    def arranged(self, inputs: NDArray[np.float32]) -> NDArray[np.generic]:
        """A batch in the order of the model.

        Args:
            inputs: (B, C, H, W), scaled as the policy says.

        Raises:
            SubjectError: If the model takes images of other sizes.
        """
        batch, count = len(inputs), math.prod(inputs.shape[1:])
        if self.numbers not in {None, count}:
            raise SubjectError(
                f"takes {self.numbers} numbers per image, and an image of {inputs.shape[1]} "
                f"channels and {inputs.shape[2]} x {inputs.shape[3]} pixels has {count}; a size in "
                "[model] of the policy with as many is accepted"
            )
        numbers: NDArray[np.generic] = np.rint(inputs).astype(np.int64) if self.whole else inputs
        if self.layout == "channels_first":
            return numbers
        numbers = numbers.transpose(0, 2, 3, 1)
        if self.layout == "channels_last":
            return numbers
        if self.layout == "flat":
            return numbers.reshape(batch, count)
        if numbers.shape[3] != 1:
            raise SubjectError(
                "takes images without channels; channels = 'grey' in [model] of the policy is "
                "accepted"
            )
        return numbers[..., 0]


def arrangement(signature: Any, layout: Layout | None, where: str) -> Arrangement:
    """How a model takes images, by its signature and by the policy.

    Args:
        signature: As it stands in the MLmodel file; untrusted, and of any shape.
        layout: What the policy says; None where it says nothing.
        where: Name of the file in messages.

    Raises:
        SubjectError: If the signature is not of images, or contradicts the policy.
    """
    if not isinstance(signature, dict) or not signature.get("inputs"):
        return Arrangement(layout=layout or "channels_first")
    try:
        inputs = json_data(signature["inputs"].encode(), f"{where}: signature", SubjectError)
        if all("tensor-spec" in item for item in inputs):
            (tensor,) = inputs
            return _tensor(tensor, layout, where)
        columns = tuple(str(item["name"]) for item in inputs)
        kinds = {str(item["type"]) for item in inputs}
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise SubjectError(f"{where}: the signature's inputs; {ACCEPTED}") from error
    if kinds - FRACTIONS - WHOLE:
        raise SubjectError(f"{where}: the signature's columns are {sorted(kinds)}; {ACCEPTED}")
    if layout not in {None, "flat"}:
        raise SubjectError(_contradicts(where, layout, "flat"))
    return Arrangement(
        layout="flat", numbers=len(columns), whole=not kinds & FRACTIONS, columns=columns
    )


def _tensor(item: Mapping[str, Any], layout: Layout | None, where: str) -> Arrangement:
    sizes = tuple(int(size) for size in item["tensor-spec"]["shape"])
    kind = str(item["tensor-spec"]["dtype"])
    fitting = [name for name in DIMENSIONS if _fits(name, sizes)]
    if kind not in FRACTIONS | WHOLE or not fitting:
        raise SubjectError(f"{where}: the signature is {kind} of shape {sizes}; {ACCEPTED}")
    if layout is not None and layout not in fitting:
        raise SubjectError(_contradicts(where, layout, " or ".join(fitting)))
    chosen = layout or fitting[0]
    known = tuple(size if size > 0 else None for size in sizes[1:])
    channels, height, width = {
        "channels_first": known,
        "channels_last": (*known[2:], *known[:2]),
        "no_channels": (1, *known),
        "flat": UNKNOWN,
    }[chosen]
    return Arrangement(
        layout=chosen,
        shape=(channels, height, width),
        numbers=known[0] if chosen == "flat" else None,
        whole=kind in WHOLE,
        levels=kind == "uint8",
        tensor=str(item.get("name") or ""),
    )


def _fits(layout: Layout, sizes: tuple[int, ...]) -> bool:
    """Whether a shape can be that of a layout: images have one channel or three."""
    if len(sizes) != DIMENSIONS[layout]:
        return False
    channels = {"channels_first": sizes[1], "channels_last": sizes[-1]}.get(layout, 1)
    return channels <= 0 or channels in DEPTHS


def _contradicts(where: str, layout: Layout | None, theirs: str) -> str:
    return (
        f"{where}: the signature is of {theirs} images, and the policy says layout = {layout!r}; "
        "leave layout out of [model] of the policy, or set it to that"
    )

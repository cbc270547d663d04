"""Resizing: how an image of any size comes to the size that a model takes, as plain data.

A word names one of three simple treatments. A `Resize` says what an evaluation transform does, in
the terms of the libraries that train models, so that the pixels are the ones that they compute.
"""

from dataclasses import dataclass
from typing import Literal

from governance.errors import PolicyError
from governance.records.toml_reader import Reader

__all__ = [
    "WORDS",
    "Interpolation",
    "Like",
    "Resize",
    "Resizing",
    "Word",
    "read_resize",
]

#: Simple treatments of images of another size.
Word = Literal["none", "squash", "crop"]
WORDS: tuple[Word, ...] = ("none", "squash", "crop")

Interpolation = Literal[
    "nearest", "nearest-exact", "bilinear", "bicubic", "box", "hamming", "lanczos"
]
#: Interpolations that torch computes on tensors.
OF_TENSORS: tuple[Interpolation, ...] = ("nearest", "nearest-exact", "bilinear", "bicubic")

Like = Literal["torchvision", "torchvision-tensor", "transformers", "transformers-pil"]

#: Longest side of an image after resizing, in pixels.
LARGEST_SIDE = 8192

Side = int | tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """An evaluation transform's way to the model's size: interpolate, then cut out the centre.

    Attributes:
        to: Length that the short side is brought to, with the aspect ratio kept, or height and
            width that the image is brought to whatever its aspect ratio. Without it nothing is
            interpolated.
        crop: Side of the square that is cut out of the centre, or its height and width. Without it
            nothing is cut off.
        interpolation: Interpolation between pixels.
        like: Library whose pixels these are. `torchvision` is torchvision on pictures of Pillow,
            and timm. `torchvision-tensor` is torchvision on tensors with antialiasing, which torch
            interpolates. `transformers` is the default image processor of transformers, which does
            the same and rounds the place of the cut down, and `transformers-pil` its processor on
            Pillow.
    """

    to: Side | None = None
    crop: Side | None = None
    interpolation: Interpolation = "bilinear"
    like: Like = "torchvision"

    def __post_init__(self) -> None:
        problems = [
            f"{name} = {value}: lengths from 1 to {LARGEST_SIDE} pixels are accepted"
            for name, value in (("to", self.to), ("crop", self.crop))
            if value is not None and not all(1 <= side <= LARGEST_SIDE for side in _pair(value))
        ]
        if self.to is None and self.crop is None:
            problems.append("neither to nor crop; at least one of them is needed")
        if self.to is not None and self.crop is not None:
            outer, inner = _pair(self.to), _pair(self.crop)
            if any(cut > side for cut, side in zip(inner, outer, strict=True)):
                problems.append(
                    f"crop = {self.crop}: is larger than to = {self.to}, so that nothing is there "
                    "to be cut; at most that is accepted"
                )
        if self.on_tensors and self.interpolation not in OF_TENSORS:
            problems.append(
                f"interpolation = {self.interpolation!r}: is not computed on tensors, as like = "
                f"{self.like!r} asks for; {', '.join(OF_TENSORS)} are accepted"
            )
        if problems:
            raise PolicyError(problems)

    @property
    def on_tensors(self) -> bool:
        """Whether torch interpolates and not Pillow."""
        return self.like in {"torchvision-tensor", "transformers"}

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of every image afterwards; None where they depend on the image."""
        if self.crop is not None:
            return _pair(self.crop)
        return self.to if isinstance(self.to, tuple) else None

    @property
    def keys(self) -> dict[str, int | str | tuple[int, int]]:
        """What a policy writes to say it, without what goes without saying."""
        said = {"to": self.to, "crop": self.crop, "interpolation": self.interpolation}
        named = said if self.like == "torchvision" else {**said, "like": self.like}
        return {key: value for key, value in named.items() if value is not None}

    def __str__(self) -> str:
        parts = []
        if isinstance(self.to, tuple):
            parts.append(f"to {self.to[0]} x {self.to[1]}")
        elif self.to is not None:
            parts.append(f"short side to {self.to}")
        if self.crop is not None:
            height, width = _pair(self.crop)
            parts.append(f"centre of {height} x {width}")
        if self.to is not None:
            parts.append(self.interpolation)
        if self.like != "torchvision":
            parts.append(f"as {self.like}")
        return ", ".join(parts)


#: Treatment of an image's size: a word, or an evaluation transform.
Resizing = Word | Resize


def read_resize(terms: Reader) -> Resizing:
    """The key `resize` of a table: a word, or a table that says an evaluation transform."""
    if terms.holds_table("resize"):
        return terms.record("resize", Resize) or "none"
    word = terms.choice("resize", "none", WORDS, "or a table such as {to = 256, crop = 224}")
    return next(known for known in WORDS if known == word)


def _pair(side: Side) -> tuple[int, int]:
    return side if isinstance(side, tuple) else (side, side)

"""Preprocessing alternatives: what a model may have been trained with in place of what is declared.

Each changes one thing: the scale, the order of the channels, light and dark, the way to the model's
size, or the reading of the files.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from governance.records.reading import FileReading, Orientation
from governance.subject.images.decoding import Trait
from governance.subject.preprocessing import Preprocessing
from governance.subject.usual_preprocessings import (
    CAFFE,
    COLOUR,
    FURTHER_COLOUR,
    FURTHER_GREY,
    GREY,
    usual_ways,
)

__all__ = ["Alternative", "alternatives", "readings"]

#: Backgrounds that transparent pixels are usually laid on; None drops the transparency.
BACKGROUNDS = (None, "white", "black")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A preprocessing that a model may have been trained with.

    Attributes:
        name: Usual name of the preprocessing.
        preprocessing: Scale, channel order and way to the model's size.
        inverted: Whether light and dark are exchanged first.
        reading: How image files are read; as declared if not given.
    """

    name: str
    preprocessing: Preprocessing
    inverted: bool = False
    reading: FileReading | None = None


def alternatives(declared: Preprocessing) -> tuple[Alternative, ...]:
    """The usual preprocessings that differ from the declared one.

    For colour: the usual scales in the declared channel order, the declared scale in the other
    order, and Caffe's. For grey: the usual scales, and the declared one with light and dark
    exchanged. Where images of other sizes are accepted: the usual ways to the model's size.
    """
    listed = [*_scales(declared), *_orders(declared), *_ways(declared)]
    return tuple(item for item in listed if item.inverted or item.preprocessing != declared)


def readings(
    declared: Preprocessing, reading: FileReading | None, traits: Collection[Trait]
) -> tuple[Alternative, ...]:
    """The other ways to read the files, as far as it makes a difference.

    Args:
        declared: The declared preprocessing, which stays.
        reading: The declared reading; None where the images are no files.
        traits: What some of the files hold.
    """
    if reading is None:
        return ()
    found: list[Alternative] = []
    if "tagged" in traits:
        other: Orientation = "as stored" if reading.orientation == "upright" else "upright"
        found.append(
            Alternative(
                name=f"orientation {other}",
                preprocessing=declared,
                reading=replace(reading, orientation=other),
            )
        )
    if "transparent" in traits:
        found += [
            Alternative(
                name="transparency dropped" if paper is None else f"transparency on {paper}",
                preprocessing=declared,
                reading=replace(reading, background=paper),
            )
            for paper in BACKGROUNDS
            if paper != reading.background
        ]
    return tuple(found)


def _scales(declared: Preprocessing) -> Iterator[Alternative]:
    grey = declared.channels == "grey"
    scales = {**GREY, **FURTHER_GREY} if grey else {**COLOUR, **FURTHER_COLOUR}
    for name, (mean, std) in scales.items():
        yield Alternative(name=name, preprocessing=replace(declared, mean=mean, std=std))


def _orders(declared: Preprocessing) -> Iterator[Alternative]:
    if declared.channels == "grey":
        yield Alternative(name="as declared, inverted", preprocessing=declared, inverted=True)
        return
    other: Literal["rgb", "bgr"] = "rgb" if declared.channels == "bgr" else "bgr"
    # Mean and std belong to colours, so they change places with them.
    swapped = replace(declared, channels=other, mean=declared.mean[::-1], std=declared.std[::-1])
    mean, std = CAFFE
    caffe = replace(declared, channels="bgr", mean=mean, std=std)
    yield Alternative(name=f"as declared, {other.upper()}", preprocessing=swapped)
    yield Alternative(name="Caffe (BGR, 0 to 255)", preprocessing=caffe)


def _ways(declared: Preprocessing) -> Iterator[Alternative]:
    if declared.resize == "none":
        return
    for way in usual_ways(declared.size):
        words = f"{way} to {declared.size[0]} x {declared.size[1]}" if isinstance(way, str) else way
        yield Alternative(name=str(words), preprocessing=replace(declared, resize=way))

"""Usual preprocessings: what image classifiers are trained and evaluated with.

Each scale is a mean and a standard deviation of pixels in [0, 1], in the order red, green, blue.
One number serves all channels. The commonest ones stand first.
"""

from collections.abc import Mapping
from types import MappingProxyType

from governance.records.resizing import Resize, Resizing

__all__ = ["CAFFE", "COLOUR", "FURTHER_COLOUR", "FURTHER_GREY", "GREY", "Scale", "usual_ways"]

#: Mean and standard deviation.
Scale = tuple[tuple[float, ...], tuple[float, ...]]

COLOUR: Mapping[str, Scale] = MappingProxyType(
    {
        "ImageNet mean and std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "CIFAR-10 mean and std": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        "from -1 to 1": ((0.5,), (0.5,)),
        "from 0 to 1": ((0.0,), (1.0,)),
        "from 0 to 255": ((0.0,), (1 / 255,)),
    }
)
GREY: Mapping[str, Scale] = MappingProxyType(
    {
        "MNIST mean and std": ((0.1307,), (0.3081,)),
        "from -1 to 1": ((0.5,), (0.5,)),
        "from 0 to 1": ((0.0,), (1.0,)),
        "from 0 to 255": ((0.0,), (1 / 255,)),
    }
)
#: Caffe's models: blue first, 0 to 255, the mean of ImageNet taken off, no division.
CAFFE: Scale = ((0.406, 0.456, 0.485), (1 / 255,))

#: Less usual ones, which are tried where nothing is known of a model.
FURTHER_COLOUR: Mapping[str, Scale] = MappingProxyType(
    {
        "(pixel - 127) / 128": ((127 / 255,), (128 / 255,)),
        "CLIP mean and std": (
            (0.48145466, 0.4578275, 0.40821073),
            (0.26862954, 0.26130258, 0.27577711),
        ),
        "CIFAR-100 mean and std": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    }
)
FURTHER_GREY: Mapping[str, Scale] = MappingProxyType(
    {"Fashion-MNIST mean and std": ((0.2860,), (0.3530,))}
)

#: Side of the cut, of the short side that it is cut from: that of most evaluation transforms, and
#: that of many in timm.
CUTS = (224 / 256, 0.95)


def usual_ways(size: tuple[int, int]) -> tuple[Resizing, ...]:
    """Usual ways of an image to a model's size, the commonest first.

    Args:
        size: Height and width of the model's input.
    """
    height, width = size
    if height != width:
        return "crop", "squash"
    usual, close = (round(height / cut) for cut in CUTS)
    return (
        "crop",
        "squash",
        Resize(to=usual, crop=height, interpolation="bilinear"),
        Resize(to=usual, crop=height, interpolation="bicubic"),
        Resize(to=close, crop=height, interpolation="bicubic"),
        Resize(to=height, crop=height, interpolation="bilinear"),
    )

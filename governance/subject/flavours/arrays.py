"""Arrays: images as a model takes them that reads plain arrays: layout, numbers and batch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.subject.model_files import Shape
from governance.subject.model_files.reading import IMAGES

__all__ = ["ArrayInput", "array_input"]

#: Images as a model takes them, to what it returns for each.
Run = Callable[[NDArray[np.generic]], NDArray[np.generic]]
#: The same of images (B, C, H, W) in float32, in the model's channel order and normalised.
Ask = Callable[[NDArray[np.float32]], NDArray[np.generic]]

COLOURS = {1, 3}
ACCEPTED = (
    "one input of images (B, C, H, W) or (B, H, W, C) in float32, float16, float64 or uint8 is "
    "accepted"
)
DTYPES = {"float32", "float16", "float64", "uint8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayInput:
    """The one input of a model that reads arrays.

    Attributes:
        sizes: Its four sizes; None where it takes any.
        dtype: Type of its numbers. `uint8` takes pixels from 0 to 255.
    """

    sizes: tuple[int | None, int | None, int | None, int | None]
    dtype: np.dtype[np.generic]

    @property
    def channels_last(self) -> bool:
        """Whether the channels stand behind height and width."""
        return self.sizes[1] not in COLOURS and self.sizes[3] in COLOURS

    @property
    def shape(self) -> Shape:
        """Channels, height and width."""
        _, first, second, third = self.sizes
        return (third, first, second) if self.channels_last else (first, second, third)

    @property
    def levels(self) -> bool:
        """Whether it takes whole numbers from 0 to 255."""
        return self.dtype.kind == "u"

    def asking(self, run: Run) -> Ask:
        """A function of float32 images (B, C, H, W) from one of images as the model takes them.

        A batch that the model does not take is cut into those that it does; the last one is filled
        up with copies of an image, whose answers are dropped.
        """
        batch = self.sizes[0]

        def ask(inputs: NDArray[np.float32]) -> NDArray[np.generic]:
            arranged = self._arranged(inputs)
            if batch is None or batch == len(arranged):
                return run(arranged)
            parts = []
            for start in range(0, len(arranged), batch):
                part = arranged[start : start + batch]
                filling = np.repeat(part[-1:], batch - len(part), axis=0)
                answer = run(np.concatenate([part, filling]))
                if np.shape(answer)[:1] != (batch,):
                    raise SubjectError(
                        f"returns {np.shape(answer)} for {batch} images; one tensor (B, K) is "
                        "accepted"
                    )
                parts.append(answer[: len(part)])
            return np.concatenate(parts)

        return ask

    def _arranged(self, inputs: NDArray[np.float32]) -> NDArray[np.generic]:
        ordered = inputs.transpose(0, 2, 3, 1) if self.channels_last else inputs
        numbers = np.rint(ordered).clip(0, 255) if self.levels else ordered
        return np.ascontiguousarray(numbers, dtype=self.dtype)


def array_input(sizes: tuple[int | None, ...], dtype: str, where: str) -> ArrayInput:
    """The input of a model, from the sizes and the type of numbers that it declares.

    Args:
        sizes: Sizes; None where the model takes any.
        dtype: Name of the type in numpy.
        where: What declares it, for messages.

    Raises:
        SubjectError: If it is no batch of images.
    """
    if len(sizes) != IMAGES or dtype not in DTYPES or sizes[0] == 0:
        shown = " x ".join("any" if size is None else str(size) for size in sizes) or "no size"
        raise SubjectError(f"{where}: the input is {dtype} of {shown}; {ACCEPTED}")
    batch, first, second, third = sizes
    return ArrayInput(sizes=(batch, first, second, third), dtype=np.dtype(dtype))

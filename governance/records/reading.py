"""Reading: what a policy says of how an image file becomes the picture that everyone sees."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from governance.errors import PolicyError
from governance.records.toml_reader import Reader

__all__ = ["BACKGROUNDS", "FileReading", "Orientation", "Window", "read_reading"]

Orientation = Literal["upright", "as stored"]
Window = tuple[float, float] | Literal["file"]

#: Colours that a background may be named by.
BACKGROUNDS = {"black": "#000000", "grey": "#808080", "white": "#ffffff"}
COLOUR = re.compile("#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReading:
    """How an image file becomes a picture of 8 bits.

    Attributes:
        orientation: Use of the orientation tag that cameras write. `upright` turns the picture as
            its tag says, and `as stored` leaves it, as torchvision's `ImageFolder` does.
        background: Colour behind transparent pixels: `black`, `grey`, `white` or `#rrggbb`. Without
            it transparency is dropped, and the colour that is stored beneath it shows, as in
            Pillow's `convert`.
        window: Range of values that becomes black to white in grey images deeper than 8 bits, as
            two numbers, or `file` for the range that a DICOM file states. Without it such images
            are refused.
    """

    orientation: Orientation = "upright"
    background: str | None = None
    window: Window | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.background is not None and self.colour is None:
            problems.append(
                f"background: is {self.background!r}; {', '.join(BACKGROUNDS)} or six hexadecimal "
                "digits such as #ffffff are accepted"
            )
        if isinstance(self.window, tuple):
            low, high = self.window
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                problems.append(
                    f"window: is {list(self.window)}; two finite numbers, the value that becomes "
                    "black and a larger one that becomes white, are accepted"
                )
        if problems:
            raise PolicyError(problems)

    @property
    def colour(self) -> str | None:
        """The background in hexadecimal digits; None where there is none."""
        named = BACKGROUNDS.get(self.background or "", (self.background or "").lower())
        return named if COLOUR.fullmatch(named) else None

    def __str__(self) -> str:
        parts = [
            "turned upright" if self.orientation == "upright" else "as stored",
            f"transparency on {self.background}" if self.background else "transparency dropped",
        ]
        if self.window == "file":
            parts.append("window of the file")
        elif self.window is not None:
            parts.append(f"window from {self.window[0]:.15g} to {self.window[1]:.15g}")
        return ", ".join(parts)


def read_reading(validation: Reader) -> FileReading:
    """The keys on reading in the table `[validation]`."""
    return validation.part(FileReading, "orientation", "background", "window") or FileReading()

"""Windows: values deeper than 8 bits as black to white, by a range that someone declares.

A number has to be lost either way, and only a person who knows the camera can say which: so nothing
is stretched to the values that an image happens to hold. A window of 256 values or fewer keeps all
of them; a wider one is rounded to the nearest of 256.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["windowed"]

WHITE = 255


def windowed(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """Values between black at `low` and white at `high`, those outside cut off, 0 to 255.

    Args:
        values: Numbers of any kind.
        low: Value that becomes 0.
        high: Larger value that becomes 255.

    Raises:
        ValueError: If a value is no number.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if np.isnan(numbers).any():
        raise ValueError("holds values that are no numbers (NaN)")
    # Halves first, so that no difference of two finite numbers overflows.
    share = (numbers / 2 - low / 2) / (high / 2 - low / 2)
    return np.rint(np.clip(share, 0, 1) * WHITE).astype(np.uint8)

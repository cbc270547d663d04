"""Coarse maps: small explanation maps as records keep them, packed into texts and compared.

A coarse map is an explanation map pooled to a few cells, row by row, its cells not negative and
summing to one; all zero where the explainer found nothing. How far apart two maps are is asked by
rank, since explainers have no common scale, and by where the largest cells lie.
"""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from governance.errors import EvidenceError

__all__ = [
    "TOP",
    "mass_in",
    "pack",
    "rank_distance",
    "ranked",
    "top_cells",
    "top_distance",
    "unpack",
]

Maps = NDArray[np.float64]

#: Share of the cells that counts as the top of a map.
TOP = 0.1


def pack(values: NDArray[np.generic]) -> str:
    """The bytes of an array, little endian, in base64."""
    order = values.dtype.newbyteorder("<")
    return base64.b64encode(np.ascontiguousarray(values, dtype=order).tobytes()).decode()


def unpack(text: str, dtype: type[np.generic], size: int, where: str) -> NDArray[np.float64]:
    """The numbers that `pack` wrote, (size,).

    Raises:
        EvidenceError: If the text is no base64, or not of `size` finite numbers.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceError(f"{where}: is no base64: {error}") from error
    kind = np.dtype(dtype).newbyteorder("<")
    if len(content) != size * kind.itemsize:
        raise EvidenceError(
            f"{where}: holds {len(content)} bytes; {size} numbers of {kind.itemsize} bytes are "
            "accepted"
        )
    values = np.frombuffer(content, kind).astype(np.float64)
    if not np.isfinite(values).all():
        raise EvidenceError(f"{where}: holds NaN or infinity; finite numbers are accepted")
    return values


def ranked(maps: Maps) -> Maps:
    """Ranks of the cells of each map, centred and of length one; zero where all cells are equal.

    The inner product of two rows is Spearman's rank correlation, ties included.

    Args:
        maps: (N, cells).
    """
    ranks = stats.rankdata(maps, axis=1)
    centred = ranks - ranks.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    found: Maps = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    return found


def rank_distance(one: Maps, other: Maps) -> NDArray[np.float64]:
    """1 - rank correlation of each pair of rows of `ranked`, 0 to 2, (N,).

    Two maps without any order are 0 apart, one of them and a map with an order 1.
    """
    distance: NDArray[np.float64] = np.clip(1.0 - (one * other).sum(1), 0.0, 2.0)
    distance[~one.any(1) & ~other.any(1)] = 0.0
    return distance


def top_cells(maps: Maps) -> NDArray[np.bool_]:
    """The largest tenth of the cells of each map, at least one; of equals the earlier."""
    count = max(1, round(TOP * maps.shape[1]))
    order = np.argsort(-maps, axis=1, kind="stable")
    top = np.zeros(maps.shape, dtype=bool)
    np.put_along_axis(top, order[:, :count], values=True, axis=1)
    return top


def top_distance(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 - Jaccard index of the top cells of each pair of maps, (N,)."""
    shared: NDArray[np.float64] = (one & other).sum(1) / np.maximum(1, (one | other).sum(1))
    return 1.0 - shared


def mass_in(maps: Maps, box: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """The share of each map that lies in a part of the image, (N,).

    Args:
        maps: (N, cells) of square grids.
        box: Top, left, bottom and right as fractions; cells on its border count by their share.
    """
    grid = round(maps.shape[1] ** 0.5)
    edges = np.arange(grid + 1) / grid
    top, left, bottom, right = box
    rows = np.clip(np.minimum(edges[1:], bottom) - np.maximum(edges[:-1], top), 0, None) * grid
    columns = np.clip(np.minimum(edges[1:], right) - np.maximum(edges[:-1], left), 0, None) * grid
    share: NDArray[np.float64] = maps @ np.outer(rows, columns).ravel()
    return share

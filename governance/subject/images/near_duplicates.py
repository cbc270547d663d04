"""Near duplicates: pictures that show the same thing after recompression, rescaling or brightening.

Each picture is shrunk to a thumbnail, standardised, and the set's mean thumbnail subtracted, so
that what all pictures share (a fixed camera's background, the black border of digits) counts for
nothing. Two are near duplicates if a 63-bit perceptual hash of what is left differs in at most
`DISTANCE` bits and the thumbnails correlate. The hash finds candidates without comparing all pairs:
with at most 7 bits changed, one of its 8 bytes is unchanged.

Source:
    Perceptual hash of low cosine frequencies: Zauner 2010, "Implementation and benchmarking of
    perceptual image hash functions".
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, sparse
from scipy.sparse import csgraph

__all__ = ["DISTANCE", "SIDE", "groups", "perceptual_hashes", "thumbnail"]

SIDE = 32
DISTANCE = 7
FREQUENCIES = 8
BYTES = 8
# Below this many pictures the mean holds too much of each single one to be subtracted.
ENOUGH = 30
# Grey levels: a thumbnail that varies less shows nothing that could be compared.
FLAT = 1.0
CHUNK = 512


def thumbnail(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture (H, W) at `SIDE` x `SIDE`, whatever its aspect ratio."""
    small = Image.fromarray(luma).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small)


def perceptual_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """One bit per low cosine frequency: above or not above the median of the picture's own.

    Args:
        thumbnails: (N, SIDE, SIDE). Hashes are relative to the set's mean thumbnail.

    Returns:
        (N,) of which the lowest bit is always 0.
    """
    mean = _mean(thumbnails)
    hashes = np.zeros(len(thumbnails), dtype=np.uint64)
    for start in range(0, len(thumbnails), CHUNK):
        part = _standardised(thumbnails[start : start + CHUNK]) - mean
        waves = fft.dctn(part.reshape(-1, SIDE, SIDE), axes=(1, 2), norm="ortho")
        # The first is the mean brightness, which standardising took away.
        low = waves[:, :FREQUENCIES, :FREQUENCIES].reshape(len(part), -1)[:, 1:]
        bits = low > np.median(low, axis=1, keepdims=True)
        packed = np.packbits(bits, axis=1)
        hashes[start : start + CHUNK] = packed.view(">u8")[:, 0]
    return hashes


def groups(
    thumbnails: NDArray[np.uint8], hashes: NDArray[np.uint64], similarity: float
) -> NDArray[np.int64]:
    """Number of the group that each picture is in, where near duplicates share a group.

    Groups are chains: if A resembles B and B resembles C, the three are one group. Memory grows
    with N, not with the number of pairs; time grows with the pairs that share a byte of the hash.

    Args:
        thumbnails: (N, SIDE, SIDE).
        hashes: (N,) their perceptual hashes.
        similarity: Smallest correlation of two thumbnails less the mean thumbnail.

    Returns:
        (N,) numbers from 0, in order of first appearance; a picture like no other is alone.
    """
    mean = _mean(thumbnails)
    group = np.arange(len(thumbnails))
    spread = np.array([item.std() for item in thumbnails])
    apt = np.flatnonzero(spread >= FLAT)
    for first, second in _candidates(hashes[apt]):
        one, two = apt[first], apt[second]
        open_ = group[one] != group[two]  # known to be one group: nothing to find out
        one, two = one[open_], two[open_]
        alike = _correlation(thumbnails, mean, one, two) >= similarity
        if alike.any():
            group = _joined(group, one[alike], two[alike])
    _, first_seen, numbers = np.unique(group, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first_seen))
    return np.asarray(rank[numbers], dtype=np.int64)


def _candidates(
    hashes: NDArray[np.uint64],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of indices whose hashes differ in at most `DISTANCE` bits, each pair once."""
    parts = hashes.view(np.uint8).reshape(-1, BYTES)
    for byte in range(BYTES):
        order = np.argsort(parts[:, byte], kind="stable")
        keys = parts[order, byte]
        left = np.arange(len(order))
        offset = 0
        while True:
            offset += 1
            left = left[left + offset < len(order)]
            # Sorted: once a neighbour at this offset differs, all further ones do.
            left = left[keys[left] == keys[left + offset]]
            if not len(left):
                break
            one, two = order[left], order[left + offset]
            near = np.bitwise_count(hashes[one] ^ hashes[two]) <= DISTANCE
            one, two = one[near], two[near]
            seen = (parts[one, :byte] == parts[two, :byte]).any(1)
            yield one[~seen], two[~seen]


def _correlation(
    thumbnails: NDArray[np.uint8],
    mean: NDArray[np.float64],
    one: NDArray[np.int64],
    two: NDArray[np.int64],
) -> NDArray[np.float64]:
    correlations = np.zeros(len(one))
    for start in range(0, len(one), CHUNK):
        part = slice(start, start + CHUNK)
        a = _standardised(thumbnails[one[part]]) - mean
        b = _standardised(thumbnails[two[part]]) - mean
        size = np.sqrt((a * a).sum(1) * (b * b).sum(1))
        correlations[part] = np.divide((a * b).sum(1), size, out=np.zeros(len(a)), where=size > 0)
    return correlations


def _standardised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    flat -= flat.mean(1, keepdims=True)
    spread = flat.std(1, keepdims=True)
    np.divide(flat, spread, out=flat, where=spread > 0)
    return flat


def _mean(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    total = np.zeros(SIDE * SIDE)
    if len(thumbnails) < ENOUGH:
        return total
    for start in range(0, len(thumbnails), CHUNK):
        total += _standardised(thumbnails[start : start + CHUNK]).sum(0)
    return np.asarray(total / len(thumbnails))


def _joined(
    group: NDArray[np.int64], one: NDArray[np.int64], two: NDArray[np.int64]
) -> NDArray[np.int64]:
    n = len(group)
    links = sparse.coo_array((np.ones(len(one)), (group[one], group[two])), shape=(n, n))
    _, joined = csgraph.connected_components(links, directed=False)
    return np.asarray(joined[group], dtype=np.int64)

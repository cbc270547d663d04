"""What a method finds, cut to a sufficient region and measured alike for all."""

import base64
import zlib
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.explanations.cases import BATCH, Case
from governance.methods.evolved.subsets import KEPT_SHARE
from governance.methods.masking import curve

__all__ = ["Found", "measured", "null_class", "packed", "unpacked"]

Heat = NDArray[np.floating[Any]]
Region = NDArray[np.bool_]
STEPS = 16  # of an insertion or deletion curve
LEVELS = 50  # beginnings tried of a map without units
CERTAIN = 0.5  # probability from which a wrong class counts as explained


class Found(NamedTuple):
    """What a method says of an image.

    Attributes:
        heat: (H, W), more is more important.
        units: (H, W) regions that belong together; None for single pixels.
        region: (H, W) the region itself, of a method that gives one.
        measure: Whether insertion and deletion are measured.
        null: Whether this is for the wrong class.
        passes: Evaluations behind it where it was not timed by itself.
    """

    heat: Heat
    units: NDArray[np.integer[Any]] | None = None
    region: Region | None = None
    measure: bool = True
    null: bool = False
    passes: int | None = None


def beginnings(heat: Heat, units: NDArray[np.integer[Any]] | None) -> NDArray[np.int64]:
    """The place at which each pixel enters, (H, W), hottest first, 0 onwards."""
    if units is None:
        shuffle = np.random.default_rng(0).permutation(heat.size)
        order = shuffle[np.argsort(-heat.ravel()[shuffle], kind="stable")]
        rank = np.empty(heat.size, dtype=np.int64)
        rank[order] = np.arange(heat.size)
        return (rank * LEVELS // heat.size).reshape(heat.shape)
    names, flat = np.unique(units, return_inverse=True)
    mean = np.bincount(flat.ravel(), weights=heat.ravel()) / np.bincount(flat.ravel())
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.argsort(-mean, kind="stable")] = np.arange(len(names))
    return rank[flat].reshape(heat.shape)


def shown(case: Case, regions: Tensor, baseline: str) -> NDArray[np.float32]:
    """Probabilities (B, K) with only each region (B, H, W) left."""
    pixels = torch.where(regions[:, None], case.pixels, case.baselines[baseline])
    return np.concatenate([case.predict(part).numpy() for part in pixels.split(BATCH)])


def sufficient(case: Case, found: Found) -> Region | None:
    """The region, or the shortest beginning of the ranking, that keeps label and probability."""

    def holds(p: NDArray[np.float32]) -> Region:
        return (p.argmax(1) == case.target) & (p[:, case.target] >= KEPT_SHARE * case.p_full)

    if found.region is not None:
        return found.region if holds(shown(case, _stack(found.region), "blur"))[0] else None
    place = torch.from_numpy(beginnings(found.heat, found.units))
    for first in range(1, int(place.max()) + 2, BATCH):
        lengths = torch.arange(first, min(first + BATCH, int(place.max()) + 2))
        regions = place < lengths.view(-1, 1, 1)
        good = holds(shown(case, regions, "blur"))
        if good.any():
            return regions[int(good.argmax())].numpy()
    return None


def _stack(region: Region) -> Tensor:
    return torch.from_numpy(region)[None]


def measured(case: Case, found: Found) -> dict[str, Any]:
    """Area, transfer, insertion and deletion; the area of an image that is not explained is 1."""
    region = sufficient(case, found)
    row: dict[str, Any] = {"sufficient": region is not None, "area": 1.0}
    if region is not None:
        row |= {"area": float(region.mean()), "region": packed(region)}
        for name in ("mean", "noise"):
            p = shown(case, _stack(region), name)[0]
            row[f"transfer_{name}"] = float(p[case.target]) / case.p_full
            row[f"label_{name}"] = bool(p.argmax() == case.target)
    kinds: tuple[Literal["insertion", "deletion"], ...] = ("insertion", "deletion")
    if found.measure:
        for kind in kinds:
            for name in ("blur", "mean"):
                row[f"{kind}_{name}"] = curve(
                    case.predict, case.pixels, case.baselines[name], found.heat, case.target,
                    kind=kind, steps=STEPS, batch_size=BATCH,
                ).auc  # fmt: skip
    return row


def null_class(case: Case, found: Found) -> dict[str, Any]:
    """Whether what was found for a wrong class shows it, under blur and under a second baseline."""
    if found.region is not None:
        region = found.region
    else:
        place = torch.from_numpy(beginnings(found.heat, found.units))
        regions = place < torch.arange(1, int(place.max()) + 2).view(-1, 1, 1)
        region = regions[int(shown(case, regions, "blur")[:, case.wrong].argmax())].numpy()
    p = [float(shown(case, _stack(region), name)[0, case.wrong]) for name in ("blur", "mean")]
    return {
        "null": p, "null_raised": p[0] > CERTAIN,
        "null_survives": p[0] > CERTAIN and p[1] > CERTAIN,
    }  # fmt: skip


def packed(region: Region) -> dict[str, Any]:
    """A region as text."""
    bits = zlib.compress(np.packbits(region).tobytes(), 9)
    return {"shape": list(region.shape), "bits": base64.b64encode(bits).decode("ascii")}


def unpacked(record: dict[str, Any]) -> Region:
    """What `packed` wrote."""
    data = np.frombuffer(zlib.decompress(base64.b64decode(record["bits"])), dtype=np.uint8)
    height, width = record["shape"]
    return np.unpackbits(data, count=height * width).reshape(height, width).astype(np.bool_)

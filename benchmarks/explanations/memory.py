"""Peak memory of a search beside that of the model's forward pass alone."""

import multiprocessing
import resource
from pathlib import Path

import torch

from benchmarks.explanations.cases import BATCH, MODELS, Counted
from governance.methods.evolved import evolve

__all__ = ["peaks"]


def peaks(data: Path) -> dict[str, float]:
    """MB resident at most, of a process that runs forward passes and of one that searches."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        return {name: pool.apply(_peak, (data, name)) for name in ("forward", "evolve")}


def _peak(data: Path, name: str) -> float:
    torch.set_num_threads(1)
    model = MODELS["lite0"](data)
    predict = Counted(model.network)
    _, pixels = next(model.images())
    if name == "forward":
        for _ in range(10):
            predict(pixels.repeat(BATCH, 1, 1, 1))
    else:
        evolve(predict, pixels, batch_size=BATCH)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

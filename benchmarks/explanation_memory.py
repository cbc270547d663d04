"""Memory of the evolved explanations above the model's own forward pass at the same batch.

Usage: `python benchmarks/explanation_memory.py [--budget 520]`. Peak resident memory of this
process after each search of a 224 x 224 photo, less the peak after one batch through the model: a
small network, so that nothing of the search hides behind it. Each search in its own process.
"""

import argparse
import multiprocessing
import resource

import torch
from torch import nn

from governance.methods.evolved import evolve, evolve_map

BATCH = 16
SEARCHES = {"evolve": evolve, "evolve_map": evolve_map}


def peak() -> float:
    """Peak resident memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def above(name: str, budget: int) -> float:
    """MB that a search takes above one batch through the model."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 28 * 28, 1000)
    )

    @torch.no_grad()
    def predict(images: torch.Tensor) -> torch.Tensor:
        return model(images).softmax(1)

    image = torch.rand(3, 224, 224)
    predict(image.repeat(BATCH, 1, 1, 1))
    before = peak()
    SEARCHES[name](predict, image, budget=budget, baseline="black", batch_size=BATCH)
    return peak() - before


def main() -> None:
    """Print one line a search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=520)
    budget = parser.parse_args().budget
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name in SEARCHES:
            print(f"{name}: {pool.apply(above, (name, budget)):.0f} MB, batch {BATCH}")


if __name__ == "__main__":
    main()

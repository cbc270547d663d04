"""The CIFAR-10 residual networks and test images that the benchmarks of the interpreter run on."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Residual", "images_of", "network_of"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Two convolutions beside a shortcut without parameters."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.relu2 = nn.ReLU()
        self.stride, self.room = stride, (outer - inner) // 2

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride],
                               (0, 0, 0, 0, self.room, self.room))  # fmt: skip
        return self.relu2(inner + x)


class Residual(nn.Module):
    """The residual network for 32 x 32 images of the given depth."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(16), nn.ReLU()
        widths, blocks = (16, 16, 32, 64), (depth - 2) // 6
        for stage in (1, 2, 3):
            parts = [
                Block(widths[stage - (k == 0)], widths[stage], 2 if k == 0 and stage > 1 else 1)
                for k in range(blocks)
            ]
            setattr(self, f"layer{stage}", nn.Sequential(*parts))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (B, 10)."""
        x = self.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def network_of(folder: Path, depth: int) -> nn.Module:
    """ResNet-20 or -32 with its trained weights."""
    weights = np.load(folder / f"cifar10_resnet{depth}.npz")
    model = Residual(depth)
    state = {name: torch.from_numpy(weights[name]) for name in weights.files}
    missing = model.load_state_dict(state, strict=False)
    unknown = [name for name in missing.missing_keys if "num_batches" not in name]
    if unknown or missing.unexpected_keys:
        raise SystemExit(f"weights do not fit: {unknown} {missing.unexpected_keys}")
    return model.eval()


def images_of(folder: Path, count: int) -> tuple[Tensor, NDArray[np.int64]]:
    """The first test images as the networks take them, and their classes."""
    data = np.load(folder / "cifar10_test_1500.npz")
    pixels = torch.from_numpy(data["images"][:count]).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (MEAN, STD))
    return (pixels - mean) / std, data["labels"][:count].astype(np.int64)

"""A piecewise linear network whose rules are known by hand, and images for it.

The answer is `far` where red and green differ by more than 0.4 on average, either way, else `near`;
`never` is never answered. In the features behind the stem one rule of two boundaries holds all of
`near`, and `far` needs two rules: no hyperplane has it on one side.
"""

import numpy as np
import torch
from torch import nn

NAMES = ("near", "far", "never")


class Bent(nn.Module):
    """Two 1x1 convolutions, pooling and a linear head: linear behind the second convolution."""

    def __init__(self, sure: float = 1.0, threshold: float = 0.4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 1, bias=False)
        self.bend = nn.Conv2d(2, 2, 1, bias=False)
        self.head = nn.Linear(2, 3)
        with torch.no_grad():
            self.stem.weight.copy_(torch.eye(2, 3).view(2, 3, 1, 1))
            self.bend.weight.copy_(torch.tensor([[1.0, -1], [-1, 1]]).view(2, 2, 1, 1))
            self.head.weight.copy_(torch.tensor([[0.0, 0], [1, 1], [0, 0]]) * sure)
            self.head.bias.copy_(torch.tensor([threshold, 0, -100]) * sure)
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bend(torch.relu(self.stem(x))))
        return self.head(x.mean((2, 3)))


def coloured(per_side: int = 45, seed: int = 0, size: int = 8):
    """Images (N, size, size, 3) uint8 of gaps from -0.8 to 0.8, and what `Bent` answers to them.

    Both signs of a gap are as frequent; half of the images are `near`.
    """
    rng = np.random.default_rng(seed)
    gaps = np.concatenate(
        [rng.uniform(low, low + 0.3, per_side) for low in (-0.8, -0.35, 0.05, 0.5)]
    )
    rng.shuffle(gaps)
    shade = rng.uniform(-0.08, 0.08, len(gaps))[:, None, None] + 0.5
    noise = rng.uniform(-0.02, 0.02, (len(gaps), size, size, 3))
    images = np.stack([shade + gaps[:, None, None] / 2, shade - gaps[:, None, None] / 2], -1)
    images = np.concatenate([np.broadcast_to(images, (*noise.shape[:3], 2)), noise[..., :1]], -1)
    pixels = np.clip((images + noise) * 255, 0, 255).astype(np.uint8)
    return pixels, (np.abs(gaps) > 0.4).astype(np.int64)


def inputs(pixels: np.ndarray) -> torch.Tensor:
    """The images as `Bent` takes them: (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()

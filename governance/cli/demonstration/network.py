"""Network: the demo's classifier of 28 x 28 grey images, and its training."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from governance.cli.demonstration.digits import Images, Labels
from governance.cli.demonstration.orders import Weights

__all__ = ["DigitNet", "inputs", "new", "train", "weights"]

MEAN, STD = 0.1307, 0.3081

#: Shown the model after each epoch, counted from 0.
AfterEpoch = Callable[[nn.Module, int], None]


class DigitNet(nn.Module):
    """A residual network of three blocks, about 32,000 weights, for 28 x 28 grey images."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.block1 = ResidualBlock(width, width, stride=2)
        self.block2 = ResidualBlock(width, 2 * width, stride=2)
        self.block3 = ResidualBlock(2 * width, 3 * width, stride=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(3 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 10) of normalised images (B, 1, 28, 28)."""
        x = self.block3(self.block2(self.block1(self.stem(x))))
        logits: torch.Tensor = self.head(self.pool(x).flatten(1))
        return logits


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inside: int, outside: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False)
        self.relu2 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of half the size where the stride is 2."""
        inner = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        outer: torch.Tensor = self.relu2(inner + self.shortcut(x))
        return outer


def new(found: Weights | None = None, *, seed: int = 0) -> DigitNet:
    """A network with first weights drawn by a seed, or with those of another."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # torch's initialisers know only the global generator
        model = DigitNet()
    if found is not None:
        model.load_state_dict({name: torch.from_numpy(item) for name, item in found.items()})
    return model


def weights(model: nn.Module) -> Weights:
    """Every tensor of a model, as `new` takes them."""
    return {name: item.numpy() for name, item in model.state_dict().items()}


def train(
    model: nn.Module,
    images: Images,
    labels: Labels,
    epochs: int,
    rate: float,
    *,
    seed: int,
    batch: int = 100,
    watch: AfterEpoch = lambda _model, _epoch: None,
) -> nn.Module:
    """Train `model` in place with AdamW and a one-cycle rate; returns it in evaluation mode."""
    pixels = inputs(images)
    truth = torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    steps = epochs * -(-len(truth) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    model.train()
    for epoch in range(epochs):
        for chosen in torch.split(torch.randperm(len(truth), generator=generator), batch):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(pixels[chosen]), truth[chosen])
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        watch(model, epoch)
    return model.eval()


def inputs(images: Images) -> torch.Tensor:
    """Normalised images (N, 1, 28, 28), as the model takes them."""
    return ((torch.from_numpy(images.astype(np.float32)) / 255 - MEAN) / STD).unsqueeze(1)

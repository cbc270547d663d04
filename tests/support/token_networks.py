"""Tiny networks without convolutions but for their patch embedding, with seeded weights."""

import torch
from torch import nn

__all__ = ["Gated", "Mixer", "TorchEncoder", "Transformer", "Windows", "trained_on"]


class Block(nn.Module):
    """Attention of one head and an MLP, each behind a normalisation and beside a skip."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed = nn.Linear(width, 3 * width)
        self.fc1, self.act, self.fc2 = nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)

    def forward(self, x):
        q, k, v = self.mixed(self.norm1(x)).chunk(3, dim=-1)
        x = x + (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))


class Transformer(nn.Module):
    """A vision transformer with a class token in front, which alone the head reads."""

    def __init__(self, channels=1, side=16, patch=4, width=12, hidden=20, classes=3, depth=2):
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, 1 + (side // patch) ** 2, width) / 2)
        self.blocks = nn.Sequential(*(self.block(width, hidden) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def block(self, width, hidden):
        return Block(width, hidden)

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.places
        return self.head(self.norm(self.blocks(tokens))[:, 0])


class GatedBlock(Block):
    """A block whose hidden units are products of two linear layers, as in SwiGLU."""

    def __init__(self, width, hidden):
        super().__init__(width, hidden)
        self.gate = nn.Linear(width, hidden)

    def forward(self, x):
        q, k, v = self.mixed(self.norm1(x)).chunk(3, dim=-1)
        x = x + (q @ k.transpose(1, 2)).softmax(-1) @ v
        y = self.norm2(x)
        return x + self.fc2(self.fc1(y) * (self.gate(y) + 1))


class Gated(Transformer):
    """A transformer in which no activation follows a linear layer."""

    def block(self, width, hidden):
        return GatedBlock(width, hidden)


class MixerBlock(nn.Module):
    """An MLP over the tokens of each channel, then one over the channels of each token."""

    def __init__(self, tokens, width, hidden):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.over = nn.Sequential(nn.Linear(tokens, 10), nn.GELU(), nn.Linear(10, tokens))
        self.fc1, self.act, self.fc2 = nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)

    def forward(self, x):
        x = x + self.over(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))


class Mixer(nn.Module):
    """A mixer without a class token; the head reads the mean of all tokens."""

    def __init__(self, channels=1, side=16, patch=4, width=12, hidden=20, classes=3):
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)
        blocks = (MixerBlock((side // patch) ** 2, width, hidden) for _ in range(2))
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.blocks(self.embed(x).flatten(2).transpose(1, 2)).mean(1))


class WindowBlock(nn.Module):
    """Attention inside windows of two by two places, then an MLP; the channels are last."""

    def __init__(self, width, hidden):
        super().__init__()
        self.norm, self.mixed = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.fc1, self.act, self.fc2 = nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)

    def forward(self, x):
        b, h, w, c = x.shape
        windows = self.norm(x).reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5)
        q, k, v = self.mixed(windows.reshape(-1, 4, c)).chunk(3, dim=-1)
        mixed = ((q @ k.transpose(1, 2)).softmax(-1) @ v).reshape(b, h // 2, w // 2, 2, 2, c)
        x = x + mixed.permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
        return x + self.fc2(self.act(self.fc1(x)))


class Windows(nn.Module):
    """Maps with the channels last and attention in windows, merged two by two, as in Swin."""

    def __init__(self, channels=1, width=8, hidden=20, classes=3):
        super().__init__()
        self.embed = nn.Conv2d(channels, width, 2, 2)
        self.one, self.two = WindowBlock(width, hidden), WindowBlock(2 * width, hidden)
        self.merge, self.head = nn.Linear(4 * width, 2 * width), nn.Linear(2 * width, classes)

    def forward(self, x):
        x = self.one(self.embed(x).permute(0, 2, 3, 1))
        b, h, w, c = x.shape
        x = x.reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)
        return self.head(self.two(self.merge(x)).mean((1, 2)))


class TorchEncoder(nn.Module):
    """A transformer out of torch's own encoder, which no tracer looks into."""

    def __init__(self, channels=1, patch=4, width=12, hidden=20, classes=3):
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)
        layer = nn.TransformerEncoderLayer(width, 2, hidden, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x).flatten(2).transpose(1, 2)).mean(1))


def trained_on(kind, inputs, labels, steps=40, **options):
    """A network that has learnt images (N, C, H, W), from a seed of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(**options)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return model.eval()

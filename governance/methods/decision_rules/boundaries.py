"""Boundaries: linear pieces of a network's decision boundary behind a cut, found by bisection.

Behind the cut a network with piecewise linear activations is piecewise linear, and what separates
two classes is made of hyperplanes. One of them is found on the way from an image's features to
those of an image of another class: where the answer changes, the gradient of the lead of the first
class over the second is its normal.

Source:
    Lam et al. 2021, "Finding representative interpretations on convolutional neural networks"; of
    the sampling, its published description was read.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Boundaries", "Suffix", "boundary_digest", "is_linear", "sample"]

#: From features (B, C, H, W) to logits (B, K): the network behind the cut.
Suffix = Callable[[Tensor], Tensor]

STEPS = 8  # halvings of the way between two images; the tie of the tangent there is the boundary
LEVELS = 127  # a normal's numbers are whole, -127 to 127, so that what is kept is what was measured
BATCH = 64
LINEAR = 1e-4  # largest bend of a suffix, as a share of its range, that rounding explains


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boundaries:
    """Hyperplanes in the space of features, turned so that one image is on the positive side.

    Attributes:
        normals: (Q, D) whole numbers from -127 to 127.
        scales: (Q,) what a step of the normal's numbers is worth, in logits per unit of a feature.
        offsets: (Q,) the value at the origin, in logits.
        opposing: (Q,) the class on the other side.
    """

    normals: Tensor
    scales: Tensor
    offsets: Tensor
    opposing: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.opposing)

    def values(self, features: Tensor) -> Tensor:
        """Signed height over each boundary in logits, (N, Q), for features (N, ...)."""
        return (features.flatten(1) @ self.normals.T) * self.scales + self.offsets

    def inside(self, features: Tensor) -> NDArray[np.bool_]:
        """Which of (N, ...) features are on the positive side of each boundary, (N, Q)."""
        parts = [self.values(part) >= 0 for part in torch.split(features, BATCH * 16)]
        return torch.cat(parts).cpu().numpy()

    def chosen(self, places: list[int]) -> "Boundaries":
        """Some of the boundaries, in the order of `places`."""
        return Boundaries(
            normals=self.normals[places],
            scales=self.scales[places],
            offsets=self.offsets[places],
            opposing=self.opposing[places],
        )


def sample(suffix: Suffix, own: Tensor, others: Tensor, label: int) -> Boundaries:
    """Boundaries around an image, one for each image of another class.

    All ways are halved together: a forward pass of the suffix moves every one of them.

    Args:
        suffix: The network behind the cut.
        own: (C, H, W) features of the image, which is answered with `label`.
        others: (Q, C, H, W) features of images that are answered otherwise.
        label: The class whose region is bounded.
    """
    pivots = _bisect(suffix, own, others, label)
    normals, scales, offsets, opposing = [], [], [], []
    for part in torch.split(pivots, BATCH):
        slope, lead, against = _slope(suffix, part, label)
        scale = slope.abs().amax(1) / LEVELS
        whole = (slope / torch.where(scale > 0, scale, 1.0)[:, None]).round()
        # The plane with rounded normal goes through the same pivot.
        offsets.append(lead - (whole * part.flatten(1)).sum(1) * scale)
        normals.append(whole)
        scales.append(scale)
        opposing.append(against)
    found = Boundaries(
        normals=torch.cat(normals),
        scales=torch.cat(scales),
        offsets=torch.cat(offsets),
        opposing=torch.cat(opposing).cpu().numpy(),
    )
    turn = torch.where(found.values(own[None])[0] >= 0, 1.0, -1.0).to(found.offsets)
    return Boundaries(
        normals=found.normals * turn[:, None],
        scales=found.scales,
        offsets=found.offsets * turn,
        opposing=found.opposing,
    )


@torch.no_grad()
def is_linear(suffix: Suffix, features: Tensor) -> bool:
    """Whether the differences of logits are linear between the features of these images.

    Where they are, the boundaries are one hyperplane for each pair of classes, and all images
    answered with a class share one region: the class itself.

    Args:
        suffix: The network behind the cut.
        features: (N, C, H, W), at least two; the first half is paired with the second.
    """
    half = len(features) // 2
    one, two = features[:half], features[half : 2 * half]
    ends = (_centred(suffix(one)) + _centred(suffix(two))) / 2
    middle = _centred(suffix((one + two) / 2))
    scale = max(float(_centred(suffix(features)).abs().max()), torch.finfo(ends.dtype).tiny)
    return float((middle - ends).abs().max()) < LINEAR * scale


def _centred(logits: Tensor) -> Tensor:
    # Only differences of logits decide: what they share may bend as it likes (as in a log-softmax).
    return logits - logits.mean(1, keepdim=True)


@torch.no_grad()
def _bisect(suffix: Suffix, own: Tensor, others: Tensor, label: int) -> Tensor:
    low = torch.zeros(len(others), 1, 1, 1, dtype=own.dtype, device=own.device)
    high = torch.ones_like(low)
    way = others - own
    for _ in range(STEPS):
        middle = (low + high) / 2
        reached = torch.split(own + way * middle, BATCH)
        named = torch.cat([suffix(part) for part in reached]).argmax(1)
        mine = (named == label).view(-1, 1, 1, 1)
        low, high = torch.where(mine, middle, low), torch.where(mine, high, middle)
    return own + way * low


def _slope(suffix: Suffix, pivots: Tensor, label: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient (B, D) of the lead over the next class, the lead (B,), and that class (B,)."""
    with torch.enable_grad():
        at = pivots.detach().requires_grad_()
        logits = suffix(at)
        rivals = logits.detach().clone()
        rivals[:, label] = -torch.inf
        against = rivals.argmax(1)
        lead = logits[:, label] - logits.gather(1, against[:, None])[:, 0]
        (slope,) = torch.autograd.grad(lead.sum(), at)
    return slope.flatten(1), lead.detach(), against


def boundary_digest(bounds: Boundaries) -> str:
    """Sha256 of the numbers of boundaries, to be kept beside them."""
    digest = hashlib.sha256(bounds.normals.to(torch.int8).cpu().numpy().tobytes())
    for numbers in (bounds.scales, bounds.offsets):
        digest.update(numbers.detach().cpu().to(torch.float32).numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"

"""Randomisation: does an explanation notice when the model forgets what it learnt?

The weights of a model are shuffled among themselves, layer after layer from the output down, and
its images are explained again. Maps that stay as they were describe the images, or the explainer,
and not the model. After Adebayo et al. 2018 (Sanity checks for saliency maps), who draw weights
anew; shuffling keeps their scale, so that activations neither vanish nor explode.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from governance.methods.faithfulness.controls import Explainer, Maps, check_maps, random_maps
from governance.methods.statistics import intervals
from governance.records.evidence import Interval

__all__ = ["Cascade", "Depth", "alike", "cascade", "layers", "shuffled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Maps of a model whose upper layers are shuffled, against those of the model itself.

    Attributes:
        layers: How many layers are shuffled, counted from the output.
        last: Name of the lowest of them.
        values: Rank correlation of both maps of each image; 0 where one of them is constant.
        interval: Student's t interval of the mean over images.
    """

    layers: int
    last: str
    values: tuple[float, ...]
    interval: Interval | None

    @property
    def value(self) -> float:
        """Mean over the images."""
        return float(np.mean(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """How maps change while a model forgets.

    Attributes:
        depths: From the uppermost layer alone to all layers; empty where there is no weight.
        again: Rank correlation of the maps of each image under two seeds, weights untouched: what
            `depths` would be if only chance changed the maps.
        random: Rank correlation of each map with a random one.
    """

    depths: tuple[Depth, ...]
    again: tuple[float, ...]
    random: tuple[float, ...]

    @property
    def forgetting(self) -> tuple[float, ...]:
        """Half the likeness to a second run less that without weights, of each image.

        Held against a second run, not against a fixed number: maps that no two runs agree on
        change with the weights too, and that says nothing. Empty where there is no weight.
        """
        if not self.depths:
            return ()
        pairs = zip(self.again, self.depths[-1].values, strict=True)
        return tuple(again / 2 - forgotten for again, forgotten in pairs)


def alike(one: Maps, two: Maps) -> tuple[float, ...]:
    """Spearman's rank correlation of maps (N, H, W), pair by pair; 0 where one is constant."""
    return tuple(_rank_correlation(a.ravel(), b.ravel()) for a, b in zip(one, two, strict=True))


def _rank_correlation(one: Maps, two: Maps) -> float:
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0
    return float(np.corrcoef(stats.rankdata(one), stats.rankdata(two))[0, 1])


def layers(model: nn.Module) -> list[str]:
    """Modules that hold weights of their own, from the output down, by name.

    Order is that of registration, which is that of the forward pass in common networks.
    """
    owners = [name.rpartition(".")[0] for name, _ in model.named_parameters()]
    return list(dict.fromkeys(owners))[::-1]


@contextmanager
def shuffled(model: nn.Module, names: Sequence[str], seed: int) -> Iterator[None]:
    """A model whose weights in some layers are permuted within each tensor; put back bit by bit.

    Buffers, such as running statistics, stay as they are.
    """
    owned = {
        name: item for name, item in model.named_parameters() if name.rpartition(".")[0] in names
    }
    kept = {name: item.detach().clone() for name, item in owned.items()}
    try:
        with torch.no_grad():
            for name, item in owned.items():
                # Each tensor from its own stream: alike at every depth of a cascade.
                rng = np.random.default_rng([seed, *name.encode()])
                order = torch.from_numpy(rng.permutation(item.numel())).to(item.device)
                item.copy_(kept[name].flatten()[order].view(item.shape))
        yield
    finally:
        with torch.no_grad():
            for name, item in owned.items():
                item.copy_(kept[name])


def cascade(
    explain: Explainer,
    model: nn.Module,
    images: Tensor,
    targets: Sequence[int],
    maps: Maps,
    again: Maps,
    *,
    stages: int | None = None,
    seed: int = 0,
) -> Cascade:
    """Explain images while the layers of the model that `explain` asks are shuffled, top down.

    Args:
        explain: Maps images, targets and a seed to heat; asks `model`, which is changed in place.
        model: Left as it was, to the bit.
        images: (N, C, H, W).
        targets: Class explained of each image, whatever the model predicts then.
        maps: (N, H, W) as `explain` gave them with `seed`.
        again: (N, H, W) as `explain` gave them with another seed.
        stages: Depths tried, evenly spaced, all layers among them; None for every layer.
        seed: Seed of the explainer and of the shuffling.
    """
    names = layers(model)
    count = len(names) if stages is None else min(stages, len(names))
    # Evenly spaced, and the last one always all of them.
    reached_at = sorted({round(reach) for reach in np.linspace(len(names), 1, count)})
    depths = []
    for reached in reached_at:
        with shuffled(model, names[:reached], seed):
            found = check_maps(explain(images, targets, seed), images)
        values = alike(maps, found)
        depths.append(
            Depth(
                layers=reached,
                last=names[reached - 1],
                values=values,
                interval=intervals.mean(values, lowest=-1, highest=1),
            )
        )
    noise = random_maps(maps.shape, seed)
    return Cascade(depths=tuple(depths), again=alike(maps, again), random=alike(maps, noise))

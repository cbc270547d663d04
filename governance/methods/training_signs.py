"""Learning: what a network shows of its inner state from one epoch of training to the next.

The cheap tier of the analyses, small enough to be taken after every epoch: what the last stage
says of each class and what could be read from it, how unevenly the first-order screen spreads over
the filters, which classes lean on a single one, which filters are dead and which redundant.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import AnalysisError
from governance.methods.filter_ablation.survey import (
    Outputs,
    Survey,
    channel_correlations,
    survey_filters,
)
from governance.methods.lens_and_probe import read
from governance.methods.network import TracedNetwork
from governance.methods.statistics.proportions import by_class

__all__ = ["MOST_CLASSES", "PER_CLASS", "SIGNS", "names", "signs"]

#: Signs of the whole network, and what they mean.
SIGNS: Mapping[str, str] = {
    "lens_accuracy": "share of images the lens names rightly at the last stage",
    "probe_accuracy": "share of images the probe names rightly at the last stage",
    "screen_concentration": "share of the first-order screen in the top tenth of the filters",
    "dead_filters": "share of filters that gave one constant value on all images",
    "redundancy": "share of filters that another one of their layer follows beyond 0.9",
    "images": "images that the other signs rest on",
}
#: Signs of one class; `name.class` is one of them.
PER_CLASS: Mapping[str, str] = {
    "lens_recall": "share of the class's images that the lens names rightly at the last stage",
    "probe_recall": "share of the class's images that the probe names rightly at the last stage",
    "reliance": "largest share of the class's first-order screen on one filter",
    "class_images": "images of the class that its signs rest on",
}
MOST_CLASSES = 50  # with more, classes have too few images here to be told apart
FOLDS = 5
TOP_SHARE = 0.1
REDUNDANT = 0.9


def names(classes: Sequence[str]) -> tuple[str, ...]:
    """All signs of a network with these classes, by name."""
    each = classes if len(classes) <= MOST_CLASSES else ()
    return (*SIGNS, *(f"{sign}.{label}" for sign in PER_CLASS for label in each))


def signs(
    network: TracedNetwork,
    inputs: Tensor,
    labels: NDArray[np.int64],
    classes: Sequence[str],
    *,
    outputs: Outputs = "logits",
    seed: int = 0,
) -> dict[str, float]:
    """The signs of a network as it stands, for about four forward passes an image.

    First-order values enter as shares of their sum alone: they are no losses.

    Args:
        network: The model, cut open by `network.trace`.
        inputs: (N, C, H, W) as the model takes them.
        labels: (N,) true classes.
        classes: K names.
        outputs: Whether the model returns logits or probabilities.
        seed: Seed of the folds of lens and probe.

    Returns:
        Value by name; a class without images, or a screen that is 0 everywhere, has none.

    Raises:
        AnalysisError: If names and outputs do not match, or the network has no separable head.
    """
    if len(classes) != network.classes:
        raise AnalysisError(
            f"{len(classes)} class names for {network.classes} outputs; one each is accepted"
        )
    last = network.stages()[-1]
    readings = read(
        network, [inputs], labels, layers=[last], count=FOLDS, seed=seed, outputs=outputs
    )
    seen = survey_filters(network, inputs, labels, outputs)
    right = {method: readings.found[last, method].right for method in ("lens", "probe")}
    found = {f"{method}_accuracy": float(hits.mean()) for method, hits in right.items()}
    found["images"] = float(len(labels))
    found["dead_filters"] = float(seen.constant.mean())
    found["redundancy"] = _redundancy(network, inputs, seen)
    screen = np.maximum(seen.taylor, 0.0)
    found |= _concentration(screen)
    for index, label in enumerate(classes if len(classes) <= MOST_CLASSES else ()):
        mine = labels == index
        if not mine.any():
            continue
        found[f"class_images.{label}"] = float(mine.sum())
        for method, hits in right.items():
            share = by_class(hits, labels, len(classes))[index].share
            found[f"{method}_recall.{label}"] = share or 0.0
        weight = screen[mine].mean(0)
        if weight.any():
            found[f"reliance.{label}"] = float(weight.max() / weight.sum())
    return found


def _concentration(screen: NDArray[np.float64]) -> dict[str, float]:
    weight = np.sort(screen.mean(0))[::-1]
    if not weight.any():
        return {}
    top = weight[: max(1, round(TOP_SHARE * len(weight)))]
    return {"screen_concentration": float(top.sum() / weight.sum())}


def _redundancy(network: TracedNetwork, inputs: Tensor, seen: Survey) -> float:
    followed = [
        (np.abs(matrix - np.diag(np.diag(matrix))) > REDUNDANT).any(1)
        for _, matrix in channel_correlations(network, inputs, seen.means)
    ]
    return float(np.concatenate(followed).mean())

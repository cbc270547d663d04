"""Silencing: what each image loses while filters are held at their mean, measured exactly.

Silencing holds a filter at its mean over the images, everywhere. Its *effect* on an image is the
loss added, the probability of the true class lost, and whether the predicted class changes.

Effects are kept per image, so they add up: measured in parts, on other machines or later, and put
together with `merged`, they give the same numbers as measured at once.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from governance.errors import AnalysisError
from governance.methods.filter_ablation.survey import Filters, Outputs, Survey, losses
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import TracedNetwork

__all__ = ["Effects", "merged", "silence"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """What silencing sets of filters did to images.

    Attributes:
        filters: The sets, S of them.
        images: Numbers of the images, ascending, (n,).
        dloss: Loss added, (n, S).
        dp_true: Probability of the true class lost, (n, S).
        flip: Whether the predicted class changed, (n, S).
    """

    filters: tuple[Filters, ...]
    images: NDArray[np.int64]
    dloss: Array
    dp_true: Array
    flip: NDArray[np.bool_]

    def of(self, sets: NDArray[np.int64]) -> "Effects":
        """The same for some of the sets, by their place."""
        return Effects(
            filters=tuple(self.filters[i] for i in sets),
            images=self.images,
            dloss=self.dloss[:, sets],
            dp_true=self.dp_true[:, sets],
            flip=self.flip[:, sets],
        )


def silence(
    network: TracedNetwork,
    inputs: Images,
    labels: ArrayLike,
    survey: Survey,
    filters: Sequence[Filters],
    images: NDArray[np.int64],
    outputs: Outputs = "logits",
) -> Effects:
    """Silence each set of filters on each image, exactly.

    Args:
        network: The model, cut open.
        inputs: All images, (N, C, H, W).
        labels: Classes of all images, (N,).
        survey: The survey of all images; gives the means and the undisturbed predictions.
        filters: Sets of filters to silence, each set by itself.
        images: Indices of the images to do it on, ascending.
        outputs: Whether the model returns logits or probabilities.
    """
    by_layer: dict[str, list[int]] = defaultdict(list)
    for number, (layer, _) in enumerate(filters):
        by_layer[layer].append(number)
    sets = {layer: [filters[i][1] for i in numbers] for layer, numbers in by_layer.items()}
    inputs = image_tensor(inputs)
    chosen = torch.from_numpy(images)
    some = inputs[chosen.to(inputs.device)]
    target = torch.from_numpy(image_labels(labels, len(inputs)))[chosen]
    loss = np.zeros((len(images), len(filters)))
    predicted = np.zeros((len(images), len(filters)), dtype=np.int64)
    for layer, number, part, output in network.ablate(some, sets, survey.means):
        column = by_layer[layer][number]
        loss[part, column] = losses(output, target[part], outputs).double().cpu().numpy()
        predicted[part, column] = output.argmax(1).cpu().numpy()
    return Effects(
        filters=tuple(filters),
        images=images,
        dloss=loss - survey.loss[images, None],
        dp_true=survey.p_true[images, None] - np.exp(-loss),
        flip=predicted != survey.predicted[images, None],
    )


def merged(parts: Sequence[Effects]) -> Effects:
    """Effects of the same sets of filters on other images, put together.

    Raises:
        AnalysisError: If the sets differ or an image was measured twice.
    """
    if len({part.filters for part in parts}) != 1:
        raise AnalysisError("effects of the same sets of filters can be merged; these differ")
    images = np.concatenate([part.images for part in parts])
    if len(np.unique(images)) != len(images):
        raise AnalysisError("effects on different images can be merged; an image occurs twice")
    order = np.argsort(images)
    return Effects(
        filters=parts[0].filters,
        images=images[order],
        dloss=np.concatenate([part.dloss for part in parts])[order],
        dp_true=np.concatenate([part.dp_true for part in parts])[order],
        flip=np.concatenate([part.flip for part in parts])[order],
    )

"""Epochs: the inner signs of a network in training, recorded with its MLflow run.

Recorded are lens and probe per class, how the first-order screen spreads over filters, dead and
redundant filters; `training_signs` says what each means. MLflow draws them over the epochs,
and `governance assess` finds them with the version that the run logged.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from governance.errors import AnalysisError
from governance.methods.filter_ablation.survey import Outputs
from governance.methods.image_tensors import Images, image_labels, image_tensor
from governance.methods.network import trace
from governance.methods.training_signs import signs
from governance.registry import log_signs
from governance.subject.images.validation_set import evenly

__all__ = ["LEAST", "record_epoch"]

LEAST = 10  # images below which nothing is recorded


def record_epoch(
    model: nn.Module,
    validation: tuple[Images, ArrayLike],
    step: int,
    *,
    class_names: Sequence[str] | None = None,
    images: int = 256,
    outputs: Outputs = "logits",
    batch_size: int = 64,
    seed: int = 0,
    run_id: str | None = None,
) -> Mapping[str, float]:
    """Record the signs of a network after an epoch, as metrics `learning.*` of its MLflow run.

    Takes about four forward passes of `images` images. The model is left as found: weights,
    running statistics, gradients, training flags and random state.

    Args:
        model: Maps (B, C, H, W) to (B, K).
        validation: (N, C, H, W) as the model takes them, and (N,) classes; an even sample is used,
            the same in every epoch. Moved to the model's device.
        step: The epoch.
        class_names: K names in the order of the outputs, as the validation set of the policy names
            them, so that the assessment finds the curves; numbers if not given.
        images: Maximum number of images used.
        outputs: Whether the model returns logits or probabilities.
        batch_size: Maximum number of images in a forward pass.
        seed: Seed of the sample and of the folds.
        run_id: The run to record in; the active one if not given.

    Returns:
        What was recorded, by name without the prefix.

    Raises:
        AnalysisError: If images and labels do not go together, or the network has no convolution or
            no separable head.
        RegistryError: If no run is active, or MLflow refuses.
    """
    inputs = image_tensor(validation[0])
    labels = image_labels(validation[1], len(inputs))
    if len(inputs) < LEAST:
        raise AnalysisError(f"{len(inputs)} images were given; at least {LEAST} are accepted")
    chosen = np.sort(evenly(labels, np.random.default_rng(seed))[:images])
    sample = inputs[torch.from_numpy(chosen).to(inputs.device)]
    network = trace(model, sample[:2], batch_size=batch_size)
    classes = class_names or [str(index) for index in range(network.classes)]
    found = signs(network, sample, labels[chosen], classes, outputs=outputs, seed=seed)
    log_signs(found, step, run_id)
    return found

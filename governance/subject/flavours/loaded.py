"""Loaded model: a model as every flavour hands it over, before images are brought to its size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from governance.records.identity import ModelFormat, ModelIdentity
from governance.subject.classifier import Classifier
from governance.subject.model_files import UNKNOWN, ModelFiles, Shape, artifact_digest

__all__ = ["LoadedModel", "Processor"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Processor:
    """What lies beside a model to prepare its images, and prepares them where it is deployed.

    Attributes:
        prepare: From a decoded image, (H, W) grey or (H, W, 3) RGB, to the model's input (C, h, w).
        lines: What a policy has to say in `[model]` to give the same numbers, where that is known.
    """

    prepare: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    lines: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """A model that can be asked as soon as it is known how an image becomes its input.

    Attributes:
        classifier: Makes the classifier from a `preprocessing` and the meaning of its `outputs`,
            both given by name: a `Network` or a `BlackBox`.
        format: How the model is stored.
        digest: sha256 over the model's tensors, or over its files where they hold none that can be
            read.
        shape: Input shape that the model itself takes.
        signed: Input shape of the signature beside the model.
        levels: Whether it takes whole numbers from 0 to 255, which a preprocessing has to give.
        parameters: Number of trainable numbers; None where they cannot be counted.
        layers: Digest of the tensors of each module that holds some, by its path.
        module: The torch module in evaluation mode; None where there is none.
        processor: What prepares its images where it is deployed; None where nothing does.
    """

    classifier: Callable[..., Classifier]
    format: ModelFormat
    digest: str
    shape: Shape = UNKNOWN
    signed: Shape = UNKNOWN
    levels: bool = False
    parameters: int | None = None
    layers: Mapping[str, str] = field(default_factory=dict)
    module: nn.Module | None = None
    processor: Processor | None = None

    def identity(self, files: ModelFiles, **place: Any) -> ModelIdentity:
        """Identity for the record; `place` names the model in MLflow."""
        return ModelIdentity(
            digest=self.digest,
            artifact_digest=artifact_digest(files.folder),
            format=self.format,
            parameters=self.parameters,
            layers=self.layers,
            **place,
        )

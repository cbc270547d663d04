"""Subject: the live side of an assessment, a classifier with its validation images.

An analysis asks for probabilities here, of whatever kind the model is; one that looks inside takes
`network`, which only some models have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from governance.errors import AnalysisError, SubjectError
from governance.records.identity import ModelIdentity
from governance.subject.classifier import Classifier
from governance.subject.images.validation_set import ValidationSet
from governance.subject.meter import Meter
from governance.subject.network import Network
from governance.subject.outputs import INDEPENDENT, SLACK
from governance.subject.preprocessing import Preprocessing

__all__ = ["NEEDS", "Needs", "Subject"]

#: What an analysis asks of a model. Every model gives probabilities, and a torch module is a
#: network. Whether its features and filters can be seen, a network says when it is cut open.
Needs = Literal["probabilities", "network", "features", "filters"]
NEEDS: Mapping[Needs, str] = MappingProxyType(
    {
        "probabilities": "probabilities, which every model gives",
        "network": "the network as a torch module",
        "features": "depths of the network at which the image is laid out in maps or tokens",
        "filters": "layers of filters: convolutions, or linear layers that are put to every token "
        "before an activation",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A model under assessment with all that is needed to ask it about its validation images.

    Attributes:
        identity: Name, version and digests of the model.
        classifier: The model: a `Network`, or any other classifier.
        validation: Images that it is assessed on.
        batch_size: Number of images per forward pass.
        history: Metrics that were recorded during training, as (step, value) in order of steps, by
            name of the sign (`training_signs.names`); empty where none were recorded.
        meter: Counts the forward passes, for the people who wait.
    """

    identity: ModelIdentity
    classifier: Classifier
    validation: ValidationSet
    batch_size: int = 64
    history: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter, repr=False)
    _predictions: list[NDArray[np.float32]] = field(default_factory=list, init=False, repr=False)

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing from a decoded image to the model's input, as declared."""
        return self.classifier.preprocessing

    @property
    def device(self) -> torch.device:
        """Device that the model computes on."""
        return self.classifier.device

    @property
    def network(self) -> Network:
        """The model as a torch module.

        Raises:
            AnalysisError: If this model gives only probabilities.
        """
        if isinstance(self.classifier, Network):
            return self.classifier
        raise AnalysisError(
            f"model {self.identity.uri}: {self.classifier.closed} and its layers cannot be looked "
            "into; a float32 torch module (from mlflow.pytorch.log_model) is accepted"
        )

    def pixels(self, indices: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """Validation images at the model's size: (B, C, H, W) in [0, 1], RGB or grey.

        Raises:
            SubjectError: If an image cannot be read or has a size that the model does not take.
        """
        return torch.from_numpy(np.stack([self._pixels(int(i)) for i in indices])).to(self.device)

    def _pixels(self, index: int) -> NDArray[np.float32]:
        image = self.validation.images[index]
        try:
            return self.preprocessing.pixels(image)
        except SubjectError as error:
            where = f"validation images {self.validation.location}: {self.validation.ids[index]}"
            raise SubjectError(f"{where}: {problem}" for problem in error.problems) from error

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probability of each class, (B, K), without gradients; a batch at a time.

        Raises:
            SubjectError: If the answer for an image is no row of probabilities of the classes.
        """
        try:
            parts = [self._batch(part) for part in torch.split(pixels, self.batch_size)]
        except SubjectError as error:
            where = f"model {self.identity.uri}"
            raise SubjectError(f"{where}: {problem}" for problem in error.problems) from error
        return torch.cat(parts)

    def _batch(self, pixels: Tensor) -> Tensor:
        """Probabilities of one batch, checked, since a classifier may be of any kind."""
        answer = self.classifier.probabilities(pixels)
        shape = (len(pixels), len(self.validation.class_names))
        if answer.shape != shape:
            raise SubjectError(
                f"gives numbers of shape {tuple(answer.shape)} for {len(pixels)} images; one "
                f"probability for each of the {shape[1]} classes is accepted"
            )
        if not torch.isfinite(answer).all():
            raise SubjectError("a probability is NaN or infinite; finite numbers are accepted")
        independent = self.classifier.outputs in INDEPENDENT
        off = answer > 1 + SLACK if independent else (answer.sum(1) - 1).abs() > SLACK
        if (answer < -SLACK).any() or off.any():
            raise SubjectError(
                "the probabilities of an image do not sum to one; numbers of at least 0 that sum "
                "to one are accepted"
            )
        self.meter.count(passes=len(pixels))
        return answer

    def predictions(self) -> NDArray[np.float32]:
        """Probabilities for every validation image, (N, K); computed once, a batch in memory."""
        if not self._predictions:
            self.meter.plan(passes=len(self.validation))
            parts = [
                self.probabilities(self.pixels(range(start, min(start + self.batch_size, n))))
                for n in [len(self.validation)]
                for start in range(0, n, self.batch_size)
            ]
            self._predictions.append(torch.cat(parts).cpu().numpy())
        return self._predictions[0]

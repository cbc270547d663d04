"""Orders: what the demo's stages are asked for and what they answer, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from governance.cli.demonstration.digits import Images, Labels

__all__ = ["CHAMPION", "NAME", "Assessed", "Store", "Trained", "Training", "Weights"]

#: Name of the registered model.
NAME = "digits"
#: Alias of the version that later ones are compared with, as the demo's policy says.
CHAMPION = "champion"

#: Every tensor of a model by its name, as it goes from one process to another.
Weights = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An MLflow, and what lets an assessment be recorded there.

    Attributes:
        uri: Address of MLflow.
        artifacts: Folder of the files of an embedded MLflow; None where a server keeps them.
        signing_key: Private key of an assessor, which a governed registry needs.
        keys: Keyring of whose signatures count.
    """

    uri: str
    artifacts: Path | None = None
    signing_key: Path | None = None
    keys: Path | None = None

    @classmethod
    def embedded(cls, folder: Path) -> "Store":
        """An MLflow whose database and files lie in a folder."""
        home = folder.resolve()
        return cls(uri=f"sqlite:///{home}/mlflow.db", artifacts=home / "artifacts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a version is trained.

    Attributes:
        start: Weights of the version that it is fine-tuned from; None for first weights.
        images: (N, 28, 28) pictures.
        labels: (N,) their digits.
        epochs: Number of epochs.
        rate: Highest learning rate.
        seed: Seed of first weights and of the order of the pictures.
        watched: Pictures and digits on which the signs of every epoch are recorded.
    """

    start: Weights | None
    images: Images
    labels: Labels
    epochs: int
    rate: float
    seed: int
    watched: tuple[Images, Labels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A registered version: its number, and its weights for others to be fine-tuned from."""

    number: str
    weights: Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What came of an assessment: verdict, MLflow run, and why no report was printed, if so."""

    verdict: str
    run_id: str | None
    unprinted: str | None

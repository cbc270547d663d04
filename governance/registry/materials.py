"""Materials: what lies in MLflow about a version, on this machine, so that it is not needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from governance.records.policy import Policy
from governance.registry.training_curves import Curve, recorded
from governance.registry.versions import ModelVersion, download

__all__ = ["Materials", "gather", "model_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """A version's files, the validation images and the training's metrics, as local paths.

    Whoever holds them needs neither MLflow nor a credential to assess the version.

    Attributes:
        version: As resolved.
        model: Folder with the MLmodel file.
        images: Folder or file of the validation images.
        history: Of the training run's `learning.*` metrics by key, as (step, value).
    """

    version: ModelVersion
    model: str
    images: str
    history: Mapping[str, Curve] = field(default_factory=dict)


def gather(version: ModelVersion, policy: Policy, workspace: Path) -> Materials:
    """Fetch what assessing a version under a policy takes.

    Args:
        version: As resolved.
        policy: Says where the validation images are.
        workspace: For what is downloaded; what lies on this machine already stays where it is.

    Raises:
        RegistryError: If something cannot be downloaded.
    """
    location = policy.validation
    images = Path(location)
    if ":" in location and not images.exists():
        images = download(location, workspace / "validation")
    return Materials(
        version=version,
        model=str(model_folder(version, workspace / "model")),
        images=str(images),
        history=recorded(version.run_id),
    )


def model_folder(version: ModelVersion, into: Path) -> Path:
    """The model's files: downloaded, or where they are if that is a local folder.

    Raises:
        RegistryError: If they cannot be had.
    """
    local = Path(version.uri)
    return local if (local / "MLmodel").is_file() else download(version.uri, into)

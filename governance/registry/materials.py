"""Materials: the files of a version on this machine, so that MLflow is not needed any more."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from governance.approval import Keyring
from governance.approval.model_signatures import SIGNATURE, signature_of
from governance.errors import RegistryError, SubjectError
from governance.records.identity import ModelSignature
from governance.records.policy import Policy
from governance.registry.image_download import fetch_images
from governance.registry.training_curves import Curve, recorded
from governance.registry.versions import (
    ModelVersion,
    Room,
    download,
    is_model_folder,
    refusals,
    registered,
)
from governance.subject import model_files
from governance.subject.class_names import LARGEST_NAMES, TAG, read_names
from governance.subject.model_files import DOWNLOAD_NOTE
from governance.subject.model_files.reading import LARGEST_FOLDER, MOST_FILES

__all__ = ["Materials", "class_tag", "gather", "model_folder", "signature_beside"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """A version's files, the validation images and the training's metrics, as local paths.

    With them a version is assessed without MLflow and without a credential.

    Attributes:
        version: Model version, as resolved.
        model: Path of the folder with the MLmodel file.
        images: Path of the validation images, a folder or a file.
        history: Metrics `learning.*` of the training run by key, as (step, value).
        class_names: Class names in the file that the policy names; None where it names none.
        tagged: Tag of the version that names its outputs, as it stands; None without one.
    """

    version: ModelVersion
    model: str
    images: str
    history: Mapping[str, Curve] = field(default_factory=dict)
    class_names: tuple[str, ...] | None = None
    tagged: str | None = None


def gather(version: ModelVersion, policy: Policy, workspace: Path) -> Materials:
    """Fetch the model, the validation images and the training metrics of a version.

    Args:
        version: Model version, as resolved.
        policy: Policy that names the validation images.
        workspace: Folder for downloads; files on this machine stay where they are.

    Raises:
        SubjectError: If the file of class names holds none.
        RegistryError: If something cannot be downloaded.
    """
    location = policy.validation
    images = Path(location)
    if ":" in location and not images.exists():
        split = policy.images.split if policy.images else None
        images = fetch_images(location, split, workspace / "validation")
    return Materials(
        version=version,
        model=str(model_folder(version, workspace / "model")),
        images=str(images),
        history=recorded(version.run_id),
        class_names=_listed(policy.model.class_names, workspace / "class_names"),
        tagged=class_tag(version),
    )


def _listed(location: object, into: Path) -> tuple[str, ...] | None:
    """The names in the file that a policy names, if it names one."""
    if not isinstance(location, str):
        return None
    path = Path(location)
    if ":" in location and not path.exists():
        path = download(location, into, Room(1, LARGEST_NAMES, SubjectError))
    return read_names(path, location)


def class_tag(version: ModelVersion) -> str | None:
    """The tag of a registered version that names its outputs, as it stands; None without one.

    Raises:
        RegistryError: If the version is gone, or MLflow cannot be asked.
    """
    if version.ref is None:
        return None
    with refusals(f"{version.uri}: looking up its tags"):
        text: str | None = registered(version).tags.get(TAG)
    return text


def signature_beside(model: Path, ring: Keyring | None) -> ModelSignature | None:
    """Who signed the files in a model's folder; asked before any of them is opened.

    Raises:
        SubjectError: If the folder holds a link, or what checks a signature is not installed.
        ApprovalError: If there is a signature that does not count.
    """
    if (model / SIGNATURE).exists():
        model_files.file_digests(model)  # refuses links, and more than a model holds
    return signature_of(model, ring, time.time(), unsigned=(DOWNLOAD_NOTE,))


def model_folder(version: ModelVersion, into: Path) -> Path:
    """Folder of the model's files: downloaded, or the local folder that the version is.

    Raises:
        SubjectError: If there are none, or more of them than of a model.
        RegistryError: If they cannot be downloaded.
    """
    uri = version.uri
    if is_model_folder(uri):
        return Path(uri)
    if version.ref is not None:
        # By name and number: MLflow's own download reads `?`, `@` and tabs in a name as its own.
        with refusals(f"{uri}: looking up its files"):
            uri = MlflowClient().get_model_version_download_uri(
                version.ref.name, version.ref.version
            )
    try:
        return download(uri, into, Room(MOST_FILES, LARGEST_FOLDER, SubjectError))
    except RegistryError as error:
        # Stores refuse to download nothing, as they do what may be there at the next attempt.
        with refusals(f"{version.uri}: listing its files"):
            if get_artifact_repository(uri).list_artifacts():
                raise
        raise SubjectError(
            f"{version.uri}: holds no files; a model that log_model of MLflow wrote is accepted"
        ) from error

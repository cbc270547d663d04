"""Reading: what MLflow wrote about a model into its folder, and the digests of the files there.

Nothing is loaded from the files, so that whoever only compares digests needs no torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from governance.errors import SubjectError
from governance.records.bounded import digest_of, files_of, json_data
from governance.records.bundle_files import combined
from governance.subject.model_files.mlmodel import mlmodel

__all__ = [
    "DOWNLOAD_NOTE",
    "ModelFiles",
    "Shape",
    "artifact_digest",
    "file_digests",
    "read",
]

#: Channels, height and width that a model takes; None where it takes any, or it is not known.
Shape = tuple[int | None, int | None, int | None]

UNKNOWN: Shape = (None, None, None)
IMAGES = 4  # dimensions of a batch of images: (B, C, H, W)
#: Bytes of all files of a model.
LARGEST_FOLDER = 8 * 2**30
#: Files and folders of a model.
MOST_FILES = 10_000
#: Written by MLflow's client when it downloads, so no part of what was logged.
DOWNLOAD_NOTE = "registered_model_meta"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """A folder with an MLmodel file, looked at but not loaded.

    Attributes:
        folder: Folder that MLflow wrote.
        weights: Path of the one file with the model in it.
        format: Storage format of the weights.
        shape: Input shape of the signature; unknown where there is no signature.
    """

    folder: Path
    weights: Path
    format: Literal["pt2", "pickle"]
    shape: Shape


def file_digests(folder: Path) -> dict[str, str]:
    """Hexadecimal sha256 of each file of a model by its path, in order of path.

    Raises:
        SubjectError: If the folder holds a link, or more than a model does.
    """
    names = files_of(folder, most=MOST_FILES, largest=LARGEST_FOLDER, error=SubjectError)
    return {
        name: digest_of(folder / name, LARGEST_FOLDER, SubjectError)
        for name in names
        if name != DOWNLOAD_NOTE
    }


def artifact_digest(folder: Path) -> str:
    """sha256 over the path and sha256 of each file of a model, in order of path.

    Raises:
        SubjectError: If the folder holds a link, or more than a model does.
    """
    return combined(file_digests(folder))


def read(folder: Path) -> ModelFiles:
    """Look at a model folder without loading anything from it.

    Raises:
        SubjectError: If it holds no PyTorch model, or its signature is not of one batch of images.
    """
    described = mlmodel(folder)
    flavors = described.get("flavors")
    flavors = flavors if isinstance(flavors, dict) else {}
    if not isinstance(flavors.get("pytorch"), dict):
        kinds = ", ".join(sorted(set(flavors) - {"python_function"})) or "none known"
        raise SubjectError(
            f"{folder}/MLmodel: the flavour of this model is {kinds}; pytorch (from "
            "mlflow.pytorch.log_model) is accepted"
        )
    data = folder / str(flavors["pytorch"].get("model_data", "data"))
    if not data.resolve().is_relative_to(folder.resolve()):
        raise SubjectError(f"{folder}/MLmodel: model_data lies outside the folder")
    candidates = {"pt2": data / "model.pt2", "pickle": data / "model.pth"}
    present = [kind for kind, path in candidates.items() if path.is_file()]
    if len(present) != 1:
        raise SubjectError(
            f"{folder}: {len(present)} of {data.name}/model.pt2 and {data.name}/model.pth; exactly "
            "one is accepted"
        )
    return ModelFiles(
        folder=folder,
        weights=candidates[present[0]],
        format="pt2" if present == ["pt2"] else "pickle",
        shape=_signature_shape(described.get("signature"), folder),
    )


def _signature_shape(signature: Any, folder: Path) -> Shape:
    if not isinstance(signature, dict) or not signature.get("inputs"):
        return UNKNOWN
    accepted = "one tensor of float32 and shape (-1, C, H, W) is accepted"
    try:
        text = signature["inputs"].encode()
        inputs = json_data(text, f"{folder}/MLmodel: signature", SubjectError)
        tensors = [item["tensor-spec"] for item in inputs]
        shape = tuple(int(size) for size in tensors[0]["shape"])
        dtype = tensors[0]["dtype"]
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise SubjectError(f"{folder}/MLmodel: the signature's inputs; {accepted}") from error
    if len(tensors) != 1 or dtype != "float32" or len(shape) != IMAGES:
        raise SubjectError(
            f"{folder}/MLmodel: the signature has {len(tensors)} inputs, the first of {dtype} and "
            f"shape {shape}; {accepted}"
        )
    channels, height, width = (size if size > 0 else None for size in shape[1:])
    return channels, height, width

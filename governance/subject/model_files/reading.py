"""Reading: what MLflow wrote about a model into its folder, and the digests of the files there.

Nothing is loaded from the files, so that whoever only compares digests needs no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.errors import SubjectError
from governance.records.bounded import digest_of, files_of, json_data
from governance.records.bundle_files import combined
from governance.subject.model_files.mlmodel import mlmodel

__all__ = [
    "DOWNLOAD_NOTE",
    "IMAGES",
    "UNKNOWN",
    "ModelFiles",
    "Shape",
    "artifact_digest",
    "file_digests",
    "read",
    "signature_shape",
]

#: Channels, height and width that a model takes; None where it takes any, or it is not known.
Shape = tuple[int | None, int | None, int | None]

UNKNOWN: Shape = (None, None, None)
#: Types of the numbers in a signature of images, as MLflow writes them.
FLOATS = frozenset({"float16", "float32", "float64"})
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
        flavours: What MLflow says about each way to load the model, by its name there.
        signature: The model's signature as it stands in the MLmodel file; None if there is none.
    """

    folder: Path
    flavours: Mapping[str, Mapping[str, Any]]
    signature: Any = None

    def inside(self, path: str) -> Path:
        """A path of the MLmodel file, which is relative to the folder.

        Raises:
            SubjectError: If it leads out of the folder.
        """
        found = self.folder / path
        if not found.resolve().is_relative_to(self.folder.resolve()):
            raise SubjectError(f"{self.folder}/MLmodel: {path[:80]!r} lies outside the folder")
        return found


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
        SubjectError: If its MLmodel file names no flavour, or cannot be read.
    """
    described = mlmodel(folder)
    flavours = described.get("flavors")
    flavours = flavours if isinstance(flavours, dict) else {}
    tables = {str(name): table for name, table in flavours.items() if isinstance(table, dict)}
    if not tables:
        raise SubjectError(f"{folder}/MLmodel: names no flavour; one that MLflow wrote is accepted")
    return ModelFiles(folder=folder, flavours=tables, signature=described.get("signature"))


def signature_shape(files: ModelFiles) -> Shape:
    """Channels, height and width of the images in a signature; unknown where there is none.

    Raises:
        SubjectError: If the signature is not of one batch of images.
    """
    signature, folder = files.signature, files.folder
    if not isinstance(signature, dict) or not signature.get("inputs"):
        return UNKNOWN
    accepted = "one tensor of floats and shape (-1, C, H, W) is accepted"
    try:
        text = signature["inputs"].encode()
        inputs = json_data(text, f"{folder}/MLmodel: signature", SubjectError)
        tensors = [item["tensor-spec"] for item in inputs]
        shape = tuple(int(size) for size in tensors[0]["shape"])
        dtype = tensors[0]["dtype"]
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise SubjectError(f"{folder}/MLmodel: the signature's inputs; {accepted}") from error
    if len(tensors) != 1 or dtype not in FLOATS or len(shape) != IMAGES:
        raise SubjectError(
            f"{folder}/MLmodel: the signature has {len(tensors)} inputs, the first of {dtype} and "
            f"shape {shape}; {accepted}"
        )
    channels, height, width = (size if size > 0 else None for size in shape[1:])
    return channels, height, width

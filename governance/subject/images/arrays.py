"""Arrays: an `.npz` with images, labels and class names as a validation set, all in memory."""

import hashlib
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.records.bounded import opened
from governance.records.zip_files import open_zip
from governance.subject.images.labels import as_indices, has_letters, is_text, label_problems
from governance.subject.images.problems import (
    MOST_CLASSES,
    MOST_IMAGES,
    class_name_problems,
    in_order,
    refuse,
)
from governance.subject.images.validation_set import ValidationSet

__all__ = ["ARRAYS", "open_arrays"]

#: Bytes of an `.npz`, and of each array in it.
LARGEST_ARRAYS = 8 * 2**30
#: Bytes of an array for each byte that it takes in a packed `.npz`, if it has more than
#: `ALWAYS_UNPACKED` bytes.
MOST_UNPACKED = 100
ALWAYS_UNPACKED = 64 * 2**20

#: Names of the arrays in such a file.
ARRAYS = ("images", "labels", "class_names")


def open_arrays(path: Path, location: str) -> ValidationSet:
    """The images of an `.npz`, which may name classes without images.

    Args:
        path: File with `images` (N, H, W) or (N, H, W, C) uint8 with C of 1 or 3, `labels` of a
            form that `labels.py` takes, and `class_names` (K,), which labels that are names can do
            without.
        location: Name of the set, for the record and for messages.

    Raises:
        SubjectError: All problems at once.
    """
    problems: list[str] = []
    stored = _loaded(path, problems)
    images, labels, stored_names = (stored.get(key) for key in ARRAYS)
    if images is not None:
        problems += _image_problems(images)
    names = _names(stored_names, labels, problems)
    if labels is not None:
        problems += _label_problems(labels, images, names)
    refuse(problems, location)
    pictures = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images  # type: ignore[union-attr, index] # noqa: PLR2004 - (N, H, W, C)
    pictures.flags.writeable = False  # type: ignore[union-attr]
    hashes = [
        # The shape too: the same bytes make another picture in another shape.
        hashlib.sha256(f"{picture.shape}\n".encode() + picture.tobytes()).hexdigest()
        for picture in pictures  # type: ignore[union-attr]
    ]
    return ValidationSet.of(
        tuple(pictures),  # type: ignore[arg-type]
        as_indices(labels, names or ()),  # type: ignore[arg-type]
        names or (),
        [str(index) for index in range(len(hashes))],
        hashes,
        location,
    )


def _loaded(path: Path, problems: list[str]) -> dict[str, NDArray[Any]]:
    loaded: dict[str, NDArray[Any]] = {}
    try:
        with opened(path, LARGEST_ARRAYS, SubjectError) as stream:
            if not zipfile.is_zipfile(stream):
                what = "not a whole archive" if stream.seek(0, 2) else "an empty file"
                problems.append(
                    f"cannot be read as an .npz: {what}; a file of np.savez is accepted"
                )
                return loaded
            archive = open_zip(stream)
            members = {info.filename: info for info in archive.infolist()}
            for key in ARRAYS:
                if (info := members.get(f"{key}.npy")) is None:
                    if key != "class_names" or not is_text(loaded.get("labels")):
                        problems.append(f"{key}: missing; {', '.join(ARRAYS)} are needed")
                    continue
                try:
                    _check_header(archive, info, key)
                    with archive.open(info) as content:
                        loaded[key] = np.lib.format.read_array(content, allow_pickle=False)
                except ValueError as error:
                    problems.append(
                        f"{key}: {error}; save a plain array, such as np.array(names, dtype=str)"
                    )
    except SubjectError as error:
        problems += error.problems
    except (
        OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError,
        NotImplementedError, OverflowError,
    ) as error:  # fmt: skip
        problems.append(f"cannot be read as an .npz: {error}; a file of np.savez is accepted")
    return loaded


def _check_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, key: str) -> None:
    """Refuse an array by its header, which says how long it is.

    Raises:
        ValueError: If it holds objects, is longer than stored, or beyond a limit.
    """
    if info.file_size > max(ALWAYS_UNPACKED, MOST_UNPACKED * info.compress_size):
        raise ValueError(
            f"{info.file_size} bytes are packed into {info.compress_size}; at most "
            f"{MOST_UNPACKED} for each are accepted"
        )
    with archive.open(info) as stream, _readable_header():
        version = np.lib.format.read_magic(stream)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError(f"an array of format {version}; one that np.savez wrote is accepted")
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, kind = read(stream)
        stored = info.file_size - stream.tell()
    most = MOST_CLASSES if key == "class_names" else MOST_IMAGES
    if kind.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    if shape and shape[0] > most:
        raise ValueError(f"{shape[0]} entries; at most {most} are accepted")
    if math.prod(shape) * kind.itemsize != stored or any(size < 0 for size in shape):
        raise ValueError(f"shape {shape} of {kind} is not what the {stored} stored bytes hold")
    if stored > LARGEST_ARRAYS:
        raise ValueError(f"{stored} bytes; at most {LARGEST_ARRAYS} are accepted")


@contextmanager
def _readable_header() -> Iterator[None]:
    """Numpy reads a header as Python's own text, and raises what Python's own readers raise."""
    try:
        yield
    except (tokenize.TokenError, SyntaxError, TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(f"its header cannot be read: {error}") from error


def _image_problems(images: NDArray[Any]) -> Iterator[str]:
    colours = images.ndim == 4 and images.shape[3] in {1, 3}  # noqa: PLR2004 - (N, H, W, C)
    if not (images.ndim == 3 or colours):  # noqa: PLR2004 - (N, H, W)
        yield (
            f"images: shape {images.shape}; (N, H, W), (N, H, W, 1) or (N, H, W, 3) is accepted, "
            "channels last"
        )
    elif images.size == 0:
        yield f"images: shape {images.shape} holds no pixel; at least one image is needed"
    if images.dtype != np.uint8:
        yield (
            f"images: {images.dtype}; uint8 from 0 to 255 is accepted: numbers in [0, 1] want "
            "(images * 255).round().astype('uint8')"
        )


def _name_problems(names: NDArray[Any]) -> Iterator[str]:
    if names.ndim != 1 or names.dtype.kind != "U":
        yield (
            f"class_names: {names.dtype} of shape {names.shape}; a list of texts is accepted: "
            "np.array(names, dtype=str)"
        )
        return
    if not has_letters(names):
        yield "class_names: holds what is no letter; Unicode is accepted"
        return
    yield from class_name_problems(map(str, names), "class_names")


def _label_problems(
    labels: NDArray[Any], images: NDArray[Any] | None, names: Sequence[str] | None
) -> Iterator[str]:
    if images is not None and images.ndim and labels.shape[:1] != images.shape[:1]:
        count = len(np.atleast_1d(labels))
        yield f"labels: {count} for {len(images)} images; one per image is needed"
    problems = list(label_problems(labels, names))
    yield from problems
    if not problems and names and len(labels):
        found = as_indices(labels, names)
        if (found == found[0]).all():
            yield f"labels: all images are of class {found[0]}; images of two classes are needed"


def _names(
    stored: NDArray[Any] | None, labels: NDArray[Any] | None, problems: list[str]
) -> list[str] | None:
    """The class names that are stored, or those that the labels are; None if they are wrong."""
    if stored is None:
        readable = labels is not None and is_text(labels) and not list(label_problems(labels, None))
        return in_order(map(str, labels.reshape(-1))) if readable else None  # type: ignore[union-attr]
    found = list(_name_problems(stored))
    problems += found
    return [str(name) for name in stored] if not found else None

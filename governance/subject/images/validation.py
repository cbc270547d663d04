"""Images: a folder of class folders, or an `.npz`, as a validation set.

Both are checked whole when opened and every problem is reported at once; only what a picture holds
is found when it is decoded, an image at a time. A folder costs the memory of the picture asked for;
an `.npz` lies in memory as a whole.

What a decoded picture is: 8 bits, grey (H, W) or RGB (H, W, 3), upright. Orientation tags are
applied, since labels were given by people who saw the picture upright (OpenCV's reader does so,
torchvision's `ImageFolder` does not: store pictures upright where that matters). Palettes, CMYK and
other colour spaces become RGB, transparency is dropped and the first frame taken, as by Pillow's
`convert`, which those readers use. Grey deeper than 8 bits is refused: which range becomes black
and white is for someone to decide who knows the camera.
"""

import hashlib
import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from governance.errors import SubjectError
from governance.records.wording import first_few
from governance.subject.images.validation_set import ValidationSet

__all__ = [
    "SUFFIXES",
    "Files",
    "collected",
    "hashed",
    "inside",
    "open_validation",
    "refuse",
    "taken",
]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
#: What tables of the analyses call their rows over all classes.
OVERALL = "all"
ARRAYS = ("images", "labels", "class_names")
ORIENTATION_TAG = 0x0112
UPRIGHT = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
# What Pillow raises on damaged files, by format and kind of damage.
DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError,
    TypeError, OverflowError, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip


def open_validation(path: Path, location: str) -> ValidationSet:
    """The validation images at `path`, hashed now and decoded when asked for.

    Args:
        path: A folder of class folders (`png`, `jpg`, `bmp`, `webp`, `gif`, `tiff`), whose sorted
            names are the class names; or an `.npz` with `images` (N, H, W) or (N, H, W, C) uint8
            with C of 1 or 3, `labels` (N,) and `class_names` (K,). An `.npz` may name classes
            without images, as a model with more outputs needs.
        location: Path or URI as the policy names it, for the record and for messages.

    Raises:
        SubjectError: All problems at once. Item `i` of `images` raises
            it too, if that file is damaged or no longer what was hashed.
    """
    if path.is_dir():
        return _folder(path, location)
    if path.suffix.lower() == ".npz" and path.is_file():
        return _arrays(path, location)
    found = "is neither" if path.exists() else "does not exist"
    raise SubjectError(
        f"validation images {location}: {found}; a folder of class folders or an .npz with "
        f"{', '.join(ARRAYS)} is accepted"
    )


@dataclass(frozen=True, slots=True)
class Files(Sequence[NDArray[np.uint8]]):
    """Pictures decoded from files when asked for.

    Attributes:
        root: The folder that `names` start at.
        names: Path of each file.
        hashes: sha256 of each file when it was opened.
        location: What to call the folder in messages.
    """

    root: Path
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    location: str

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.uint8]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        if isinstance(index, slice):
            return [self[item] for item in range(*index.indices(len(self)))]
        where = f"validation images {self.location}: {self.names[index]}"
        try:
            content = (self.root / self.names[index]).read_bytes()
        except OSError as error:
            raise SubjectError(f"{where}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self.hashes[index]:
            raise SubjectError(f"{where}: changed since the assessment began; start it again")
        return _decoded(content, where)


def _decoded(content: bytes, where: str) -> NDArray[np.uint8]:
    if not content:
        raise SubjectError(f"{where}: cannot be decoded: an empty file; a whole image is accepted")
    try:
        with warnings.catch_warnings(), _whole_images_only():
            # Damaged metadata is a warning; the picture is then taken as stored upright.
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = _upright(content)
    except UnidentifiedImageError as error:
        # Pillow names the object that it read from, which says nothing to anyone.
        raise SubjectError(
            f"{where}: cannot be decoded: not the beginning of an image of a known kind; a whole "
            f"image ({', '.join(SUFFIXES)}) is accepted"
        ) from error
    except DAMAGE as error:
        raise SubjectError(f"{where}: cannot be decoded: {error}; a whole image is accepted") from (
            error
        )
    if picture.mode in {"I", "F"} or picture.mode.startswith("I;"):
        raise SubjectError(
            f"{where}: grey deeper than 8 bits (mode {picture.mode}); 8 bits per channel are "
            "accepted: convert with the range that the model was trained with"
        )
    grey = picture.mode in {"1", "L", "LA", "La"}
    return np.asarray(picture.convert("L" if grey else "RGB"))


@contextmanager
def _whole_images_only() -> Iterator[None]:
    """Importing WeasyPrint lets Pillow fill up cut images with grey, in the whole process."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _upright(content: bytes) -> Image.Image:
    formats = sorted({Image.registered_extensions()[suffix] for suffix in SUFFIXES})
    with Image.open(io.BytesIO(content), formats=formats) as picture:
        picture.load()
        turn = UPRIGHT.get(picture.getexif().get(ORIENTATION_TAG, 1))
        return picture.transpose(turn) if turn is not None else picture.copy()


def taken(class_names: Iterable[str]) -> Iterator[str]:
    """What is wrong with class names that tables use otherwise."""
    if OVERALL in class_names:
        yield f"class {OVERALL!r}: tables call the rows over all classes so; rename the class"


def _folder(path: Path, location: str) -> ValidationSet:
    problems: list[str] = []
    root = path.resolve()
    class_names: list[str] = []
    names: list[str] = []
    labels: list[int] = []
    for folder in _entries(root, root, problems):
        if not folder.is_dir():
            problems.append(f"{folder.name}: a file beside the class folders; none is accepted")
            continue
        files = [
            file.relative_to(root).as_posix()
            for file in _entries(folder, root, problems)
            if _is_image(file, root, problems)
        ]
        if not files:
            problems.append(f"{folder.name}: a class folder without images; remove it or fill it")
        names += files
        labels += [len(class_names)] * len(files)
        class_names.append(folder.name)
    problems += taken(class_names)
    if not names:
        problems.append(f"no images; class folders with {', '.join(SUFFIXES)} are accepted")
    elif len(class_names) == 1:
        problems.append(f"one class, {class_names[0]}; at least two class folders are accepted")
    hashes = [] if problems else [hashed(root / name, name, problems) for name in names]
    refuse(problems, location)
    return collected(
        Files(root, tuple(names), tuple(hashes), location),
        np.array(labels, dtype=np.int64),
        class_names,
        names,
        hashes,
        location,
    )


def _entries(folder: Path, root: Path, problems: list[str]) -> Iterator[Path]:
    """What is in a folder, sorted, without hidden names and links that leave `root`."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        problems.append(f"{folder.relative_to(root)}: cannot be listed: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name = entry.relative_to(root)
        if not str(name).isprintable():
            # Also the stand-ins for bytes that are no UTF-8, which no record can hold.
            problems.append(f"{str(name)!r}: a name that cannot be printed; rename it")
        elif entry.is_symlink() and not inside(entry, root):
            problems.append(f"{name}: a link that leaves the folder or is broken; copy the file")
        else:
            yield entry


def inside(link: Path, root: Path) -> bool:
    """Whether a link leads to something within `root`."""
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return False


def _is_image(file: Path, root: Path, problems: list[str]) -> bool:
    if file.is_file() and file.suffix.lower() in SUFFIXES:
        return True
    # A folder here is often a sign that the parent of the right folder was named.
    what = "a folder in a class folder" if file.is_dir() else "not an image"
    problems.append(f"{file.relative_to(root)}: {what}; {', '.join(SUFFIXES)} are accepted")
    return False


def hashed(file: Path, name: str, problems: list[str]) -> str:
    """sha256 of a file, hexadecimal; what stands in the way is added to `problems`."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        problems.append(f"{name}: cannot be read: {error.strerror}")
        return ""


def _arrays(path: Path, location: str) -> ValidationSet:
    problems: list[str] = []
    found = _loaded(path, problems)
    images, labels, names = (found.get(key) for key in ARRAYS)
    if images is not None:
        problems += _image_problems(images)
    if names is not None:
        problems += _name_problems(names)
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
    return collected(
        tuple(pictures),  # type: ignore[arg-type]
        labels.astype(np.int64),  # type: ignore[union-attr]
        [str(name) for name in names],  # type: ignore[union-attr]
        [str(index) for index in range(len(hashes))],
        hashes,
        location,
    )


def _loaded(path: Path, problems: list[str]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    try:
        # Opened here, since numpy leaves a damaged file open.
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                what = "not a whole archive" if stream.seek(0, 2) else "an empty file"
                problems.append(
                    f"cannot be read as an .npz: {what}; a file of np.savez is accepted"
                )
                return found
            stream.seek(0)
            stored = np.load(stream, allow_pickle=False)
            for key in ARRAYS:
                if key not in stored.files:
                    problems.append(f"{key}: missing; {', '.join(ARRAYS)} are needed")
                    continue
                try:
                    found[key] = stored[key]
                except ValueError as error:
                    problems.append(
                        f"{key}: {error}; save a plain array, such as np.array(names, dtype=str)"
                    )
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        problems.append(f"cannot be read as an .npz: {error}; a file of np.savez is accepted")
    return found


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
    values, counts = np.unique(names, return_counts=True)
    repeated = [str(value) for value in values[counts > 1]]
    if repeated:
        yield f"class_names: {first_few([*map(repr, repeated)])} repeat; a name for each is needed"
    yield from taken(values)
    strange = [str(value) for value in values if not value.strip() or not value.isprintable()]
    if strange:
        yield f"class_names: {first_few([*map(repr, strange)])} cannot be printed; rename them"


def _label_problems(
    labels: NDArray[Any], images: NDArray[Any] | None, names: NDArray[Any] | None
) -> Iterator[str]:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        yield (
            f"labels: {labels.dtype} of shape {labels.shape}; one whole number per image, the "
            "index into class_names, is accepted"
        )
        return
    if images is not None and images.ndim and len(labels) != len(images):
        yield f"labels: {len(labels)} for {len(images)} images; one per image is needed"
    if names is not None and names.ndim == 1:
        out = np.flatnonzero((labels < 0) | (labels >= len(names)))
        if len(out):
            shown = ", ".join(f"{labels[i]} at {i}" for i in out[:5])
            yield (
                f"labels: {len(out)} out of range ({shown}{', ...' if len(out) > 5 else ''}); "  # noqa: PLR2004 - a line
                f"0 to {len(names) - 1} is accepted"
            )
    if len(labels) and (labels == labels[0]).all():
        yield f"labels: all images are of class {labels[0]}; images of two classes are needed"


def refuse(problems: Sequence[str], location: str) -> None:
    """Refuse a validation set that has problems, all at once."""
    if problems:
        raise SubjectError(f"validation images {location}: {problem}" for problem in problems)


def collected(
    images: Sequence[NDArray[np.uint8]],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    ids: Sequence[str],
    hashes: Sequence[str],
    location: str,
) -> ValidationSet:
    """Images and labels as a validation set, with their digest."""
    # JSON, so that no class name can pass for two.
    digest = hashlib.sha256(json.dumps(list(class_names)).encode())
    for label, content in zip(labels, hashes, strict=True):
        digest.update(f"\n{label} {content}".encode())
    return ValidationSet(
        location=location,
        images=images,
        labels=labels,
        class_names=tuple(class_names),
        ids=tuple(ids),
        hashes=tuple(hashes),
        digest=f"sha256:{digest.hexdigest()}",
    )

"""Folders: a folder of class folders as a validation set.

The folder is checked whole when it is opened and every problem is reported at once; only what a
picture holds is found when it is decoded, an image at a time. So one picture is in memory at most.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

from governance.errors import SubjectError
from governance.records.bounded import content_of, digest_of
from governance.records.reading import Reading
from governance.records.wording import first_few
from governance.subject.images.decoding import LARGEST_IMAGE, SUFFIXES, Picture, decoded
from governance.subject.images.problems import MOST_IMAGES, class_name_problems, refuse
from governance.subject.images.validation_set import ValidationSet

__all__ = ["Files", "file_hash", "leads_inside", "open_folder"]


def open_folder(path: Path, location: str) -> ValidationSet:
    """The images of a folder of class folders, whose sorted names are the class names.

    Args:
        path: The folder.
        location: Name of the set, for the record and for messages.

    Raises:
        SubjectError: All problems at once.
    """
    problems: list[str] = []
    root = path.resolve()
    class_names: list[str] = []
    names: list[str] = []
    labels: list[int] = []
    empty: list[str] = []
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
            empty.append(folder.name)
        names += files
        if len(names) > MOST_IMAGES:
            problems.append(f"more than {MOST_IMAGES} images; fewer are accepted")
            break
        labels += [len(class_names)] * len(files)
        class_names.append(folder.name)
    if len(empty) == 1:
        problems.append(f"{empty[0]}: a class folder without images; remove it or fill it")
    elif empty:
        problems.append(
            f"{first_few(empty)}: {len(empty)} class folders without images; remove or fill them"
        )
    problems += class_name_problems(class_names, "class folders")
    if not names:
        problems.append(f"no images; class folders with {', '.join(SUFFIXES)} are accepted")
    elif len(class_names) == 1:
        problems.append(f"one class, {class_names[0]}; at least two class folders are accepted")
    hashes = [] if problems else [file_hash(root / name, name, problems) for name in names]
    refuse(problems, location)
    return ValidationSet.of(
        Files(root, tuple(names), tuple(hashes), location),
        np.array(labels, dtype=np.int64),
        class_names,
        names,
        hashes,
        location,
    )


@dataclass(frozen=True, slots=True)
class Files(Sequence[NDArray[np.uint8]]):
    """Pictures that are decoded from their files when asked for.

    Attributes:
        root: Folder that the paths start at.
        names: Path of each file.
        hashes: sha256 of each file when the set was opened.
        location: Name of the set in messages.
        reading: What is declared of orientation, transparency and deep grey.
    """

    root: Path
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    location: str
    reading: Reading = field(default_factory=Reading)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.uint8]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        if isinstance(index, slice):
            return [self[item] for item in range(*index.indices(len(self)))]
        return self.picture(index).pixels

    def read_as(self, reading: Reading) -> Self:
        """The same files, read in another way."""
        return replace(self, reading=reading)

    def picture(self, index: int) -> Picture:
        """An image with what its file holds beside it.

        Raises:
            SubjectError: If the file is damaged, or no longer what was hashed.
        """
        where = f"validation images {self.location}: {self.names[index]}"
        try:
            content = content_of(self.root / self.names[index], LARGEST_IMAGE, SubjectError)
        except OSError as error:
            raise SubjectError(f"{where}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self.hashes[index]:
            raise SubjectError(f"{where}: changed since the assessment began; start it again")
        return decoded(content, where, self.reading)


def _entries(folder: Path, root: Path, problems: list[str]) -> Iterator[Path]:
    """What is in a folder, sorted, without hidden names and links that leave `root`."""
    try:
        entries = sorted(itertools.islice(folder.iterdir(), MOST_IMAGES + 1))
    except OSError as error:
        problems.append(f"{folder.relative_to(root)}: cannot be listed: {error.strerror}")
        return
    if len(entries) > MOST_IMAGES:
        problems.append(
            f"{folder.relative_to(root)}: more than {MOST_IMAGES} files; fewer are accepted"
        )
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name = entry.relative_to(root)
        if not str(name).isprintable():
            # Also the stand-ins for bytes that are no UTF-8, which no record can hold.
            problems.append(f"{str(name)!r}: a name that cannot be printed; rename it")
        elif entry.is_symlink() and not leads_inside(entry, root):
            problems.append(f"{name}: a link that leaves the folder or is broken; copy the file")
        else:
            yield entry


def leads_inside(link: Path, root: Path) -> bool:
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


def file_hash(file: Path, name: str, problems: list[str]) -> str:
    """sha256 of a file, hexadecimal; what stands in the way is added to `problems`."""
    try:
        return digest_of(file, LARGEST_IMAGE, SubjectError)
    except OSError as error:
        problems.append(f"{name}: cannot be read: {error.strerror}")
    except SubjectError as error:
        problems += error.problems
    return ""
